"""Date, cell and features that add up."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from lstfill.model.local.additive import FLOOR_K, UNKNOWN_K, WIDTH, fit_additive, within
from lstfill.model.local.cells import cells_of
from tests.model import tiles


def cells(values, seen=None, features=()):
    """Cells of values ``(time, n)`` in one row of a tile, eight days apart."""
    made = tiles.chunk(np.asarray(values, np.float32)[:, None, :], missing=0.0)
    target = made.target if seen is None else np.where(seen[:, None, :], values[:, None, :], np.nan)
    days = 8 * np.arange(len(values)).astype("timedelta64[D]")
    by_name = {f"f{k}": np.asarray(of)[:, None, :] for k, of in enumerate(features)}
    time = (np.datetime64("2008-01-01") + days).astype("datetime64[ns]")
    return cells_of(replace(made, target=target, time=time, features=by_name))


def sums(dates, per_cell):
    return np.add.outer(np.asarray(dates, float), np.asarray(per_cell, float))


def test_with_all_seen_dates_and_cells_are_the_means_of_rows_and_columns():
    values = np.random.default_rng(0).normal(290, 5, (200, 30))
    means = fit_additive(cells(values), robust=False)
    table = xr.DataArray(values, dims=("time", "cell"))
    np.testing.assert_allclose(means.base[:, 0], table.mean("cell"), atol=0.05)
    shrunk = (table.mean("time") - table.mean()) * 200 / 201  # by one value of no deviation
    np.testing.assert_allclose(means.cell, shrunk, atol=0.01)


def test_a_date_of_which_warm_cells_alone_are_seen_is_not_warm():
    rng = np.random.default_rng(1)
    per_cell = np.where(np.arange(40) < 20, 6.0, -6.0)
    values = sums(rng.normal(290, 3, 60), per_cell)
    seen = np.ones(values.shape, bool)
    seen[5, 20:] = False
    means = fit_additive(cells(values, seen), robust=False)
    assert means.base[5, 0] == pytest.approx(values[5].mean(), abs=0.3)
    assert values[5, :20].mean() > values[5].mean() + 5


def test_what_is_left_and_base_add_up_to_the_values():
    values = np.random.default_rng(2).normal(290, 5, (12, 9))
    seen = np.random.default_rng(3).random(values.shape) > 0.4
    means = fit_additive(cells(values, seen), robust=False)
    np.testing.assert_allclose((means.base + means.left)[seen], values[seen].astype(np.float32), rtol=1e-6)
    assert np.isnan(means.left[~seen]).all()


def test_a_cell_that_is_never_seen_deviates_from_nothing():
    values = sums(np.zeros(6), [1.0, 2.0, 3.0])
    seen = np.ones(values.shape, bool)
    seen[:, 1] = False
    assert fit_additive(cells(values, seen), robust=False).cell[1] == 0


def test_the_slope_of_a_feature_is_found_although_dates_and_cells_go_with_it():
    rng = np.random.default_rng(4)
    feature = sums(rng.normal(0, 8, 30), rng.normal(0, 3, 50)) + rng.normal(0, 2, (30, 50))
    noise = rng.normal(0, 0.1, feature.shape)
    values = 1.7 * feature + sums(rng.normal(280, 9, 30), rng.normal(0, 4, 50)) + noise
    seen = rng.random(values.shape) > 0.3
    means = fit_additive(cells(values, seen, [feature]), robust=False)
    assert np.nanstd(means.left - means.cell) < 0.3
    hidden = ~seen
    assert np.abs((means.base + means.cell - values)[hidden]).mean() < 0.4


def test_a_feature_that_never_changes_says_nothing():
    values = np.random.default_rng(5).normal(290, 5, (8, 7))
    without = fit_additive(cells(values), robust=False)
    found = fit_additive(cells(values, features=[np.full(values.shape, 3.0)]), robust=False)
    np.testing.assert_allclose(found.base, without.base)


def test_an_undetected_cloud_moves_nothing_when_robust():
    rng = np.random.default_rng(6)
    clean = sums(rng.normal(290, 3, 10), rng.normal(0, 1, 200)) + rng.normal(0, 0.5, (10, 200))
    cloudy = clean.copy()
    cloudy[4, 7] -= 38.0
    expected = fit_additive(cells(clean), robust=True)
    robust, plain = (fit_additive(cells(cloudy), robust=way) for way in (True, False))
    assert abs(robust.cell[7] - expected.cell[7]) < 1 < 3 < abs(plain.cell[7] - expected.cell[7])
    np.testing.assert_allclose(robust.left[4, 8:], expected.left[4, 8:], atol=0.1)


def test_far_values_are_moved_to_six_robust_deviations_of_their_row():
    row = np.array([*np.linspace(-1, 1, 41), 40.0, np.nan])
    moved = within(row[None])[0]
    deviation = 1.4826 * np.median(np.abs(row[:42] - np.median(row[:42])))
    assert moved[41] == pytest.approx(np.median(row[:42]) + WIDTH * max(deviation, FLOOR_K))
    np.testing.assert_array_equal(moved[:41], row[:41])
    assert np.isnan(moved[42])


def test_an_unseen_date_lies_on_the_line_between_its_neighbours():
    values = sums([280.0, 0.0, 284.0, 288.0, 292.0], np.zeros(6))
    seen = np.ones(values.shape, bool)
    seen[1] = False
    means = fit_additive(cells(values, seen), robust=False)
    assert means.base[1, 0] == pytest.approx(282.0, abs=1e-3)
    np.testing.assert_array_equal(means.doubt > 0, [False, True, False, False, False])


def test_its_doubt_is_how_far_other_dates_are_from_such_lines():
    level = 290 + np.random.default_rng(7).normal(0, 4, 41)
    seen = np.ones((41, 6), bool)
    seen[20] = False
    there = np.flatnonzero(seen[:, 0])
    table = xr.DataArray(level[there], coords={"day": 8.0 * there}, dims="day")
    miss = [float(table[k] - table.drop_isel(day=k).interp(day=8.0 * there[k])) for k in range(1, 39)]
    doubt = fit_additive(cells(sums(level, np.zeros(6)), seen), robust=False).doubt
    assert doubt[20] == pytest.approx(np.sqrt(np.mean(np.square(miss))), rel=0.02)


def test_with_two_dates_nobody_knows_how_a_third_would_be():
    values = np.full((3, 4), 280.0)
    seen = np.array([[True], [False], [True]]).repeat(4, axis=1)
    assert fit_additive(cells(values, seen), robust=False).doubt[1] == UNKNOWN_K
