"""Tiles filled date by date: against their truth, and where next to nothing is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.model.local import fill as filling
from lstfill.model.local.fill import FEWEST, FEWEST_FOR_TREES, fill_tile
from lstfill.modelconfig import Local
from tests.model import tiles

TRUTH = tiles.truth((10, 32, 32))


@pytest.fixture(scope="module")
def made():
    return tiles.chunk(TRUTH, features=("t2m",))


def errors(chunk, options=None):
    prediction = fill_tile(chunk, options or Local(), 0)
    gaps = ~chunk.visible() & chunk.land
    return (prediction.value - TRUTH)[gaps], prediction.spread[gaps]


def test_it_is_far_better_than_date_and_cell_means(made):
    error, _ = errors(made)
    means = filling.Scene.of(made, robust=True).means
    plain = (means.date[:, None, None] + means.cell.reshape(32, 32) - TRUTH)[~made.visible()]
    assert np.abs(error).mean() < 0.75 * np.abs(plain).mean()


def test_the_spread_is_about_as_large_as_the_error(made):
    error, spread = errors(made)
    assert (spread > 0).all()
    assert np.mean((error / spread) ** 2) == pytest.approx(1.0, abs=0.6)


def test_visible_and_hidden_values_have_no_part_in_where_it_predicts(made):
    prediction = fill_tile(made, Local(), 0)
    np.testing.assert_array_equal(np.isfinite(prediction.value), ~made.visible())
    hidden = tiles.hidden(made)
    again = fill_tile(replace(made, target=np.where(hidden, np.float32(7), made.target)).hiding(hidden), Local(), 0)
    np.testing.assert_array_equal(again.value, fill_tile(made.hiding(hidden), Local(), 0).value)


def test_the_same_bits_again_and_without_features(made):
    plain = replace(made, features={})
    np.testing.assert_array_equal(fill_tile(plain, Local(), 3).value, fill_tile(plain, Local(), 3).value)
    assert np.isfinite(errors(plain)[0]).all()


@pytest.mark.parametrize("known", [0, 1, FEWEST - 1, FEWEST, 40, FEWEST_FOR_TREES + 5])
@pytest.mark.parametrize("features", [True, False])
def test_a_date_with_few_values_is_filled_whole(made, known, features):
    hidden = np.zeros(made.target.shape, bool)
    hidden[4] = True
    hidden[4].flat[np.flatnonzero(made.visible()[4])[:known]] = False
    chunk = made.hiding(hidden) if features else replace(made, features={}).hiding(hidden)
    prediction = fill_tile(chunk, Local(), 0)
    assert np.isfinite(prediction.value[4][~chunk.visible()[4]]).all()
    assert np.abs(prediction.value[4] - TRUTH[4])[~chunk.visible()[4]].mean() < 12
    assert (prediction.spread[4][~chunk.visible()[4]] > 0).all()


def test_a_blind_date_is_doubted_more_than_one_that_is_seen(made):
    hidden = np.zeros(made.target.shape, bool)
    hidden[4] = True
    prediction = fill_tile(replace(made, features={}).hiding(hidden), Local(), 0)
    spread = np.nanmean(prediction.spread, axis=(1, 2))
    assert spread[4] > 1.5 * np.nanmean(np.delete(spread, 4))


@pytest.mark.parametrize("dates", [1, 2])
def test_one_or_two_dates_are_filled_from_what_is_around(dates):
    few = tiles.chunk(TRUTH[:dates])
    hidden = np.zeros(few.target.shape, bool)
    hidden[0, 5:11, 5:11] = True
    chunk = few.hiding(hidden)
    prediction = fill_tile(chunk, Local(), 0)
    gaps = ~chunk.visible()
    assert np.isfinite(prediction.value[gaps]).all()
    assert np.abs(prediction.value - TRUTH[:dates])[gaps].mean() < 3


def test_a_cell_that_is_never_seen_is_filled(made):
    hidden = np.zeros(made.target.shape, bool)
    hidden[:, 10:14, 10:14] = True
    assert np.isfinite(errors(made.hiding(hidden))[0]).all()


def test_nothing_visible_is_nothing_to_go_by(made):
    prediction = fill_tile(made.hiding(np.ones(made.target.shape, bool)), Local(), 0)
    assert np.isnan(prediction.value).all()


def test_features_that_are_missing_do_no_harm(made):
    air = np.full(made.target.shape, np.nan, np.float32)
    assert np.isfinite(errors(replace(made, features={"t2m": air}))[0]).all()


@pytest.mark.parametrize(("row", "column"), [(4, 14), (12, 22), (20, 4)])
def test_an_undetected_cloud_does_less_harm_around_it_if_robust(made, row, column):
    cloudy, step = made.target.copy(), 5
    at = (step, slice(row, row + 3), slice(column, column + 3))
    cloudy[at] = np.where(made.visible()[at], cloudy[at] - 45, cloudy[at])
    chunk, around = replace(made, target=cloudy), (step, slice(row - 3, row + 6), slice(column - 3, column + 6))
    robust, plain = (
        np.nanmean(np.abs(fill_tile(chunk, Local(robust=way), 0).value - TRUTH)[around]) for way in (True, False)
    )
    assert robust < plain


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 999), st.floats(0.05, 0.97))
def test_whatever_is_missing_everything_is_filled(seed, missing):
    chunk = tiles.chunk(TRUTH[:4, :18, :18], missing, seed)
    prediction = fill_tile(chunk, Local(), 0)
    if chunk.visible().any():
        assert np.isfinite(prediction.value[~chunk.visible()]).all()


def test_a_value_far_from_all_others_of_its_date_is_no_block_of_its_own(made):
    hidden = np.zeros(made.target.shape, bool)
    hidden[4] = True
    hidden[4, 2:16, 2:16] = False
    hidden[4, 30, 30] = False
    chunk = replace(made, target=TRUTH).hiding(hidden)
    scene = filling.Scene.of(chunk, robust=True)
    known, wanted = np.flatnonzero(scene.seen[4]), np.flatnonzero(~scene.seen[4])
    fold = filling._folds(scene, known, wanted, 5)
    assert len(known) - np.bincount(fold).max() >= FEWEST
    error, _ = errors(chunk)
    assert np.abs(error).mean() < 2
