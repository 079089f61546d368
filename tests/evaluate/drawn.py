"""A made evaluation and the data of its figures, for the tests of figures and report."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstfill.evaluate.figures import FigureData
from lstfill.model.calibration import LEVELS

SCORES: dict[str, Any] = {
    "mae_k": 2.4012, "rmse_k": 3.0123, "bias_k": 0.1234, "r2": 0.9312, "n": 123456,
    "weighted": {"mae_k": 2.5, "rmse_k": 3.1, "bias_k": -0.05, "r2": 0.92},
}  # fmt: skip

NO_INTERVALS = {"test": None, "held_out_gaps": None}

HISTORY = {
    "loss": [210.0, 60.0, 11.0, 9.6, 9.5], "val_loss": [150.0, 50.0, 9.4, 9.5, 9.6], "mae": [9.0, 5.0, 2.5, 2.4, 2.4],
    "val_mae": [8.0, 4.5, 2.41, 2.42, 2.43], "learning_rate": [0.1, 0.08, 0.05, 0.02, 0.001], "best_epoch": 3,
    "seconds": 12.0, "samples_seen": 5000, "batch_size": 100, "steps": 10,
}  # fmt: skip


def scores(mae: float, n: int = 123456) -> dict[str, Any]:
    return {
        **SCORES,
        "mae_k": mae,
        "rmse_k": mae * 1.25,
        "n": n,
        "weighted": {**SCORES["weighted"], "mae_k": mae + 0.1},
    }


def intervals(coverage: float = 0.89) -> dict[str, Any]:
    row = {"n": 45678, "coverage_90": coverage, "width_90_k": 9.8, "interval_score_90_k": 12.5}
    levels = {f"{level:g}": {"inside": level - 0.01, "width_k": 10 * level} for level in LEVELS}
    return {**row, "levels": levels, "groups": {"gap_size": {"1-9": {**row, "coverage_90": 0.931}}}}


def paired(difference: float) -> dict[str, Any]:
    interval = [difference - 0.05, difference + 0.05]
    return {"difference_k": difference, "interval_k": interval, "p": 0.0123, "blocks": 34, "n": 45678}


def evaluation(held_out: bool = True) -> dict[str, Any]:
    def both(test: float, gaps: float) -> dict[str, Any]:
        return {"test": scores(test), "held_out_gaps": scores(gaps, 45678) if held_out else None}

    def model(test: float, gaps: float) -> dict[str, Any]:
        small = {"test": None, "held_out_gaps": scores(gaps - 0.5, 100) if held_out else None}
        return {
            "scores": both(test, gaps),
            "groups": {
                "latitude": {
                    "60°S to 30°S": both(2.1, 2.2),
                    "30°S to 0°": both(2.5, 2.6),
                    "0° to 30°N": both(2.2, 2.9),
                },
                "season": {"MAM": both(2.1, 2.2), "JJA": both(test + 0.02, gaps + 0.1)},
                "gap_size": {"1-9": small, "10-99": small},
            },
            "intervals": {"test": intervals(), "held_out_gaps": intervals() if held_out else None},
        }

    flags = {"observed": 600, "filled": 250, "extrapolated": 50, "not_fillable": 100}
    baselines = {
        "feature": both(4.2, 4.3),
        "date_mean": both(9.1, 9.2),
        "cell_mean": both(3.9, 3.95),
        "temporal_interpolation": both(3.1, 3.35),
    }
    rivals = {"harmonic": model(2.6, 2.7), "boosting": {**model(2.5, 2.45), "intervals": NO_INTERVALS}}
    tests = {name: paired(-0.3) for name in [*rivals, *baselines]}
    return {
        "target": "land_surface_temperature",
        "unit": "K",
        "model": "linear",
        "scored": "held_out_gaps" if held_out else "test",
        **model(2.38, 2.40),
        "rivals": rivals,
        "baselines": baselines,
        "paired": {"test": tests, "held_out_gaps": tests if held_out else None},
        "flags": {**flags, "land": {**flags, "not_fillable": 0}},
        "outliers": [
            {"time": "2008-12-10T00:00", "lat": 45.2, "lon": 13.9, "observed_k": 251.9, "predicted_k": 279.04},
        ],
        "gate": None,
    }


def run(**changes: Any) -> dict[str, Any]:
    shares = {"train": 0.71, "validation": 0.1, "test": 0.19}
    return {
        "title": "One line on air temperature",
        "source": "s3://esdl-esdc-v2.1.1/esdc.zarr",
        "identity": "9f" * 32,
        "time": ["2002-05-21", "2002-08-01"],
        "grid": [10, 180, 360],
        "bbox_deg": [-180.0, -90.0, 180.0, 90.0],
        "config": {"source": {"target": "land_surface_temperature", "time": None}, "train": {"epochs": 10}},
        "mask_digest": "ab" * 32,
        "split_report": {
            "asked": {"train": 0.7, "validation": 0.1, "test": 0.2},
            "reached": shares,
            "bands": {"30°S to 0°": shares, "0° to 30°N": {"train": 0.69, "validation": 0.11, "test": 0.2}},
            "largest_miss": 0.011,
            "within_2_points": True,
        },
        "model": {"model": "linear", "coefficients": {"slope": {"air_temperature_2m": 1.1199}, "intercept": -29.97}},
        "versions": {"lstfill": "0.1.0", "python": "3.11.7"},
        "created": "2026-01-02T03:04:05Z",
        **changes,
    }


def smooth(shape: tuple[int, int], rng: np.random.Generator, passes: int = 30) -> np.ndarray:
    field = rng.normal(size=shape)
    for _ in range(passes):
        field = (
            field + np.roll(field, 1, 0) + np.roll(field, -1, 0) + np.roll(field, 1, 1) + np.roll(field, -1, 1)
        ) / 5
    return field / max(field.std(), 1e-12)


def globe(
    nlat: int = 90, *, descending: bool = True, seed: int = 0, noise_k: float = 3.0, **changes: Any
) -> FigureData:
    """A made globe: two continents, clouds, a feature and its line."""
    rng = np.random.default_rng(seed)
    shape = (nlat, 2 * nlat)
    lat = (np.arange(nlat) + 0.5) * 180 / nlat - 90
    lon = (np.arange(2 * nlat) + 0.5) * 180 / nlat - 180
    lat = lat[::-1] if descending else lat
    land = ((lat[:, None] - 40) / 30) ** 2 + ((lon[None] + 60) / 60) ** 2 < 1
    land |= ((lat[:, None] + 20) / 25) ** 2 + ((lon[None] - 90) / 50) ** 2 < 1
    feature = 300 - 55 * np.sin(np.deg2rad(lat[:, None])) ** 2 + 4 * smooth(shape, rng, 60)
    truth = 1.12 * feature - 30 + noise_k * rng.normal(size=shape)
    target = np.where(land & (smooth(shape, rng) < 0.5), truth, np.nan)
    return assemble(lat, lon, land, feature, truth, target, rng, **changes)


def assemble(lat, lon, land, feature, truth, target, rng, **changes) -> FigureData:
    """All fields from a feature, a truth and a target with gaps."""
    shape = land.shape
    prediction = 1.12 * feature - 30
    filled = np.where(np.isfinite(target), target, np.where(land, prediction, np.nan))
    flag = np.where(np.isfinite(target), 0, np.where(land, 1, 3)).astype(np.uint8)
    flag[(flag == 1) & (feature > np.nanpercentile(feature, 97))] = 2
    blocks = rng.choice(3, (10, 10), p=[0.7, 0.1, 0.2])
    rows, columns = np.arange(shape[0]) * 10 // shape[0], np.arange(shape[1]) * 10 // shape[1]
    part = blocks[np.ix_(rows, columns)].astype(np.int8)
    test = land & (part == 2)
    edges, residual_edges = np.arange(180, 345.5, 0.5), np.arange(-30, 30.25, 0.25)
    residual = (prediction - truth)[test]
    fields = {
        "date": np.datetime64("2002-05-21"), "lat": lat, "lon": lon, "land": land,
        "feature_name": "air_temperature_2m", "feature": feature, "target": target, "part": part,
        "held_out": np.isfinite(target) & land & (smooth(shape, rng) > 1.3), "filled": filled, "flag": flag,
        "uncertainty": np.where(flag == 0, 0.0, 3.0 + 0.5 * np.cos(np.deg2rad(lat))[:, None]).astype(np.float32),
        "error": np.where(test, prediction - truth, np.nan), "error_uncertainty": np.where(test, 3.0, np.nan),
        "error_lat": lat, "error_lon": lon, "error_mean": np.where(test, prediction - truth, np.nan),
        "error_n": test.astype(int),
        "density": np.histogram2d(truth[test], prediction[test], (edges, edges))[0].astype(np.int64),
        "density_edges": edges,
        "residual_counts": np.histogram(residual, residual_edges)[0], "residual_edges": residual_edges,
        "history": HISTORY,
    }  # fmt: skip
    return FigureData(**{**fields, **changes})
