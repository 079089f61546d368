"""Held-out gaps: real shapes, the share asked, nothing but observations, and the same in every window."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from hypothesis import given as with_examples
from hypothesis import settings
from hypothesis import strategies as st

from lstfill.config import Split
from lstfill.cube import Window, column_windows
from lstfill.errors import DataError
from lstfill.split import GapPlan, choose, count_candidates, gaps, order_key, plan_gaps
from tests.split.cubes import chunk, spotted

SHAPE = (7, 30, 33)


def config(fraction=0.1, seed=0, tile=(10, 11)):
    held_out = {"kind": "clouds", "fraction": fraction, "seed": seed}
    return Split(block={"time": 2, "lat": tile[0], "lon": tile[1]}, held_out_gaps=held_out)


def hold_out(target, land, split, windows=None):
    """The integrator's two passes over windows of all times."""
    plan = plan_gaps(target.shape, split)
    windows = windows or [Window((0, 0, 0), target.shape)]
    table = choose(plan, [count_candidates(chunk(target, land, w), plan) for w in windows])
    held_out = np.zeros(target.shape, bool)
    for window in windows:
        held_out[window.slices] = table.held_out_in(chunk(target, land, window))
    return table, held_out


@settings(max_examples=25, deadline=None)
@with_examples(
    st.integers(0, 10**6), st.tuples(st.just(7), st.integers(6, 30), st.integers(6, 33)), st.integers(200, 8000)
)
def test_windows_do_not_matter(seed, chunks, max_cells):
    target, land = spotted(SHAPE, seed)
    whole, held_out = hold_out(target, land, config(seed=seed))
    windows = column_windows(SHAPE, chunks, max_cells)
    cut, in_windows = hold_out(target, land, config(seed=seed), windows[::-1])
    np.testing.assert_array_equal(in_windows, held_out)
    np.testing.assert_array_equal(cut.donor, whole.donor)
    assert cut.report == whole.report


@settings(max_examples=40, deadline=None)
@with_examples(st.integers(0, 10**6), st.sampled_from([0.02, 0.05, 0.1, 0.2]))
def test_held_out_are_observed_land_values_close_to_the_fraction(seed, fraction):
    target, land = spotted(SHAPE, seed)
    table, held_out = hold_out(target, land, config(fraction, seed))
    observed = np.isfinite(target) & land
    assert not (held_out & ~observed).any()
    assert table.report["held_out"] == np.count_nonzero(held_out)
    assert table.report["observed"] == np.count_nonzero(observed)
    assert table.report["reached"] == pytest.approx(held_out.sum() / observed.sum())
    assert table.report["tiles"] == np.count_nonzero(table.donor >= 0)
    # A tile of 110 cells is taken if that brings the total closer: at most half a tile is missed.
    assert abs(held_out.sum() - fraction * observed.sum()) <= 55
    assert json.loads(json.dumps(table.report)) == table.report


@with_examples(st.lists(st.integers(0, 100), min_size=1, max_size=60), st.floats(0, 1), st.integers(0, 99))
def test_taken_is_the_start_of_the_hashed_order_that_comes_closest(cells, share, seed):
    cells = np.array([*cells, 7], np.int32).reshape(-1, 1, 1)
    plan = GapPlan(cells.shape, (1, 1), share, seed)
    units = np.flatnonzero(cells)
    units = units[np.argsort(order_key(units, seed, "gaps.unit"))]
    wanted = share * cells.sum()
    miss = np.abs(np.cumsum(cells.ravel()[units]) - wanted)
    taken = np.flatnonzero(gaps._take(cells, plan, wanted))
    assert set(taken) == set(units[: taken.size])
    assert miss[taken.size - 1] == pytest.approx(miss.min())


@settings(max_examples=25, deadline=None)
@with_examples(st.integers(0, 10**6))
def test_each_gap_has_the_shape_of_its_donors_gap(seed):
    target, land = spotted(SHAPE, seed)
    table, held_out = hold_out(target, land, config(seed=seed))
    observed = np.isfinite(target) & land
    for t, row, column in np.ndindex(*table.donor.shape):
        tile = (slice(row * 10, row * 10 + 10), slice(column * 11, column * 11 + 11))
        here, donor = held_out[t][tile], table.donor[t, row, column]
        assert donor != t
        if donor < 0:
            assert not here.any()
        else:
            np.testing.assert_array_equal(here, observed[t][tile] & np.isnan(target[donor][tile]))
            assert 0.05 <= here.sum() / observed[t][tile].sum() <= 0.95


