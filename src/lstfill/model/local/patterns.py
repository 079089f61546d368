"""What dates have in common, and what each cell's other dates say of one date.

A factor model: a date's anomalies are a sum of a few patterns over the cells, with weights of the date, and noise
(probabilistic principal components with missing values; Tipping and Bishop 1999, doi:10.1111/1467-9868.00196). The
deviation of the cell is one more pattern, whose weight all dates share. Where a date is predicted, its own values
must not be in the predictors of the cells that the prediction is fitted to: they would look better than they are where
it counts. So scores are asked for without a date, which costs no new fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lstfill.model.local.additive import Additive

Array = NDArray[np.float64]

ENOUGH = 400.0
"""Cells seen on both of two dates at which their correlation is half believed: neighbours tell the same.

The same holds of a date and itself, so that one with few values does not become a pattern of its own.
"""
OWN = 0.05
"""Least share of a date's variance that is its own."""
_PRIOR_CELLS = 100.0
"""Cells at which a date's own variance counts as much as that of all."""


@dataclass(frozen=True)
class Patterns:
    """Weights of the dates, and scores of the cells given all their values.

    Attributes:
        weights: ``(time, r)``, the first those of the cell's deviation; in deviations of the date.
        own: variance of a date that no pattern explains ``(time,)``, the date's variance being 1.
        deviation: standard deviation of each date ``(time,)`` in K.
        scores: ``(n, r)``.
        covariance: of the scores ``(n, r, r)``.
        left: values as they are explained ``(time, n)``, in deviations of the date, 0 where not seen.
        seen: ``(time, n)``.
    """

    weights: Array
    own: Array
    deviation: Array
    scores: Array
    covariance: Array
    left: Array
    seen: NDArray[np.bool_]

    def without(self, step: int) -> tuple[Array, Array]:
        """Scores ``(n, r)`` and their covariance ``(n, r, r)`` as if a date were not seen.

        One value less is an update of rank one (Sherman and Morrison 1950, doi:10.1214/aoms/1177729893).
        """
        weight, own = self.weights[step], self.own[step]
        turned = self.covariance @ weight
        share = np.minimum(turned @ weight, (1 - 1e-3) * own)
        gain = np.where(self.seen[step], 1.0 / (own - share), 0.0)
        scores = self.scores + turned * (gain * (self.scores @ weight - self.left[step]))[:, None]
        return scores, self.covariance + turned[:, :, None] * (turned * gain[:, None])[:, None, :]

    def value(self, step: int, scores: Array) -> Array:
        """What scores say of a date ``(n,)`` in K."""
        value: Array = (scores @ self.weights[step]) * self.deviation[step]
        return value

    def doubt(self, step: int, covariance: Array) -> Array:
        """Standard deviation of that ``(n,)`` in K."""
        weight = self.weights[step]
        variance = np.einsum("i,nij,j->n", weight, covariance, weight, optimize=True) + self.own[step]
        doubt: Array = np.sqrt(variance) * self.deviation[step]
        return doubt


def fit_patterns(means: Additive, count: int) -> Patterns:
    """Weights from the correlation of the dates, shrunk where few cells are seen on both; then the scores.

    Args:
        means: what is left after date and features, and the deviation of each cell.
        count: most patterns beside the deviation of the cell.
    """
    seen = np.isfinite(means.left)
    together = seen.astype(np.float64) @ seen.T.astype(np.float64)
    left = np.where(seen, means.left - means.cell, 0.0)
    per_date, squares = np.diag(together), (left**2).sum(axis=1)
    overall = max(float(squares.sum()) / max(float(per_date.sum()), 1.0), 1e-4)
    deviation = np.sqrt((squares + _PRIOR_CELLS * overall) / (per_date + _PRIOR_CELLS))
    left /= deviation[:, None]
    weights = _loadings((left @ left.T) / (together + ENOUGH), count)
    own = np.maximum(1.0 - (weights**2).sum(axis=1), OWN)
    common = np.sqrt(float(np.var(means.cell[seen.any(axis=0)])) + 1e-2)
    weights = np.column_stack([common / deviation, weights])
    return _scored(weights, own, deviation, np.where(seen, means.left, 0.0) / deviation[:, None], seen)


def _loadings(correlation: Array, count: int) -> Array:
    """Largest eigenvectors ``(time, r)`` times the roots of their eigenvalues; the largest weight is positive."""
    values, vectors = np.linalg.eigh(correlation)
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    loadings: Array = vectors * signs * np.sqrt(np.maximum(values, 1e-6))
    return loadings


def _scored(weights: Array, own: Array, deviation: Array, left: Array, seen: NDArray[np.bool_]) -> Patterns:
    """Posterior of the scores of each cell, whose prior is standard normal."""
    rank = weights.shape[1]
    products = (weights[:, :, None] * weights[:, None, :] / own[:, None, None]).reshape(len(weights), -1)
    precision = (seen.T.astype(np.float64) @ products).reshape(-1, rank, rank) + np.eye(rank)
    covariance = np.linalg.inv(precision).astype(np.float64)
    scores = np.einsum("nij,nj->ni", covariance, left.T @ (weights / own[:, None]))
    return Patterns(weights, own, deviation, scores, covariance, left, seen)
