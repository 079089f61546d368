"""Gradient boosting of one date on the others, fitted without each of several spatial blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST = 8000
"""Most samples of a fit: more cost their time and tell little, as neighbours are alike."""
_OPTIONS = {
    "max_iter": 100,
    "learning_rate": 0.08,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 10,
    "l2_regularization": 1.0,
    "max_features": 0.4,
    "early_stopping": False,
}


def cross_fitted(
    predictors: Array, values: Array, fold: NDArray[np.intp], wanted: Array, seed: int
) -> tuple[Array, Array]:
    """Predicts each fold by trees fitted without it, and new cells by the mean of all those trees.

    Friedman 2001, doi:10.1214/aos/1013203451, on histograms as scikit-learn grows them. The mean over folds costs no
    fit of its own and is steadier than any one.

    Args:
        predictors: ``(n, p)``, NaN where unknown.
        values: ``(n,)`` in K.
        fold: fold of each sample ``(n,)``, at least two.
        wanted: predictors of the new cells ``(m, p)``.
        seed: of the samples where there are too many, and of the predictors that each split may choose from.

    Returns:
        Values of the samples ``(n,)`` and of the new cells ``(m,)`` in K.
    """
    from threadpoolctl import threadpool_limits

    apart, new = np.empty(len(values)), np.zeros(len(wanted))
    folds = np.unique(fold)
    # Tiles share the cores already; threads that wait for each other take them all.
    with threadpool_limits(1, user_api="openmp"):
        for number in folds:
            out = fold == number
            said = _fit(predictors, values, np.flatnonzero(~out), seed)
            apart[out] = said(predictors[out])
            new += said(wanted) / len(folds)
    return apart, new


def _fit(predictors: Array, values: Array, rows: NDArray[np.intp], seed: int) -> Callable[[Array], Array]:
    """What trees say that were fitted to some rows; where those tell nothing, as one alone, it is their mean."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    columns = _telling(predictors[rows])
    if not len(columns):
        mean = float(values[rows].mean())
        return lambda of: np.full(len(of), mean)
    trees = HistGradientBoostingRegressor(**_OPTIONS, random_state=seed % 2**32)
    trees.fit(predictors[np.ix_(rows, columns)], values[rows])
    return lambda of: trees.predict(of[:, columns])


def _telling(predictors: Array) -> NDArray[np.intp]:
    """Predictors that take at least two values."""
    return np.flatnonzero(np.fmin.reduce(predictors) < np.fmax.reduce(predictors))
