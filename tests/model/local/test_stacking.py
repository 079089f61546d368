"""Weights of predictions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.model.local.stacking import weights


def predicted(errors, n=3000, seed=0):
    """Predictions with independent errors of these deviations, and the values."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=n)
    return np.stack([values + rng.normal(0, of, n) for of in errors], axis=1), values


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=5), st.integers(1, 50))
def test_weights_are_not_negative_and_sum_to_one(errors, n):
    share = weights(*predicted(errors, n))
    assert (share >= 0).all()
    assert share.sum() == pytest.approx(1.0)


def test_equal_predictions_are_weighed_equally():
    np.testing.assert_allclose(weights(*predicted([1.0, 1.0, 1.0])), 1 / 3, atol=0.03)


def test_independent_errors_are_weighed_by_their_variance_and_drawn_together():
    share = weights(*predicted([1.0, 2.0]))
    assert 0.5 < share[0] < 0.8
    assert share[0] == pytest.approx((4 + 0.25) / (1 + 4 + 0.5), abs=0.03)


def test_a_prediction_that_adds_nothing_to_a_better_one_gets_none():
    values = np.random.default_rng(0).normal(size=500)
    good = values + np.random.default_rng(1).normal(0, 0.3, 500)
    share = weights(np.stack([good, values + 6 * (good - values)], axis=1), values)
    assert share[1] == 0


def test_a_few_far_errors_do_not_decide():
    columns, values = predicted([1.0, 1.5])
    plain = weights(columns, values)
    columns[:15, 0] += 60.0
    assert weights(columns, values)[0] > 0.6 * plain[0]


def test_without_any_error_they_are_equal():
    values = np.arange(5.0)
    np.testing.assert_allclose(weights(np.stack([values, values], axis=1), values), 0.5)
