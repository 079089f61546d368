"""Ridge regression against scikit-learn's, and penalties chosen on folds."""

import numpy as np
import pytest

from lstfill.model.local.ridge import PENALTIES, cross_fitted, fit, path, scaled


def drawn(n=200, p=5, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    predictors = rng.normal(size=(n, p))
    return predictors, predictors @ rng.normal(size=p) + 3.0 + rng.normal(0, noise, n), np.arange(n) % 4


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 3.0])
def test_it_is_the_ridge_of_scikit_learn(penalty):
    from sklearn.linear_model import Ridge

    predictors, values, _ = drawn()
    expected = Ridge(alpha=penalty * len(values)).fit(predictors, values)
    found = fit(predictors, values, penalty)
    np.testing.assert_allclose(found.coefficients, expected.coef_, rtol=1e-8)
    assert found.intercept == pytest.approx(expected.intercept_)
    np.testing.assert_allclose(found(predictors), expected.predict(predictors))


def test_a_path_is_each_penalty_by_itself():
    predictors, values, _ = drawn()
    for penalty, found in zip(PENALTIES, path(predictors, values, PENALTIES), strict=True):
        np.testing.assert_allclose(found.coefficients, fit(predictors, values, penalty).coefficients)


def test_a_fold_is_predicted_without_its_values():
    predictors, values, fold = drawn()
    apart, regression = cross_fitted(predictors, values, fold)
    moved = values.copy()
    moved[fold == 2] += 100 * np.sign(moved[fold == 2])
    penalty = next(
        p for p in PENALTIES if np.allclose(fit(predictors, values, p).coefficients, regression.coefficients)
    )
    for number in range(4):
        out = fold == number
        np.testing.assert_allclose(apart[out], fit(predictors[~out], values[~out], penalty)(predictors[out]))


def test_noise_takes_a_large_penalty_and_a_clear_relation_a_small_one():
    predictors, values, fold = drawn(n=80, p=40, noise=0.01)
    noise = np.random.default_rng(1).normal(size=80)
    clear, vague = (cross_fitted(predictors, of, fold)[1] for of in (values, noise))
    np.testing.assert_allclose(clear(predictors), values, atol=0.3)
    assert np.abs(vague.coefficients).max() < 0.1


def test_one_fold_alone_takes_the_largest_penalty():
    predictors, values, _ = drawn()
    _, regression = cross_fitted(predictors, values, np.zeros(len(values), np.intp))
    np.testing.assert_allclose(regression.coefficients, fit(predictors, values, PENALTIES[-1]).coefficients)


def test_predictors_that_are_the_same_share_their_weight():
    predictors, values, _ = drawn(p=1)
    found = fit(np.hstack([predictors, predictors]), values, 0.01)
    assert found.coefficients[0] == pytest.approx(found.coefficients[1])


def test_scaled_by_the_rows_that_are_known():
    predictors = np.array([[1.0, 5.0], [3.0, 5.0], [100.0, 9.0]])
    unit = scaled(predictors, np.array([0, 1]))
    np.testing.assert_allclose(unit[:2, 0], [-1, 1])
    assert unit[2, 0] == pytest.approx(98.0)
    np.testing.assert_array_equal(unit[:, 1], 0)
