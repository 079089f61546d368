"""Completion of matrices of few patterns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.model.local.lowrank import complete, patterns


def made(rank=2, dates=25, cells=300, missing=0.3, seed=0, noise=0.05):
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(dates, rank)) @ rng.normal(size=(rank, cells)) + rng.normal(0, noise, (dates, cells))
    return whole, np.where(rng.random(whole.shape) < missing, np.nan, whole)


def test_few_patterns_are_found_behind_gaps():
    whole, holed = made()
    gaps = np.isnan(holed)
    error = complete(holed)[gaps] - whole[gaps]
    assert np.sqrt(np.mean(error**2)) < 0.35 * whole[gaps].std()


def test_known_values_stay():
    _, holed = made()
    known = np.isfinite(holed)
    np.testing.assert_array_equal(complete(holed)[known], holed[known])


def test_a_date_without_values_is_zero_and_helps_no_other():
    _, holed = made()
    holed[4] = np.nan
    filled = complete(holed)
    np.testing.assert_allclose(filled[4], 0, atol=1e-9)
    np.testing.assert_allclose(np.delete(filled, 4, axis=0), complete(np.delete(holed, 4, axis=0)), atol=1e-9)


@pytest.mark.parametrize("shape", [(3, 5), (1, 4), (0, 4)])
def test_nothing_known_is_zero(shape):
    np.testing.assert_array_equal(complete(np.full(shape, np.nan)), np.zeros(shape))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.floats(0, 0.95))
def test_always_finite_and_no_larger_than_what_is_known(seed, missing):
    _, holed = made(seed=seed, missing=missing, cells=40)
    filled = complete(holed)
    assert np.isfinite(filled).all()
    known = holed[np.isfinite(holed)]
    assert np.square(filled).sum() <= max(np.square(known).sum(), 1e-9) * 25


def test_patterns_are_the_leading_singular_vectors():
    whole, _ = made(rank=3, noise=0.0)
    found = patterns(whole, 3)
    _, s, v = np.linalg.svd(whole, full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs(v[:3].T * s[:3]), atol=1e-6)


def test_patterns_have_one_sign_whatever_the_machine():
    whole, _ = made(rank=3)
    np.testing.assert_allclose(patterns(whole, 3), patterns(whole[::-1], 3), atol=1e-8)


def test_no_more_patterns_than_dates():
    assert patterns(np.ones((2, 9)), 6).shape == (9, 2)


def test_without_another_date_there_is_no_pattern():
    assert patterns(complete(np.empty((0, 40))), 6).shape == (40, 0)
