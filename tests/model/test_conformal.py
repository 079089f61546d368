"""Calibrations fitted to errors whose law is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.errors import DataError
from lstfill.gaps import LABELS
from lstfill.model import Reach, Residuals, fit_calibration
from lstfill.model.calibration import LEVELS
from lstfill.model.conformal import ENOUGH_BLOCKS, PRIOR, quantile

NAMES = list(LABELS)


def errors(n=20_000, blocks=200, seed=0, scale=None, spread=None, bias=0.0):
    """Normal errors of as many cells in each block, whose scale in K depends on their classes ``(n, names)``."""
    rng = np.random.default_rng(seed)
    classes = np.stack([rng.integers(0, len(of), n) for of in LABELS.values()], axis=1).astype(np.int8)
    sigma = np.ones(n) if scale is None else scale(dict(zip(NAMES, classes.T, strict=True)))
    own = np.full(n, np.nan) if spread is None else spread(sigma, rng)
    residual = bias + sigma * rng.normal(size=n)
    block = rng.integers(0, blocks, n)
    return Residuals(residual.astype("f4"), own.astype("f4"), classes, block, np.ones(n, "f4"))


def growing(classes):
    """An error that grows with the distance, and is worse in summer."""
    return np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8])[classes["distance"]] * np.where(classes["season"] == 2, 1.5, 1.0)


def inside(calibration, of):
    """Whether each error lies in its interval ``(levels, n)``."""
    classes = of.named()
    half = calibration.scale(of.spread, classes)[:, None] * np.asarray(calibration.quantiles)[classes["season"]]
    return np.abs(of.residual) <= half.T


def test_intervals_hold_their_share_of_new_errors_at_every_level_and_in_every_group():
    calibration = fit_calibration([errors(scale=growing)], Reach.TILE, "gaps")
    new = errors(seed=1, scale=growing)
    hit = inside(calibration, new)
    np.testing.assert_allclose(hit.mean(axis=1), LEVELS, atol=0.01)
    for name in ("distance", "season", "gap_size"):
        for code in range(len(LABELS[name])):
            assert hit[LEVELS.index(0.9), new.named()[name] == code].mean() == pytest.approx(0.9, abs=0.025)


def test_a_model_that_does_not_look_around_is_told_by_season_and_latitude_alone():
    of = errors(scale=lambda classes: np.where(classes["latitude"] == 0, 3.0, 1.0))
    calibration = fit_calibration([of], Reach.CELL, "samples")
    assert set(calibration.factors) == {"latitude", "season"}
    assert calibration.groups == ("latitude", "season")
    hit = inside(calibration, of)[LEVELS.index(0.9)]
    for band in range(6):
        assert hit[of.named()["latitude"] == band].mean() == pytest.approx(0.9, abs=0.02)


def test_factors_are_the_ratios_of_the_scales():
    found = fit_calibration([errors(scale=growing)], Reach.TILE, "gaps").factors
    distance = np.asarray(found["distance"])
    np.testing.assert_allclose(np.exp(np.diff(distance)), [1.4, 1.43, 1.4, 1.43, 1.4], rtol=0.1)
    assert np.abs(found["missing"]).max() < 0.06


@pytest.mark.parametrize(
    ("spread", "power"),
    [
        (lambda sigma, _: 3 * sigma, 1.0),
        (lambda sigma, _: sigma**2, 0.5),
        (lambda sigma, rng: rng.uniform(1, 3, sigma.size), 0.0),
        (None, 0.0),
    ],
)
def test_the_own_spread_counts_for_what_it_tells(spread, power):
    sigma = lambda classes: 1.0 + np.arange(classes["days"].size) % 7  # noqa: E731 - told by no class
    of = errors(scale=sigma, spread=spread)
    calibration = fit_calibration([of], Reach.TILE, "gaps")
    assert calibration.power == pytest.approx(power, abs=0.05)
    assert inside(calibration, of)[3].mean() == pytest.approx(0.9, abs=0.01)


def test_a_spread_is_believed_where_there_is_one():
    of = errors(scale=growing, spread=lambda sigma, rng: np.where(rng.random(sigma.size) < 0.2, np.nan, sigma))
    calibration = fit_calibration([of], Reach.TILE, "gaps")
    assert np.isfinite(calibration.scale(of.spread, of.named())).all()
    assert calibration.typical == pytest.approx(np.nanmedian(of.spread))


def test_a_bias_is_part_of_the_error():
    of = errors(bias=3.0)
    calibration = fit_calibration([of], Reach.TILE, "gaps")
    assert inside(calibration, of)[3].mean() == pytest.approx(0.9, abs=0.01)
    assert np.asarray(calibration.quantiles)[0, 3] * calibration.scale(None, of.named()).mean() > 4


def test_thousands_of_errors_of_one_date_say_no_more_than_one():
    """Without blocks the last class would be told from 5000 errors; it is of one date, as bad as dates can be."""
    of = errors(blocks=40)
    of.classes[:, NAMES.index("missing")] = 0
    bad = np.arange(len(of)) < 5000
    of.classes[bad, NAMES.index("missing")] = 5
    of.block[bad] = 99
    of.residual[bad] *= 4
    found = fit_calibration([of], Reach.TILE, "gaps").factors["missing"]
    assert found[5] == 0.0


def test_what_few_blocks_say_is_shrunk():
    rng = np.random.default_rng(0)
    weather = np.exp(rng.normal(0, 0.7, 400))  # every date has its own scale of errors
    few, many = (errors(blocks=n) for n in (8, 400))
    for of in (few, many):
        of.residual[:] *= weather[of.block]
        of.classes[:, NAMES.index("season")] = of.block % 4
    spans = [np.ptp(fit_calibration([of], Reach.TILE, "gaps").factors["season"]) for of in (few, many)]
    assert spans[0] < 3 * PRIOR
    assert len(np.unique(few.block)) < ENOUGH_BLOCKS < len(np.unique(many.block))


def test_pieces_may_come_in_any_order():
    of = errors(n=4000, scale=growing)
    pieces = [of.where(np.arange(4000) % 3 == k) for k in range(3)]
    one, other = (fit_calibration(given, Reach.TILE, "gaps") for given in (pieces, pieces[::-1]))
    for name, factors in one.factors.items():
        np.testing.assert_allclose(factors, other.factors[name], atol=1e-9)
    np.testing.assert_allclose(one.quantiles, other.quantiles, rtol=1e-6)


def test_rows_count_as_many_cells_as_they_stand_for():
    of = errors(n=20_000, scale=growing)
    twice = Residuals.joined([of, of])
    heavy = Residuals(of.residual, of.spread, of.classes, of.block, of.weight * 2)
    one, other = (fit_calibration([given], Reach.TILE, "gaps") for given in (twice, heavy))
    assert one.residuals == other.residuals == 40_000
    np.testing.assert_allclose(one.quantiles, other.quantiles, rtol=0.01)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_few_errors_give_finite_widths(n):
    calibration = fit_calibration([errors(n=n)], Reach.TILE, "gaps")
    assert np.isfinite(calibration.quantiles).all()
    assert (np.diff(calibration.quantiles, axis=1) >= 0).all()


def test_errors_of_zero_have_a_width_of_about_zero():
    of = errors(n=100)
    of.residual[:] = 0
    calibration = fit_calibration([of], Reach.TILE, "gaps")
    assert inside(calibration, of).all()
    assert np.isfinite(calibration.scale(None, of.named())).all()


@pytest.mark.parametrize("residual", [[], [np.nan, np.nan]])
def test_nothing_to_measure_is_refused(residual):
    n = len(residual)
    classes = np.zeros((n, len(LABELS)), np.int8)
    of = Residuals(np.array(residual, "f4"), np.ones(n, "f4"), classes, np.arange(n), np.ones(n, "f4"))
    with pytest.raises(DataError, match="no error of artificial gaps is finite"):
        fit_calibration([of], Reach.TILE, "artificial gaps")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.sampled_from(LEVELS))
def test_quantiles_are_those_of_conformal_prediction(values, level):
    """The ``ceil(level (n + 1))``-th smallest (Lei et al. 2018, algorithm 2)."""
    rank = math.ceil(level * (len(values) + 1) - 1e-9)
    expected = sorted(values)[min(rank, len(values)) - 1]
    assert quantile(np.array(values), np.ones(len(values)), level) == expected


def test_no_piece_at_all_is_refused():
    with pytest.raises(DataError, match="no error of artificial gaps is finite"):
        fit_calibration([], Reach.TILE, "artificial gaps")
