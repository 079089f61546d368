"""Baselines against loops over cells and the naive xarray expressions."""

from __future__ import annotations

import dataclasses
import functools
import operator

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lstfill.cube import Chunk, Window, chunk_windows
from lstfill.evaluate.baselines import BASELINES, DateSums, View, available
from lstfill.evaluate.visible import SCORED_SETS, visible_for
from lstfill.split.blocks import Part

SHAPE = (9, 5, 6)


def cube(seed: int = 0, shape=SHAPE, dtype=np.float32) -> Chunk:
    """A whole cube in one chunk: irregular dates, gaps, sea, a split and held-out values."""
    rng = np.random.default_rng(seed)
    # The ESDC's steps: 8 days, then 5 over the turn of the year; and one date is missing.
    days = np.cumsum([0, 8, 8, 16, 5, 8, 8, 8, 24, 8, 8][: shape[0]])
    target = rng.normal(285, 10, shape).astype(dtype)
    target[rng.random(shape) < 0.4] = np.nan
    held_out = np.isfinite(target) & (rng.random(shape) < 0.2)
    return Chunk(
        window=Window((0, 0, 0), shape),
        shape=shape,
        time=np.datetime64("2002-11-10", "ns") + days.astype("timedelta64[D]"),
        lat=np.linspace(70, -40, shape[1]),
        lon=np.linspace(0, 50, shape[2]),
        target=target,
        features={"air_temperature_2m": rng.normal(280, 10, shape).astype(dtype)},
        land=rng.random(shape[1:]) < 0.8,
        part=rng.choice([Part.TRAIN, Part.VALIDATION, Part.TEST, Part.NONE], shape).astype(np.int8),
        held_out=held_out,
    )


def cut(chunk: Chunk, window: Window) -> Chunk:
    """The chunk of one window of a whole cube."""
    t, y, x = window.slices
    box = window.slices
    return dataclasses.replace(
        chunk,
        window=window,
        time=chunk.time[t],
        lat=chunk.lat[y],
        lon=chunk.lon[x],
        target=chunk.target[box],
        features={name: values[box] for name, values in chunk.features.items()},
        land=chunk.land[y, x],
        part=None if chunk.part is None else chunk.part[box],
        held_out=None if chunk.held_out is None else chunk.held_out[box],
        truth=None if chunk.truth is None else chunk.truth[box],
    )


def view_of(chunk: Chunk, scored="held_out_gaps") -> View:
    return View(chunk, visible_for(chunk, scored), DateSums.of(chunk).means(scored))


def masked(chunk: Chunk, visible) -> xr.DataArray:
    return xr.DataArray(np.where(visible, chunk.target.astype(float), np.nan), dims=("time", "lat", "lon"))


def test_held_out_values_are_never_visible_and_test_cells_only_while_gaps_are_scored():
    chunk = cube()
    for scored in SCORED_SETS:
        visible = visible_for(chunk, scored)
        assert not (visible & chunk.held_out).any()
        assert not (visible & ~chunk.land[None]).any()
        assert not (visible & np.isnan(chunk.target)).any()
    assert not (visible_for(chunk, "test") & (chunk.part == Part.TEST)).any()
    assert (visible_for(chunk, "held_out_gaps") & (chunk.part == Part.TEST)).any()


@pytest.mark.parametrize("name", sorted(BASELINES))
@pytest.mark.parametrize("scored", SCORED_SETS)
def test_no_baseline_looks_at_what_is_scored(name, scored):
    chunk = cube()
    hidden = chunk.held_out | (chunk.part == Part.TEST) if scored == "test" else chunk.held_out
    marked = dataclasses.replace(chunk, target=np.where(hidden, np.float32(9999), chunk.target))
    before, after = (BASELINES[name](view_of(c, scored)) for c in (chunk, marked))
    np.testing.assert_array_equal(before, after)


