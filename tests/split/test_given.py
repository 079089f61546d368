"""Given gaps: where the variables of the cube say, on all dates or on the one that they belong to."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as with_examples
from hypothesis import strategies as st

from lstfill.config import HeldOutGaps
from lstfill.cube import Window, chunk_windows
from lstfill.errors import DataError
from lstfill.split import assert_given, given, on_step, step_of
from tests.split.cubes import chunk, spotted

SHAPE = (7, 30, 33)
SHARED = Path(os.environ.get("LSTFILL_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
DAYS = np.array(["2019-06-03", "2019-06-05", "2019-07-01"], "datetime64[ns]")
OVERPASSES = np.array(["2019-07-01T17:14:01", "2019-07-01T17:53:37", "2019-07-04T07:00:00"], "datetime64[ns]")


@with_examples(st.integers(0, 10**6))
def test_given_is_gap_and_truth_and_land(seed):
    rng = np.random.default_rng(seed)
    truth, land = spotted(SHAPE, seed)
    gap = rng.random(SHAPE) < 0.3
    expected = [
        [[g and t == t and ok for g, t, ok in zip(*row, strict=True)] for row in zip(*date, land, strict=True)]
        for date in zip(gap, truth, strict=True)
    ]
    np.testing.assert_array_equal(given(gap, truth, land), expected)
    as_float = np.where(gap, 1.0, np.where(rng.random(SHAPE) < 0.5, np.nan, 0.0))
    for other in (gap.astype(np.int8), gap.astype(np.float32), as_float):
        np.testing.assert_array_equal(given(other, truth, land), expected)


def test_given_that_hides_nothing_is_refused():
    names = HeldOutGaps(kind="given", truth="truth", gap="artificial_gap")
    message = (
        "no land cell with 'artificial_gap' set and a finite 'truth', so 0 values are held out: check both variables"
    )
    with pytest.raises(DataError, match=message):
        assert_given(0, names)
    assert_given(1, names)


def test_given_target_is_hidden_even_where_it_is_observed():
    target, land = np.full((1, 1, 3), 280.0), np.ones((1, 3), bool)
    gap, truth = np.array([[[True, True, False]]]), np.array([[[281.0, np.nan, 281.0]]])
    held_out = given(gap, truth, land)
    assert chunk(target, land, held_out=held_out).visible().tolist() == [[[False, True, True]]]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared data at {SHARED}: set LSTFILL_SHARED_DATA")
@pytest.mark.parametrize("mask", ["land_mask", None])
def test_istra_has_the_published_number_of_hidden_values(mask):
    import xarray as xr

    with xr.open_zarr(SHARED / "istra_2008.zarr", chunks=None) as ds:
        land = ds[mask].values if mask else np.ones(ds["truth"].shape[1:], bool)
        held_out = given(ds["artificial_gap"].values, ds["truth"].values, land)
    assert held_out.sum() == 46_874


def gaps(date=None):
    return HeldOutGaps(kind="given", truth="truth", gap="hole", date=date)


@pytest.mark.parametrize(
    ("time", "date", "step"),
    [
        (DAYS, "2019-06-05", 1),
        (DAYS, "2019-07", 2),
        (DAYS, "2019-06-03T00:00:00Z", 0),
        (OVERPASSES, "2019-07-01T17:53:37", 1),
        (OVERPASSES, "2019-07-01T17:53", 1),
        (OVERPASSES, "2019-07-04", 2),
        (OVERPASSES.astype("datetime64[s]"), "2019-07-01T17:14", 0),
    ],
)
def test_the_step_of_a_date(time, date, step):
    assert step_of(gaps(date), ["hole"], time) == step


def test_variables_with_a_time_of_their_own_have_no_step():
    assert step_of(gaps(), [], DAYS) is None


@pytest.mark.parametrize(
    ("time", "timeless", "date", "said"),
    [
        (DAYS, ["truth", "hole"], None, "'truth' and 'hole' without time: set split.held_out_gaps.date to the date"),
        (DAYS, ["hole"], None, "split: 'hole' without time: set split.held_out_gaps.date"),
        (DAYS, [], "2019-06-05", "but 'hole' and 'truth' have a time of their own: leave it out"),
        (DAYS, ["hole"], "2019-06-04T13", "'2019-06-04T13' is no date of the cube; the nearest is 2019-06-05"),
        (DAYS, ["hole"], "1950", "'1950' is no date of the cube; the nearest is 2019-06-03"),
        (DAYS, ["hole"], "9999-12-31", "the nearest is 2019-07-01"),
        (DAYS, ["hole"], "2019-06", "stands for 2 dates of the cube, 2019-06-03, 2019-06-05: write out which"),
        (OVERPASSES, ["hole"], "2019-07-01", "2 dates of the cube, 2019-07-01T17:14:01, 2019-07-01T17:53:37: write"),
        (DAYS, ["hole"], "fifth of June", "'fifth of June' is no date; write it like 2019-06-05"),
    ],
)
def test_a_date_that_is_not_exactly_one_is_refused_with_the_remedy(time, timeless, date, said):
    with pytest.raises(DataError) as refused:
        step_of(gaps(date), timeless, time)
    assert said in str(refused.value)


@with_examples(st.integers(0, 6), st.sampled_from([bool, np.int16, np.float32, np.float64]))
def test_on_one_step_there_are_the_values_and_elsewhere_nothing(step, dtype):
    values = (np.arange(30 * 33).reshape(30, 33) % 5).astype(dtype)
    for window in chunk_windows(SHAPE, (3, 20, 33)):
        found = on_step(values[window.slices[1:]], step, window)
        assert found.shape == window.shape
        assert found.dtype == (bool if dtype is bool else np.result_type(dtype, np.float32))
        for k in range(window.shape[0]):
            if window.start[0] + k == step:
                np.testing.assert_array_equal(found[k], values[window.slices[1:]])
            else:
                assert not np.nan_to_num(found[k]).any()


def test_values_with_time_stay_as_they_are():
    values = np.zeros(SHAPE)
    assert on_step(values, None, Window((0, 0, 0), SHAPE)) is values


@with_examples(st.integers(0, 6))
def test_gaps_of_one_date_hide_nothing_on_others(step):
    truth, land = spotted(SHAPE, step)
    gap, window = np.random.default_rng(step).random(SHAPE[1:]) < 0.3, Window((0, 0, 0), SHAPE)
    held_out = given(on_step(gap, step, window), on_step(truth[step], step, window), land)
    np.testing.assert_array_equal(held_out[step], gap & np.isfinite(truth[step]) & land)
    assert held_out.sum() == held_out[step].sum()


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared data at {SHARED}: set LSTFILL_SHARED_DATA")
def test_st_petersburg_hides_the_share_that_its_levels_say():
    import xarray as xr

    with xr.open_zarr(SHARED / "modis_stpetersburg.zarr", chunks=None) as ds:
        step = step_of(gaps("2019-06-05"), ["truth", "hole"], ds["time"].values)
        window = Window((0, 0, 0), ds["land_surface_temperature"].shape)
        land, truth = np.ones(window.shape[1:], bool), on_step(ds["truth"].values, step, window)
        for level in ds["gap_level"].values:
            hidden = given(on_step(ds["artificial_gap"].sel(gap_level=level).values, step, window), truth, land)
            assert 100 * hidden[step].mean() == pytest.approx(level, abs=1)
