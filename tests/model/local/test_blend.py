"""Weights of models from errors on cells they were not fitted to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.model.local.blend import blend_weights

PRIOR = np.array([0.3, 0.7])


def made(deviations=(1.0, 1.0), n=2000, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 3, n)
    return values[:, None] + rng.normal(0, 1, (n, len(deviations))) * deviations, values


def test_half_of_the_weight_follows_the_errors():
    predicted, values = made((0.1, 5.0))
    np.testing.assert_allclose(blend_weights(predicted, values, PRIOR), [0.65, 0.35], atol=0.02)


def test_errors_alike_and_apart_give_equal_halves():
    predicted, values = made()
    np.testing.assert_allclose(blend_weights(predicted, values, PRIOR), [0.4, 0.6], atol=0.02)


def test_models_without_errors_keep_the_prior():
    values = np.arange(9.0)
    np.testing.assert_array_equal(blend_weights(np.stack([values, values], axis=1), values, PRIOR), PRIOR)


def test_one_outlier_does_not_rule():
    predicted, values = made((0.5, 1.0))
    expected = blend_weights(predicted, values, PRIOR)
    predicted[0, 0] += 60
    np.testing.assert_allclose(blend_weights(predicted, values, PRIOR), expected, atol=0.12)


def test_the_unit_does_not_matter():
    predicted, values = made((0.5, 1.0))
    np.testing.assert_allclose(
        blend_weights(predicted, values, PRIOR), blend_weights(100 * predicted, 100 * values, PRIOR), atol=1e-6
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.01, 20), min_size=2, max_size=4), st.integers(5, 200), st.integers(0, 99))
def test_weights_add_up_and_none_is_negative(deviations, n, seed):
    predicted, values = made(deviations, n, seed)
    prior = np.full(len(deviations), 1 / len(deviations))
    found = blend_weights(predicted, values, prior)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0.5 * prior - 1e-9).all()
