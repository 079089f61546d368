"""Calibrations in use: an uncertainty for each cell, the same by way of a tile, and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from lstfill.gaps import LABELS, surroundings
from lstfill.model import Calibration, Prediction
from lstfill.model.calibration import LEVELS
from tests.model.calibrations import AROUND, CALIBRATION
from tests.model.tiles import chunk, truth


@pytest.fixture(scope="module")
def tile():
    return chunk(truth())


@pytest.fixture(scope="module")
def cells(tile):
    return np.flatnonzero(~tile.visible())


def predicted(tile, spread=None):
    value = np.full(tile.target.shape, 280, np.float32)
    return Prediction(value, spread)


def own_spread(tile):
    return np.random.default_rng(0).uniform(0.2, 2.0, tile.target.shape).astype(np.float32)


def test_the_scale_is_a_product_of_spread_and_factors(tile, cells):
    spread = own_spread(tile)
    standard, interval = AROUND.uncertainty(tile, predicted(tile, spread), cells)
    classes = surroundings(tile, cells)
    for k in range(0, len(cells), 97):
        at = {name: codes[k] for name, codes in classes.items()}
        scale = spread.flat[cells[k]] ** AROUND.power
        for name, factors in AROUND.factors.items():
            scale *= np.exp(factors[at[name]])
        scale *= np.exp(AROUND.group_factors[at["gap_size"]][at["season"]])
        assert standard[k] == pytest.approx(scale * AROUND.quantiles[at["season"]][1], rel=1e-5)
        assert interval[k] == pytest.approx(scale * AROUND.quantiles[at["season"]][3], rel=1e-5)


def test_without_a_spread_the_typical_one_counts(tile, cells):
    spread = np.full(tile.target.shape, AROUND.typical, np.float32)
    spread[0] = np.nan
    with_one = AROUND.standard(tile, spread, cells)
    np.testing.assert_allclose(AROUND.standard(tile, None, cells), with_one, rtol=1e-6)


def test_a_spread_of_zero_is_not_believed(tile, cells):
    found = AROUND.standard(tile, np.zeros(tile.target.shape, np.float32), cells)
    assert (found > 0).all()
    assert np.isfinite(found).all()


def test_widths_grow_with_the_level_and_match_the_pair(tile, cells):
    prediction = predicted(tile, own_spread(tile))
    half = AROUND.half_widths(tile, prediction, cells)
    assert half.shape == (len(LEVELS), len(cells))
    assert (np.diff(half, axis=0) > 0).all()
    np.testing.assert_array_equal(half[[1, 3]], AROUND.uncertainty(tile, prediction, cells))


def test_calibrated_by_the_tile_it_is_the_same_in_any_window(tile, cells):
    prediction = predicted(tile, own_spread(tile))
    made = AROUND.calibrated(tile, prediction, cells)
    assert made.spread is None
    assert np.isnan(made.uncertainty[tile.visible()]).all()
    expected = AROUND.half_widths(tile, prediction, cells)
    window = replace(tile, time=tile.time[3:5], target=tile.target[3:5], features={})
    inside = cells[(cells >= 3 * 1600) & (cells < 5 * 1600)]
    cut = Prediction(made.value[3:5], None, made.uncertainty[3:5])
    found = AROUND.half_widths(window, cut, inside - 3 * 1600)
    np.testing.assert_allclose(found, expected[:, np.isin(cells, inside)], rtol=1e-6)


def test_a_model_that_does_not_look_around_needs_no_neighbours(tile):
    """Cell by cell it is the same as at once: nothing but band and season counts."""
    cells = np.arange(0, tile.target.size, 1111)
    together = CALIBRATION.standard(tile, None, cells)
    blind = replace(tile, target=np.full(tile.target.shape, np.nan, np.float32))
    np.testing.assert_array_equal(CALIBRATION.standard(blind, None, cells), together)
    classes = surroundings(tile, cells, ["latitude", "season"])
    expected = [
        np.exp(CALIBRATION.factors["latitude"][band] + CALIBRATION.factors["season"][season])
        for band, season in zip(classes["latitude"], classes["season"], strict=True)
    ]
    np.testing.assert_allclose(together, expected)


def test_an_unknown_level_is_refused(tile, cells):
    with pytest.raises(ValueError, match=r"0\.42"):
        AROUND.half_widths(tile, predicted(tile), cells, (0.42,))


@pytest.mark.parametrize("calibration", [CALIBRATION, AROUND])
def test_json_round_trip(calibration):
    plain = json.loads(json.dumps(calibration.to_dict(), allow_nan=False))
    assert Calibration.from_dict(plain) == calibration
    assert plain["levels"] == list(LEVELS)


def test_other_levels_are_not_taken_for_these():
    with pytest.raises(ValueError, match=r"calibrated at \[0\.5\]"):
        Calibration.from_dict({**AROUND.to_dict(), "levels": [0.5]})


def test_every_class_has_a_factor():
    assert set(AROUND.factors) == set(LABELS)
    assert all(len(of) == len(LABELS[name]) for name, of in AROUND.factors.items())
