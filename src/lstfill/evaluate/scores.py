"""Scores of predictions in K, from sums that windows can add up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Observations are summed as differences from this temperature: squares of 300 K would cost r2 its digits.
REFERENCE_K = 273.15
STATISTICS = ("weight", "error", "absolute_error", "squared_error", "observed", "squared_observed")
# A variance this far below the mean square is rounding, not variance: r2 has no meaning there.
_NO_VARIANCE = 1e-10


class WeightedScores(TypedDict):
    """Scores in K; None where nothing was scored, and for r2 where the observations do not vary."""

    mae_k: float | None
    rmse_k: float | None
    bias_k: float | None
    r2: float | None


class Scores(TypedDict):
    """Scores of predicted minus observed: plain, and in ``weighted`` by area, with ``n`` the number of cells."""

    mae_k: float | None
    rmse_k: float | None
    bias_k: float | None
    r2: float | None
    n: int
    weighted: WeightedScores


@dataclass(frozen=True)
class Sums:
    """Sums from which scores follow, for one group of cells or for a grid of groups.

    Two sums of the same groups add up to the sums of all their cells, so that windows can be scored apart.

    Attributes:
        values: ``(2, 6, *groups)`` float64: plain and weighted, each of ``STATISTICS``.
    """

    values: NDArray[np.float64]

    @classmethod
    def zeros(cls, groups: tuple[int, ...] = ()) -> Self:
        """The sums of no cell.

        Args:
            groups: sizes of the grid of groups; empty for one group.
        """
        return cls(np.zeros((2, len(STATISTICS), *groups)))

    @classmethod
    def of(
        cls,
        predicted: NDArray[np.floating],
        observed: NDArray[np.floating],
        weight: NDArray[np.floating],
        group: tuple[NDArray[np.integer], ...] = (),
        groups: tuple[int, ...] = (),
    ) -> Self:
        """Sums over cells, each counted in its group.

        Args:
            predicted: ``(n,)`` in K, finite.
            observed: ``(n,)`` in K, finite.
            weight: ``(n,)``, the cosine of latitude where cells stand for areas.
            group: for each axis of the grid of groups the position of each cell ``(n,)``.
            groups: sizes of the grid of groups.
        """
        place = np.ravel_multi_index(group, groups) if groups else None
        scale = np.asarray(weight, np.float64)
        plain = _statistics(predicted, observed)
        sums = [[_summed(values, place, groups) for values in plain]]
        sums.append([_summed(values * scale, place, groups) for values in plain])
        return cls(np.array(sums, np.float64).reshape(2, len(STATISTICS), *groups))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.values + other.values)

    def along(self, axis: int) -> list[Self]:
        """Sums of each group of one axis of the grid, over all other axes."""
        kept = np.moveaxis(self.values, 2 + axis, 0)
        return [type(self)(values) for values in kept]

    @property
    def n(self) -> int:
        """Number of cells, over all groups."""
        return round(float(self.values[0, 0].sum()))

    def mean_square(self) -> float | None:
        """Mean of the squared error over all groups, unweighted, in K²; None without cells."""
        return float(self.values[0, 3].sum()) / self.n if self.n else None

    def scores(self) -> Scores:
        """Scores over all groups: MAE, RMSE, bias (predicted minus observed) in K, and r2.

        r2 is 1 - SSE / SST, with SST about the mean of the observations (Nash and Sutcliffe 1970): unlike a squared
        correlation it punishes a bias, and is negative where the mean of the observations would predict better.
        """
        plain, weighted = self.values.reshape(2, len(STATISTICS), -1).sum(axis=-1)
        return {**_scores(plain), "n": self.n, "weighted": _scores(weighted)}


def score(predicted: ArrayLike, observed: ArrayLike, weight: ArrayLike = 1.0) -> Scores:
    """Scores two arrays where both are finite.

    Args:
        predicted: values in K, of any shape.
        observed: values in K; shapes broadcast.
        weight: weights, for instance the cosine of latitude as ``(lat, 1)``.
    """
    arrays = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (predicted, observed, weight)))
    both = np.isfinite(arrays[0]) & np.isfinite(arrays[1])
    return Sums.of(*(a[both] for a in arrays)).scores()


def totals(values: NDArray[np.floating] | None, group: NDArray[np.integer], groups: int) -> NDArray[np.float64]:
    """Sum of the values of each group ``(groups,)``; without values, the number of cells.

    Args:
        values: ``(n,)``.
        group: the group of each value ``(n,)``.
        groups: number of groups.
    """
    # Of no cells at all, bincount makes integers, weights or not.
    return np.bincount(group, values, groups).astype(np.float64)


def _statistics(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> list[NDArray[np.float64]]:
    error = np.asarray(predicted, np.float64) - observed
    level = np.asarray(observed, np.float64) - REFERENCE_K
    return [np.ones_like(error), error, np.abs(error), error**2, level, level**2]


def _summed(values: NDArray[np.float64], place: NDArray[np.intp] | None, groups: tuple[int, ...]) -> Any:
    """Sum of all values, or of those in each group by their place in the flattened grid of groups."""
    return values.sum() if place is None else np.bincount(place, values, math.prod(groups))


def _scores(sums: NDArray[np.float64]) -> WeightedScores:
    weight, error, absolute, squared, level, squared_level = (float(s) for s in sums)
    if weight <= 0:
        return WeightedScores(mae_k=None, rmse_k=None, bias_k=None, r2=None)
    total = squared_level - level**2 / weight
    r2 = 1 - squared / total if total > _NO_VARIANCE * squared_level else None
    return WeightedScores(mae_k=absolute / weight, rmse_k=math.sqrt(squared / weight), bias_k=error / weight, r2=r2)
