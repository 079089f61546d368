"""How good a fill is: against the truth behind the gaps, and against the best line there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cubes import LAND, TARGET, TRUTH, regions

Region = tuple[slice, ...]
ICE_K = 273.15  # values are centred there, or sums of squares would lose digits


@dataclass(frozen=True)
class Line:
    """``target = slope * (feature - 273.15) + intercept``, in K."""

    slope: float
    intercept: float

    def __call__(self, feature: NDArray[np.floating]) -> NDArray[np.floating]:
        """The line at some air temperatures, in their own precision."""
        values: NDArray[np.floating] = feature * feature.dtype.type(self.slope)
        values += feature.dtype.type(self.intercept - self.slope * ICE_K)
        return values

    def to_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass
class Moments:
    """Sums of a sample of two variables, centred at 273.15 K, in float64."""

    n: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))

    def add(self, feature: NDArray[np.floating], target: NDArray[np.floating]) -> None:
        """Takes pairs of values in K ``(n,)``."""
        x, y = feature.astype(np.float64) - ICE_K, target.astype(np.float64) - ICE_K
        self.n += len(x)
        self.sums += [x.sum(), y.sum(), (x * x).sum(), (x * y).sum(), (y * y).sum()]

    def line(self) -> Line:
        """The line of least squares."""
        x, y, xx, xy, _ = self.sums / self.n
        slope = float((xy - x * y) / (xx - x * x))
        return Line(slope, float(y - slope * x) + ICE_K)

    def least_mse(self) -> float:
        """Mean squared error of that line, in K^2: no other line has less on these values."""
        x, y, xx, xy, yy = self.sums / self.n
        return float((yy - y * y) - (xy - x * y) ** 2 / (xx - x * x))


def truth_errors(
    cube: str, truth: str, filled: Callable[[Region, NDArray[np.floating]], NDArray[np.floating]]
) -> dict[str, float]:
    """Errors of a fill in the gaps of land, chunk by chunk.

    Args:
        cube: the source cube, on disk.
        truth: what lies behind its gaps.
        filled: gives the fill of a region ``(time, lat, lon)``, from its index and the source's target there.

    Returns:
        ``mae_k``, ``rmse_k``, ``bias_k``, the number of gap cells ``n``, and how many of them were left ``unfilled``.
    """
    import zarr

    target: Any = zarr.open_group(cube, mode="r")[TARGET]
    behind: Any = zarr.open_group(truth, mode="r")
    land = np.asarray(behind[LAND], bool)
    sums, n, gaps = np.zeros(3), 0, 0
    for region in regions(target):
        observed = target[region]
        gap = np.isnan(observed) & land[region[1:]]
        error = filled(region, observed)[gap].astype(np.float64) - behind[TRUTH][region][gap]
        known = error[np.isfinite(error)]
        sums += [np.abs(known).sum(), (known * known).sum(), known.sum()]
        n, gaps = n + len(known), gaps + len(error)
    mae, mse, bias = sums / max(n, 1)
    return {"mae_k": mae, "rmse_k": mse**0.5, "bias_k": bias, "n": n, "unfilled": gaps - n}


def of_filled(cube: str, truth: str, filled: str) -> dict[str, float]:
    """Errors of a filled cube of ours; arguments are addresses on disk."""
    import zarr

    values: Any = zarr.open_group(filled, mode="r")[TARGET]
    return truth_errors(cube, truth, lambda region, _: values[region])


def of_line(samples: str, model: str) -> dict[str, float]:
    """How far a trained model is from the best line on the samples it was trained on, and how fast it was fitted.

    Args:
        samples: address of the samples.
        model: the model's directory.

    Returns:
        ``mse`` and ``least_mse`` in K^2, ``excess`` as a share, samples and ``samples_s`` through Keras, epochs.
    """
    from lstfill import model as models
    from lstfill.steps.shards import StoredShards
    from lstfill.steps.train import history_of
    from lstfill.storage import stores

    fitted = models.load(Path(model))
    shards = StoredShards(samples, "train", stores.provenance(samples)["facts"]["samples"]["train"])
    moments, squares = Moments(), 0.0
    for x, y in map(shards.read, range(len(shards))):
        moments.add(x[:, 0], y)
        error = fitted.predict_columns({fitted.card.features[0]: x[:, 0]}).astype(np.float64) - y
        squares += float((error * error).sum())
    mse, least, history = squares / moments.n, moments.least_mse(), history_of(model) or {}
    return {
        "mse": mse,
        "least_mse": least,
        "excess": mse / least - 1,
        "samples": moments.n,
        "samples_s": history["samples_seen"] / history["seconds"],
        "epochs": len(history["loss"]),
        "best_epoch": history["best_epoch"],
    }