def test_values_do_not_matter_only_where_they_are():
    target, land = spotted(SHAPE, 4)
    _, held_out = hold_out(target, land, config())
    _, again = hold_out(np.where(np.isfinite(target), np.float32(1e6), target), land, config())
    np.testing.assert_array_equal(again, held_out)


def test_same_seed_same_gaps_and_another_seed_others():
    target, land = spotted(SHAPE, 4)
    drawn = [hold_out(target, land, config(seed=seed))[1] for seed in (0, 0, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert (drawn[2] != drawn[3]).any()


def test_gaps_are_spread_over_dates_and_places():
    target, land = spotted((20, 60, 66), 8)
    _, held_out = hold_out(target, land, config(0.15))
    assert held_out.any(axis=(1, 2)).sum() >= 15
    assert held_out.any(axis=0).reshape(6, 10, 6, 11).any(axis=(1, 3)).sum() >= 25


@pytest.mark.parametrize("dates", [2, 3, 7, 8, 9, 10, 46, 184])
def test_donors_are_different_other_dates(dates):
    donors = plan_gaps((dates, 30, 33), config()).donors(1, 2)
    assert donors.shape == (dates, min(8, dates - 1))
    for date, row in enumerate(donors):
        assert len(set(row.tolist()) | {date}) == row.size + 1
        assert row.min() >= 0
        assert row.max() < dates


def test_donors_of_tiles_differ_and_come_from_the_whole_series():
    plan = plan_gaps((46, 30, 33), config())
    assert (plan.donors(0, 0) != plan.donors(0, 1)).any()
    assert np.ptp(plan.donors(0, 0), axis=1).min() > 23
    assert len(np.unique(plan.donors(0, 0)[:, 0])) > 15


def test_polar_night_neither_gives_nor_takes():
    target, land = spotted(SHAPE, 6, missing=0.3)
    target[:3, :10] = np.nan  # the first rows of tiles see nothing on the first three dates
    table, held_out = hold_out(target, land, config(0.2))
    assert (table.donor[:3, 0] == -1).all()
    assert not held_out[:3, :10].any()
    assert not np.isin(table.donor[3:, 0], [0, 1, 2]).any()
    assert (table.donor[3:, 0] >= 0).any()


def test_off_the_mask_nothing_is_held_out_and_nothing_decides():
    target, land = spotted(SHAPE, 6)
    _, held_out = hold_out(target, land, config())
    other = np.where(land, target, np.float32(250))
    _, with_sea_ice = hold_out(other, land, config())
    np.testing.assert_array_equal(with_sea_ice, held_out)


def test_more_than_there_is_gives_what_there_is_and_says_so(caplog):
    target, land = spotted(SHAPE, 6)
    with caplog.at_level(logging.WARNING, "lstfill"):
        table, _ = hold_out(target, land, config(0.9))
    assert 0.1 < table.report["reached"] < 0.8
    assert f"{table.report['held_out']} of {table.report['observed']} observed land values" in caplog.text


def test_one_date_is_refused():
    with pytest.raises(
        DataError, match=r"split: 1 date in the cube: .* clouds cuts out the gaps of other dates; widen"
    ):
        plan_gaps((1, 30, 33), config())


def test_a_cube_without_gaps_is_refused_with_the_numbers():
    target, land = np.ones(SHAPE, np.float32), np.ones(SHAPE[1:], bool)
    message = (
        r"hide 5% to 95% of another date's values in a tile of \(10, 11\) cells \(6930 observed land values, 7 dates\)"
    )
    with pytest.raises(DataError, match=message):
        hold_out(target, land, config())
    with pytest.raises(DataError, match="no observed land value, so no gap can be held out: check the mask"):
        hold_out(target, ~land, config())


def test_a_window_without_all_dates_is_a_mistake_of_the_caller():
    target, land = spotted(SHAPE, 1)
    plan = plan_gaps(SHAPE, config())
    with pytest.raises(ValueError, match="need all 7 dates of a cell, the chunk has 3"):
        count_candidates(chunk(target, land, Window((0, 0, 0), (3, 30, 33))), plan)


def test_donors_are_pinned_so_that_no_release_changes_a_split():
    assert plan_gaps((10, 30, 33), config(seed=42)).donors(1, 1)[:3].tolist() == [
        [7, 5, 3, 1, 8, 6, 4, 2],
        [5, 3, 0, 8, 6, 4, 2, 9],
        [4, 1, 9, 7, 5, 3, 0, 8],
    ]
