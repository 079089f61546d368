"""Artificial gaps: cut from what is visible, with the shapes and sizes of real ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstfill.gaps import artificial_gaps, gap_size

PARTS = 4


def scene(dates=24, side=40, sea=0.3, seed=0):
    """Every other date has gaps of 20 to 97 % of the land in patches, on a land with a coast."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    land = np.broadcast_to(np.arange(side) >= sea * side, (side, side)).copy()
    noise = gaussian_filter(rng.normal(size=(dates, side, side)), [0, 4, 4])
    share = np.where(np.arange(dates) % 2, np.linspace(0.2, 0.97, dates), 0.0)
    missing = noise < np.quantile(noise, share, axis=(1, 2)).diagonal()[:, None, None]
    missing[share == 0] = False
    return land & ~missing, land


def over_all_parts(visible, land, seed=(0,), **options):
    return [artificial_gaps(visible, land, seed, part, PARTS, **options) for part in range(PARTS)]


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 6), st.integers(1, 8), st.integers(1, 8)).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape[1:]))), st.integers(0, 3))  # fmt: skip
def test_only_visible_cells_of_the_part_s_dates_are_hidden_and_always_the_same(masks, part):
    visible, land = masks[0] & masks[1], masks[1]
    hidden = artificial_gaps(visible, land, (7,), part, PARTS)
    assert not (hidden & ~visible).any()
    assert not hidden[np.arange(len(visible)) % PARTS != part].any()
    np.testing.assert_array_equal(hidden, artificial_gaps(visible.copy(), land, (7,), part, PARTS))


def test_over_all_parts_each_date_has_a_gap_once():
    visible, land = scene()
    rounds = over_all_parts(visible, land)
    assert (np.sum([hidden.any(axis=(1, 2)) for hidden in rounds], axis=0) == 1).all()


def test_shares_are_those_of_the_real_gaps_a_coast_notwithstanding():
    visible, land = scene()
    real = 1 - visible.sum(axis=(1, 2)) / land.sum()
    hidden = np.any(over_all_parts(visible, land), axis=0).sum(axis=(1, 2)) / visible.sum(axis=(1, 2))
    assert np.mean(hidden) == pytest.approx(np.mean(real[real > 0]), abs=0.1)
    # A date of which nearly all is missing is as frequent as it is, whatever the coast leaves of its shape.
    assert np.mean(hidden > 0.9) == pytest.approx(np.mean(real[real > 0] > 0.9), abs=0.1)


def test_gaps_hang_together_as_the_real_ones_do():
    visible, land = scene()
    hidden = np.any(over_all_parts(visible, land), axis=0)
    assert np.median(gap_size(hidden)[hidden]) > 200


def test_other_seeds_hide_other_cells():
    visible, land = scene()
    assert (artificial_gaps(visible, land, (0,), 0, PARTS) != artificial_gaps(visible, land, (1,), 0, PARTS)).any()


def test_what_is_out_of_sight_without_a_gap_gives_no_shape():
    land = np.ones((40, 40), bool)
    aside = np.zeros((8, 40, 40), bool)
    aside[:, 5:15, 5:15] = True
    cut = artificial_gaps(~aside, land, (0,), 0, PARTS, aside)
    shares = cut.sum(axis=(1, 2))[::PARTS] / (~aside)[0].sum()
    assert ((shares > 0.1) & (shares < 0.9)).all()  # sides of a line: there is no gap to take
    blocks = artificial_gaps(~aside, land, (0,), 0, PARTS)
    assert (blocks.sum(axis=(1, 2))[::PARTS] <= 100).all()


def test_a_gap_goes_on_over_what_is_out_of_sight():
    land = np.ones((30, 30), bool)
    visible = np.ones((8, 30, 30), bool)
    visible[1::2, 10:] = False  # two thirds of every other date
    aside = np.zeros_like(visible)
    aside[:, 12:28, :16] = True
    hidden = artificial_gaps(visible & ~aside, land, (0,), 0, PARTS, aside)
    for date in (0, 4):
        assert hidden[date].sum() / (visible & ~aside)[date].sum() == pytest.approx(0.66, abs=0.2)


def test_a_date_without_anything_visible_stays_as_it_is():
    visible = np.zeros((4, 5, 5), bool)
    assert not artificial_gaps(visible, np.ones((5, 5), bool), (0,), 0, 1).any()
