"""Windows cut along time, told what lies beyond them, against the whole series."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest

from lstfill.cube import Window
from lstfill.evaluate.baselines import BASELINES, DateSums, View
from lstfill.evaluate.evaluator import score_chunk
from lstfill.evaluate.land import LandCells
from lstfill.evaluate.series import Seen, Series
from lstfill.evaluate.visible import SCORED_SETS, visible_for
from tests.evaluate import test_evaluator as whole_cube
from tests.evaluate.test_baselines import SHAPE, cube, cut


def windows_of(chunk, dates):
    starts = range(0, chunk.shape[0], dates)
    boxes = [Window((t, 0, 0), (min(t + dates, chunk.shape[0]), *chunk.shape[1:])) for t in starts]
    return [cut(chunk, box) for box in boxes]


@pytest.mark.parametrize("dates", [1, 2, 4, 9])
@pytest.mark.parametrize("scored", SCORED_SETS)
@pytest.mark.parametrize("name", ["cell_mean", "temporal_interpolation", "date_mean"])
def test_a_baseline_predicts_the_same_window_by_window(name, scored, dates):
    chunk = cube(5)
    means = DateSums.of(chunk).means(scored)
    expected = BASELINES[name](View(chunk, visible_for(chunk, scored), means))
    windows = windows_of(chunk, dates)
    series = Series(reversed(windows), SCORED_SETS)
    found = [
        BASELINES[name](View(window, visible_for(window, scored), means, series.beyond(window)[scored]))
        for window in windows
    ]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-12)


def test_some_rows_know_what_lies_beyond_them():
    chunk = cube(6)
    windows = windows_of(chunk, 4)
    series = Series(reversed(windows), SCORED_SETS)
    series.beyond(windows[0])
    beyond = series.beyond(windows[1])["test"]
    rows = np.array([1, 4])
    some = beyond.take(rows)
    np.testing.assert_array_equal(some.mean, beyond.mean[rows])
    np.testing.assert_array_equal(some.before.value, beyond.before.value[rows])
    np.testing.assert_array_equal(some.after.day, beyond.after.day[rows])


def test_first_and_last_visible_values_equal_a_loop():
    chunk = cube(7)
    visible = visible_for(chunk, "test")
    first, last = Seen.first(chunk, visible), Seen.last(chunk, visible)
    days = (chunk.time - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    for y, x in np.ndindex(SHAPE[1:]):
        steps = np.flatnonzero(visible[:, y, x])
        for seen, step in ((first, steps[:1]), (last, steps[-1:])):
            expected = (chunk.target[step[0], y, x], days[step[0]]) if step.size else (np.nan, np.nan)
            np.testing.assert_array_equal((seen.value[y, x], seen.day[y, x]), expected)


@pytest.mark.parametrize("dates", [1, 2, 4])
@pytest.mark.parametrize("truth", [False, True])
def test_scores_are_those_of_windows_that_hold_all_times(dates, truth):
    chunk = whole_cube.cube(10, truth=truth)
    sums, model = DateSums.of(chunk), whole_cube.Line()
    windows = windows_of(chunk, dates)
    series = Series((LandCells.of(window).chunk for window in reversed(windows)), SCORED_SETS)
    tallies = []
    for window in windows:
        land = LandCells.of(window)
        said = whole_cube.estimates_of(window, land)
        flag = whole_cube.source_flags(land.chunk, said["test"]["line"].value, model.extrapolated(land.chunk))
        beyond = series.beyond(land.chunk)
        tallies.append(score_chunk(window, land, said, flag, whole_cube.terms_of(chunk, sums=sums), beyond))
    got = functools.reduce(operator.add, tallies).result("land_surface_temperature", whole_cube.CONFIG.groups)
    want = dict(whole_cube.leaves(whole_cube.result_of(chunk)))
    for path, value in whole_cube.leaves(got):
        assert value == (pytest.approx(want[path], rel=1e-9) if isinstance(value, float) else want[path]), path


def test_what_lies_after_is_kept_for_each_window_once():
    windows = windows_of(cube(8), 3)
    series = Series(reversed(windows), ["test"])
    for window in windows:
        series.beyond(window)
    with pytest.raises(IndexError):
        series.beyond(windows[0])
