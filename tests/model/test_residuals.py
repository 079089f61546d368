"""Errors on artificial gaps: whose, where, and how many of them are kept."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lstfill.gaps import LABELS, PARTS, surroundings
from lstfill.model import Axes, Prediction, Residuals, Tile, calibration_gaps, residuals_of
from lstfill.model.residuals import MOST, SAMPLES, residuals_of_samples
from lstfill.split import Part
from tests.model.tiles import chunk, truth

FITS, LOOKS = SimpleNamespace(fits_samples=True), SimpleNamespace(fits_samples=False)


@pytest.fixture(scope="module")
def tile():
    made = chunk(truth())
    part = np.broadcast_to((np.arange(40) // 4 % 3).astype("int8"), made.shape)  # stripes of the three parts
    return Tile(replace(made, part=part), (slice(5, 35), slice(5, 35)))


def hidden_in(tile, turn=0):
    return calibration_gaps(tile.chunk, 0, 0, turn)


def off_by(tile, hidden, error=1.5, spread=0.7):
    """A prediction that is wrong by as much everywhere."""
    value = np.where(hidden, tile.chunk.target, np.nan) + np.float32(error)
    return Prediction(value, None if spread is None else np.full(value.shape, spread, np.float32))


@pytest.mark.parametrize(("model", "parts"), [(FITS, [Part.VALIDATION]), (LOOKS, [Part.TRAIN, Part.VALIDATION])])
def test_errors_are_of_hidden_core_cells_of_the_parts_that_were_not_fitted(tile, model, parts):
    hidden = hidden_in(tile)
    found = residuals_of(off_by(tile, hidden), tile, hidden, model)
    core = np.zeros(hidden.shape, bool)
    core[:, 5:35, 5:35] = True
    wanted = hidden & core & np.isin(tile.chunk.part, parts)
    assert wanted.any()
    assert found.weight.sum() == pytest.approx(wanted.sum())
    np.testing.assert_allclose(found.residual, 1.5, atol=1e-4)
    np.testing.assert_allclose(found.spread, 0.7)


def test_surroundings_are_those_of_the_hidden_cells(tile):
    hidden = hidden_in(tile) & (np.arange(24) == 4)[:, None, None]
    found = residuals_of(off_by(tile, hidden), tile, hidden, LOOKS)
    cells = hidden & np.isin(tile.chunk.part, [0, 1])
    cells[:, :5] = cells[:, 35:] = cells[:, :, :5] = cells[:, :, 35:] = False
    expected = surroundings(tile.chunk.hiding(hidden), np.flatnonzero(cells))
    assert list(found.named()) == list(LABELS)
    for name, codes in found.named().items():
        np.testing.assert_array_equal(codes, expected[name], err_msg=name)


def test_a_model_without_spread_has_none_and_what_it_cannot_predict_is_no_error(tile):
    hidden = hidden_in(tile)
    prediction = off_by(tile, hidden, spread=None)
    prediction.value[:, 20:] = np.nan
    found = residuals_of(prediction, tile, hidden, LOOKS)
    assert np.isnan(found.spread).all()
    upper = hidden_in(tile) & (np.arange(40) < 20)[:, None]
    assert found.weight.sum() == pytest.approx(residuals_of(off_by(tile, upper), tile, upper, LOOKS).weight.sum())


def test_a_block_is_a_date_of_a_region_wherever_the_tile_ends(tile):
    hidden = hidden_in(tile)
    one = residuals_of(off_by(tile, hidden), tile, hidden, LOOKS)
    assert len(np.unique(one.block)) == np.count_nonzero(hidden.any(axis=(1, 2)))
    beside = Tile(replace(tile.chunk, lon=tile.chunk.lon + 1), tile.core)
    assert set(residuals_of(off_by(beside, hidden), beside, hidden, LOOKS).block) == set(one.block)
    far = Tile(replace(tile.chunk, lon=tile.chunk.lon + 30), tile.core)
    assert not set(residuals_of(off_by(far, hidden), far, hidden, LOOKS).block) & set(one.block)


def test_of_many_errors_those_kept_stand_for_all():
    tile = Tile(chunk(truth((8, 120, 120)), missing=0.1), (slice(None), slice(None)))
    hidden = np.any([hidden_in(tile, turn) for turn in range(PARTS)], axis=0)
    found = residuals_of(off_by(tile, hidden), tile, hidden, LOOKS)
    assert len(found) <= MOST < hidden.sum()
    assert found.weight.sum() == pytest.approx(hidden.sum(), rel=1e-5)
    everywhere = surroundings(tile.chunk.hiding(hidden), np.flatnonzero(hidden))
    for name in ("gap_size", "distance"):
        n = len(LABELS[name])
        kept = np.bincount(found.named()[name], found.weight, n) / hidden.sum()
        np.testing.assert_allclose(kept, np.bincount(everywhere[name], minlength=n) / hidden.sum(), atol=0.02)


def test_pieces_join_to_all_their_rows(tile):
    hidden = hidden_in(tile)
    one = residuals_of(off_by(tile, hidden), tile, hidden, LOOKS)
    both = Residuals.joined([one, one.where(np.arange(len(one)) < 3)])
    assert len(both) == len(one) + 3
    assert both.classes.shape == (len(one) + 3, len(LABELS))


def test_turns_give_every_date_gaps_and_then_other_ones(tile):
    turns = [hidden_in(tile, turn) for turn in range(2 * PARTS)]
    for turn, hidden in enumerate(turns):
        assert set(np.flatnonzero(hidden.any(axis=(1, 2)))) <= set(range(turn % PARTS, 24, PARTS))
        assert not (hidden & ~tile.chunk.visible()).any()
    assert all((turns[k] != turns[k + PARTS]).any() for k in range(PARTS))
    assert (calibration_gaps(tile.chunk, 1, 0, 0) != turns[0]).any()


def test_samples_know_their_band_season_and_block():
    time = np.array(["2008-01-15", "2008-07-15"], "datetime64[ns]")
    axes = Axes(time, np.array([-45.0, 5.0, 75.0]), np.array([0.0, 100.0]))
    found = residuals_of_samples(np.arange(12.0) - 6, np.arange(12), axes)
    named = found.named()
    assert [LABELS["latitude"][k] for k in named["latitude"][:6:2]] == ["60S-30S", "0-30N", "60N-90N"]
    assert [LABELS["season"][k] for k in named["season"][::6]] == ["DJF", "JJA"]
    assert len(np.unique(found.block)) == 12
    assert found.residual.tolist() == list(range(-6, 6))


def test_of_a_large_shard_evenly_spread_samples_are_kept():
    n = 3 * SAMPLES
    axes = Axes(np.array(["2008-01-15"], "datetime64[ns]"), np.array([5.0]), np.arange(n) * 1e-3)
    found = residuals_of_samples(np.arange(n, dtype=np.float32), np.arange(n), axes)
    assert found.residual.tolist() == list(range(0, n, 3))
    assert found.weight.sum() == n
