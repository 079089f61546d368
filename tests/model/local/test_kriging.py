"""Kriging against Gaussian processes of scikit-learn, and covariances that are found again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.model.local.kriging import NUGGET, Covariance, fit_covariance, krige


def process(position, residual, wanted, covariance):
    """Mean and variance of a Gaussian process with the same covariance."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    smooth = covariance.sill * (1 - covariance.nugget)
    noise = covariance.sill * covariance.nugget
    kernel = ConstantKernel(smooth) * Matern(covariance.range_cells, nu=0.5) + WhiteKernel(noise)
    fitted = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0).fit(position, residual)
    mean, deviation = fitted.predict(wanted, return_std=True)
    return mean, deviation**2


def drawn(covariance, side=28, seed=0):
    """One draw of a field with that covariance, all cells of a square."""
    position = np.argwhere(np.ones((side, side), bool)).astype(float)
    distance = np.sqrt(((position[:, None] - position[None]) ** 2).sum(axis=-1))
    matrix = covariance.correlation(distance)
    np.fill_diagonal(matrix, 1.0)
    normal = np.random.default_rng(seed).normal(size=len(position))
    return position, np.sqrt(covariance.sill) * (np.linalg.cholesky(matrix) @ normal)


@pytest.mark.parametrize(
    "covariance", [Covariance(1.0, 0.1, 5.0), Covariance(2.5, 0.6, 13.0), Covariance(0.3, 0.3, 1.5)]
)
def test_with_all_neighbours_it_is_a_gaussian_process(covariance):
    rng = np.random.default_rng(0)
    position = rng.uniform(0, 20, (30, 2))
    residual, wanted = rng.normal(size=30), rng.uniform(0, 25, (50, 2))
    value, variance = krige(position, residual, wanted, covariance, 30)
    mean, expected = process(position, residual, wanted, covariance)
    np.testing.assert_allclose(value, mean, atol=1e-8)
    np.testing.assert_allclose(variance, expected, atol=1e-8)


def test_the_nearest_neighbours_are_nearly_as_good_as_all():
    covariance = Covariance(1.0, 0.1, 5.0)
    position, field = drawn(covariance)
    known = np.random.default_rng(1).random(len(field)) < 0.5
    near, all_of_them = (
        krige(position[known], field[known], position[~known], covariance, count)[0] for count in (24, known.sum())
    )
    assert np.abs(near - all_of_them).max() < 0.1


def test_more_cells_than_a_batch_are_each_as_if_alone():
    covariance, rng = Covariance(1.0, 0.2, 6.0), np.random.default_rng(2)
    position, residual = rng.uniform(0, 60, (80, 2)), rng.normal(size=80)
    wanted = rng.uniform(0, 60, (5000, 2))
    value, _ = krige(position, residual, wanted, covariance, 8)
    for cell in (0, 4095, 4096, 4999):
        assert value[cell] == pytest.approx(krige(position, residual, wanted[[cell]], covariance, 8)[0][0])


def test_far_from_all_residuals_it_says_nothing():
    covariance = Covariance(4.0, 0.1, 3.0)
    value, variance = krige(np.zeros((1, 2)), np.array([7.0]), np.array([[500.0, 0.0]]), covariance, 24)
    assert value[0] == pytest.approx(0.0, abs=1e-9)
    assert variance[0] == pytest.approx(4.0)


def test_without_residuals_it_is_zero_and_the_sill():
    value, variance = krige(np.empty((0, 2)), np.empty(0), np.zeros((3, 2)), Covariance(2.0, 0.1, 3.0), 24)
    np.testing.assert_array_equal(value, 0)
    np.testing.assert_array_equal(variance, 2.0)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 40), st.integers(4, 24), st.floats(*NUGGET), st.sampled_from([1.5, 6.0, 30.0]), st.integers(0, 99)
)
def test_variance_lies_between_nothing_and_the_sill(count, neighbours, nugget, reach, seed):
    rng = np.random.default_rng(seed)
    position = rng.permutation(np.argwhere(np.ones((9, 9), bool)))[: count + 5].astype(float)
    covariance = Covariance(1.7, nugget, reach)
    _, variance = krige(position[:count], rng.normal(size=count), position[count:], covariance, neighbours)
    assert (variance > 0).all()
    assert (variance <= 1.7 + 1e-9).all()


@pytest.mark.parametrize("truth", [Covariance(1.0, 0.1, 4.0), Covariance(9.0, 0.5, 6.0)])
def test_a_covariance_is_found_again(truth):
    draws = [fit_covariance(*drawn(truth, seed=seed), seed) for seed in range(6)]
    assert np.mean([found.sill for found in draws]) == pytest.approx(truth.sill, rel=0.3)
    assert np.mean([found.nugget for found in draws]) == pytest.approx(truth.nugget, abs=0.15)
    assert np.median([found.range_cells for found in draws]) == pytest.approx(truth.range_cells, rel=0.6)


def test_one_outlier_makes_no_sill():
    position, field = drawn(Covariance(1.0, 0.1, 4.0))
    clean = fit_covariance(position, field, 0)
    field[100] += 40.0
    assert fit_covariance(position, field, 0).sill < 1.5 * clean.sill


def test_white_noise_is_nugget():
    position = np.argwhere(np.ones((30, 30), bool)).astype(float)
    found = fit_covariance(position, np.random.default_rng(3).normal(0, 2, 900), 0)
    assert found.nugget * found.sill == pytest.approx(4.0, rel=0.25)


@pytest.mark.parametrize("count", [1, 2])
def test_few_residuals_have_a_covariance_too(count):
    found = fit_covariance(np.arange(2.0 * count).reshape(count, 2), np.zeros(count), 0)
    assert found.sill > 0
    assert NUGGET[0] <= found.nugget <= NUGGET[1]


def test_the_same_seed_draws_the_same_pairs():
    rng = np.random.default_rng(4)
    position, residual = rng.uniform(0, 90, (3000, 2)), rng.normal(size=3000)
    assert fit_covariance(position, residual, 1) == fit_covariance(position, residual, 1)