def test_feature_is_the_first_feature_bit_for_bit():
    chunk = cube()
    two = dataclasses.replace(chunk, features={**chunk.features, "other": np.zeros(SHAPE)})
    assert BASELINES["feature"](view_of(two)) is two.features["air_temperature_2m"]


def test_a_cube_without_features_has_no_feature_baseline():
    names = ["feature", "date_mean"]
    assert available(names, cube()) == names
    assert available(names, dataclasses.replace(cube(), features={})) == ["date_mean"]


@pytest.mark.parametrize("scored", SCORED_SETS)
def test_date_and_cell_means_equal_xarray(scored):
    chunk = cube(1)
    seen = masked(chunk, visible_for(chunk, scored))
    dates = BASELINES["date_mean"](view_of(chunk, scored))
    cells = BASELINES["cell_mean"](view_of(chunk, scored))
    np.testing.assert_allclose(dates, seen.mean(("lat", "lon")).broadcast_like(seen), rtol=1e-12)
    np.testing.assert_allclose(
        cells, seen.mean("time").broadcast_like(seen).transpose("time", "lat", "lon"), rtol=1e-12
    )
    assert np.isnan(cells[:, ~chunk.land]).all()


@pytest.mark.parametrize("chunks", [(9, 5, 6), (2, 5, 6), (9, 2, 4), (4, 3, 1)])
def test_date_sums_do_not_depend_on_windows(chunks):
    chunk = cube(2)
    parts = [DateSums.of(cut(chunk, window)) for window in chunk_windows(SHAPE, chunks)]
    for order in (parts, parts[::-1]):
        merged = functools.reduce(operator.add, order)
        for scored in SCORED_SETS:
            np.testing.assert_allclose(merged.means(scored), DateSums.of(chunk).means(scored), rtol=1e-12)


def test_a_date_on_which_nothing_is_visible_has_no_mean():
    chunk = cube(3)
    blind = chunk.target.copy()
    blind[4] = np.nan
    means = DateSums.of(dataclasses.replace(chunk, target=blind)).means("test")
    assert np.isnan(means[4])
    assert np.isfinite(np.delete(means, 4)).all()


@pytest.mark.parametrize("scored", SCORED_SETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_temporal_interpolation_equals_numpy_cell_by_cell_in_real_time(scored, dtype):
    chunk = cube(4, dtype=dtype)
    visible = visible_for(chunk, scored)
    days = pd.to_datetime(chunk.time).to_julian_date().to_numpy()
    predicted = BASELINES["temporal_interpolation"](view_of(chunk, scored))
    for y, x in np.ndindex(SHAPE[1:]):
        seen = visible[:, y, x]
        expected = np.full(SHAPE[0], np.nan)
        if seen.any():
            expected = np.interp(days, days[seen], chunk.target[seen, y, x])  # nearest outside the ends
        np.testing.assert_allclose(predicted[:, y, x], expected, rtol=1e-9, err_msg=f"cell {y}, {x}")


def test_temporal_interpolation_weights_by_days_and_not_by_steps():
    chunk = cube(0, shape=(3, 1, 1))
    chunk = dataclasses.replace(
        chunk,
        time=np.array(["2003-12-27", "2004-01-05", "2004-01-08"], "datetime64[ns]"),
        target=np.array([280.0, np.nan, 292.0]).reshape(3, 1, 1),
        land=np.ones((1, 1), bool),
        held_out=None,
    )
    # 9 of 12 days have passed: 280 + 12 * 9 / 12; halfway by position would be 286.
    assert BASELINES["temporal_interpolation"](view_of(chunk))[1, 0, 0] == pytest.approx(289.0)


def test_one_date_has_nothing_to_interpolate_from():
    chunk = cube(0, shape=(1, 5, 6))
    predicted = BASELINES["temporal_interpolation"](view_of(chunk))
    assert np.isnan(predicted[~visible_for(chunk, "held_out_gaps")]).all()
