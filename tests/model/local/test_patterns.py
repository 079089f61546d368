"""Patterns of the dates, and scores without a date."""

import numpy as np
import pytest

from lstfill.model.local.additive import Additive
from lstfill.model.local.patterns import OWN, fit_patterns


def additive(left, cell=None):
    """What is left of values ``(time, n)`` whose dates are all at zero."""
    cell = np.zeros(left.shape[1]) if cell is None else cell
    return Additive(np.zeros_like(left), np.zeros(len(left)), cell, left)


def low_rank(dates=12, cells=400, rank=2, noise=0.2, missing=0.4, seed=0):
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(dates, rank)) @ rng.normal(size=(rank, cells))
    values = whole + rng.normal(0, noise, whole.shape)
    return whole, np.where(rng.random(whole.shape) < missing, np.nan, values)


def naive_without(patterns, step, cell):
    """Posterior of one cell's scores from the rows that are seen, by the formula of a linear Gaussian model."""
    rows = [t for t in range(len(patterns.own)) if patterns.seen[t, cell] and t != step]
    weights, own = patterns.weights[rows], np.diag(patterns.own[rows])
    within = weights @ weights.T + own
    gain = weights.T @ np.linalg.inv(within)
    return gain @ patterns.left[rows, cell], np.eye(weights.shape[1]) - gain @ weights


@pytest.mark.parametrize("step", [0, 7])
def test_scores_without_a_date_are_those_of_a_gaussian_model_that_never_saw_it(step):
    patterns = fit_patterns(additive(low_rank(cells=60)[1]), 4)
    scores, covariance = patterns.without(step)
    for cell in range(0, 60, 7):
        mean, spread = naive_without(patterns, step, cell)
        np.testing.assert_allclose(scores[cell], mean, atol=1e-9)
        np.testing.assert_allclose(covariance[cell], spread, atol=1e-9)


def test_a_value_of_the_date_moves_no_score_without_it_but_through_the_weights():
    values = low_rank()[1]
    patterns = fit_patterns(additive(values), 4)
    moved = np.flatnonzero(patterns.seen[3])[0]
    patterns.left[3, moved] += 5.0
    again, _ = patterns.without(3)
    patterns.left[3, moved] -= 5.0
    first, _ = patterns.without(3)
    other = np.delete(np.arange(values.shape[1]), moved)
    np.testing.assert_allclose(again[other], first[other])


def test_it_predicts_a_date_of_low_rank_from_the_others_as_well_where_it_is_seen_as_where_it_is_not():
    whole, values = low_rank(cells=5000)
    patterns = fit_patterns(additive(values), 4)
    error = np.stack([patterns.value(t, patterns.without(t)[0]) - whole[t] for t in range(len(whole))])
    seen = np.isfinite(values)
    assert np.abs(error).mean() < 0.4 * np.abs(whole).mean()
    assert np.abs(error[seen]).mean() == pytest.approx(np.abs(error[~seen]).mean(), rel=0.15)


def test_its_doubt_is_the_deviation_of_its_errors():
    whole, values = low_rank(dates=20, cells=20000, noise=0.5)
    patterns = fit_patterns(additive(values), 3)
    scores, covariance = patterns.without(4)
    unseen = np.isnan(values[4])
    measured = whole[4] + np.random.default_rng(9).normal(0, 0.5, whole.shape[1])
    ratio = (patterns.value(4, scores) - measured)[unseen] / patterns.doubt(4, covariance)[unseen]
    assert ratio.std() == pytest.approx(1.0, abs=0.2)


def test_the_deviation_of_a_cell_comes_from_its_other_dates():
    rng = np.random.default_rng(1)
    cell = rng.normal(0, 5, 300)
    values = cell + rng.normal(0, 0.5, (15, 300))
    patterns = fit_patterns(additive(values, values.mean(axis=0)), 3)
    for step in (0, 14):
        others = np.delete(values, step, axis=0).mean(axis=0)
        np.testing.assert_allclose(patterns.value(step, patterns.without(step)[0]), others, atol=0.5)


def test_a_cell_seen_on_no_other_date_has_scores_of_zero_and_full_doubt():
    values = low_rank()[1]
    values[:, 0] = np.nan
    values[2, 0] = 4.0
    scores, covariance = fit_patterns(additive(values), 4).without(2)
    np.testing.assert_allclose(scores[0], 0.0, atol=1e-9)
    np.testing.assert_allclose(covariance[0], np.eye(5), atol=1e-9)


def test_dates_that_hardly_meet_tell_each_other_little():
    rng = np.random.default_rng(2)
    common = rng.normal(size=4000)
    far = np.stack([common, common]) + 1e-3 * rng.normal(size=(2, 4000))
    near = far.copy()
    near[0, 20:], near[1, :10] = np.nan, np.nan
    alike = [fit_patterns(additive(of), 1).weights[:, 1].prod() for of in (far, near)]
    assert alike[0] > 0.8
    assert alike[1] < 0.6


def test_every_date_keeps_a_share_of_its_own():
    values = np.tile(np.random.default_rng(3).normal(size=5000), (6, 1))
    assert fit_patterns(additive(values), 3).own.min() >= OWN


def test_the_largest_weight_of_a_pattern_is_positive():
    weights = fit_patterns(additive(low_rank()[1]), 4).weights[:, 1:]
    assert (weights[np.abs(weights).argmax(axis=0), range(4)] > 0).all()


@pytest.mark.parametrize("dates", [1, 2])
def test_there_are_no_more_patterns_than_dates(dates):
    values = low_rank(dates=dates)[1]
    patterns = fit_patterns(additive(values), 12)
    assert patterns.weights.shape == (dates, dates + 1)
    scores, _ = patterns.without(0)
    assert np.isfinite(patterns.value(0, scores)).all()


def test_a_date_without_a_value_has_no_weights():
    values = low_rank()[1]
    values[5] = np.nan
    patterns = fit_patterns(additive(values), 4)
    np.testing.assert_allclose(patterns.weights[5, 1:], 0.0, atol=1e-9)
