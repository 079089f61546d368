"""Trees of one date, fitted without each fold."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from lstfill.model.local import trees
from lstfill.model.local.trees import cross_fitted


def drawn(n=400, seed=0):
    rng = np.random.default_rng(seed)
    predictors = rng.uniform(-1, 1, (n, 3))
    return predictors, np.where(predictors[:, 0] > 0, 4.0, -4.0) * np.sign(predictors[:, 1]), np.arange(n) % 4


def test_it_learns_what_a_line_cannot():
    predictors, values, fold = drawn()
    apart, new = cross_fitted(predictors[:300], values[:300], fold[:300], predictors[300:], 0)
    assert np.abs(apart - values[:300]).mean() < 1.2
    assert np.abs(new - values[300:]).mean() < 1.2


def test_a_fold_is_predicted_without_its_values():
    predictors, values, fold = drawn()
    moved = values.copy()
    moved[fold == 2] += 50.0
    first, again = (cross_fitted(predictors, of, fold, predictors[:5], 0)[0] for of in (values, moved))
    np.testing.assert_array_equal(first[fold == 2], again[fold == 2])
    assert np.abs(first - again)[fold != 2].max() > 1


def test_new_cells_get_the_mean_of_the_folds():
    predictors, values, fold = drawn()
    _, new = cross_fitted(predictors, values, fold, predictors[:7], 0)
    each = [trees._fit(predictors, values, np.flatnonzero(fold != k), 0)(predictors[:7]) for k in range(4)]
    np.testing.assert_allclose(new, np.mean(each, axis=0))


def test_the_same_seed_gives_the_same_bits():
    predictors, values, fold = drawn()
    first, again = (cross_fitted(predictors, values, fold, predictors, 3) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_more_samples_than_the_most_are_drawn_from(monkeypatch):
    predictors, values, fold = drawn(900)
    monkeypatch.setattr(trees, "MOST", 120)
    sizes = []
    fit = HistGradientBoostingRegressor.fit
    monkeypatch.setattr(
        HistGradientBoostingRegressor, "fit", lambda self, x, y: sizes.append(len(x)) or fit(self, x, y)
    )
    apart, _ = cross_fitted(predictors, values, fold, predictors[:3], 0)
    assert np.isfinite(apart).all()
    assert sizes == [120] * 4


def test_a_predictor_that_none_of_those_drawn_knows_is_left_out(monkeypatch):
    predictors, values, fold = drawn(900)
    rare = np.full((900, 1), np.nan)
    rare[[3, 4]] = [[1.0], [2.0]]
    monkeypatch.setattr(trees, "MOST", 120)
    apart, new = cross_fitted(np.hstack([predictors, rare]), values, fold, np.hstack([predictors, rare]), 0)
    expected = cross_fitted(predictors, values, fold, predictors, 0)
    np.testing.assert_array_equal(apart, expected[0])
    np.testing.assert_array_equal(new, expected[1])


def test_one_sample_beside_a_fold_says_its_own_value():
    predictors, values, _ = drawn(50)
    fold = np.zeros(50, int)
    fold[7] = 1
    apart, new = cross_fitted(predictors, values, fold, predictors, 0)
    assert (apart[fold == 0] == values[7]).all()
    assert np.isfinite(new).all()


@pytest.mark.parametrize("n", [8, 30])
def test_few_samples_give_their_mean_at_least(n):
    predictors, values, fold = drawn(n)
    apart, new = cross_fitted(predictors, values, fold, predictors, 0)
    assert np.isfinite(apart).all()
    assert np.abs(new).max() <= 4.5
