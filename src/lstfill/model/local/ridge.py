"""Ridge regression whose penalty is the best on spatial blocks that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
"""Penalties that are tried, as shares of the number of samples, for predictors of unit variance."""


@dataclass(frozen=True)
class Regression:
    """A line in many predictors.

    Attributes:
        coefficients: ``(p,)``.
        intercept: value where every predictor is 0.
    """

    coefficients: Array
    intercept: float

    def __call__(self, predictors: Array) -> Array:
        """Values ``(n,)`` of predictors ``(n, p)``."""
        values: Array = predictors @ self.coefficients + self.intercept
        return values


def cross_fitted(predictors: Array, values: Array, fold: NDArray[np.intp]) -> tuple[Array, Regression]:
    """Predicts each fold from the others, with the penalty that is best in that, and fits all with it.

    Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634.

    Args:
        predictors: ``(n, p)`` of unit variance about zero.
        values: ``(n,)`` in K.
        fold: fold of each sample ``(n,)``; one fold alone takes the largest penalty.

    Returns:
        Predictions of each sample by what was fitted without its fold ``(n,)``, and the regression of all.
    """
    folds = np.unique(fold)
    if len(folds) < 2:
        regression = fit(predictors, values, PENALTIES[-1])
        return regression(predictors), regression
    apart = np.empty((len(PENALTIES), len(values)))
    for number in folds:
        out = fold == number
        for row, regression in zip(apart, path(predictors[~out], values[~out], PENALTIES), strict=True):
            row[out] = regression(predictors[out])
    best = int(np.abs(apart - values).mean(axis=1).argmin())
    return apart[best], fit(predictors, values, PENALTIES[best])


def fit(predictors: Array, values: Array, penalty: float) -> Regression:
    """Ridge regression about the means of predictors and values."""
    return path(predictors, values, (penalty,))[0]


def path(predictors: Array, values: Array, penalties: tuple[float, ...]) -> list[Regression]:
    """Ridge regressions for several penalties, from the eigenvectors of one matrix of products."""
    centre, mean = predictors.mean(axis=0), float(values.mean())
    centred = predictors - centre
    squares, vectors = np.linalg.eigh(centred.T @ centred)
    turned = vectors.T @ (centred.T @ (values - mean))
    found = []
    for penalty in penalties:
        coefficients = vectors @ (turned / (np.maximum(squares, 0.0) + penalty * len(values)))
        found.append(Regression(coefficients, mean - float(centre @ coefficients)))
    return found


def scaled(predictors: Array, rows: NDArray[np.intp]) -> Array:
    """Predictors about the mean of some rows, in units of their deviation there; those that do not vary are 0."""
    centre, deviation = predictors[rows].mean(axis=0), predictors[rows].std(axis=0)
    unit: Array = (predictors - centre) / np.where(deviation > 0, deviation, np.inf)
    return unit
