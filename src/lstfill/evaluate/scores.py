"""Scores of predictions in K, from sums that windows can add up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lstfill.evaluate.grouping import Grouping, added

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
    """Sums from which scores follow, over all cells and by group; two of the same break-downs add up.

    Attributes:
        values: ``(2, 6)`` float64: plain and weighted, each of ``STATISTICS``.
        groups: the same for the groups of each break-down ``(2, 6, groups)``.
    """

    values: NDArray[np.float64]
    groups: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def zeros(cls) -> Self:
        """The sums of no cell."""
        return cls(np.zeros((2, len(STATISTICS))))

    @classmethod
    def of(
        cls,
        predicted: NDArray[np.floating],
        observed: NDArray[np.floating],
        weight: NDArray[np.floating],
        grouping: Grouping | None = None,
    ) -> Self:
        """Sums over cells.

        Args:
            predicted: ``(n,)`` in K, finite.
            observed: ``(n,)`` in K, finite.
            weight: ``(n,)``, the cosine of latitude where cells stand for areas.
            grouping: the groups of the cells.
        """
        scale = np.asarray(weight, np.float64)
        plain = _statistics(predicted, observed)
        # One weighted array at a time: twelve of millions of cells would be the peak of the scoring.
        kinds = [
            (_summed(values, grouping) for values in plain),
            (_summed(values * scale, grouping) for values in plain),
        ]
        rows = [list(kind) for kind in kinds]
        sums = np.array([[total for total, _ in row] for row in rows], np.float64)
        names = () if grouping is None else grouping.sizes
        return cls(sums, {name: np.array([[groups[name] for _, groups in row] for row in rows]) for name in names})

    def __add__(self, other: Self) -> Self:
        return type(self)(self.values + other.values, added(self.groups, other.groups))

    def group(self, name: str) -> list[Self]:
        """Sums of each group of a break-down."""
        return [type(self)(values) for values in np.moveaxis(self.groups[name], -1, 0)]

    @property
    def n(self) -> int:
        """Number of cells."""
        return round(float(self.values[0, 0]))

    def scores(self) -> Scores:
        """Scores: MAE, RMSE, bias (predicted minus observed) in K, and r2.

        r2 is 1 - SSE / SST, with SST about the mean of the observations (Nash and Sutcliffe 1970): unlike a squared
        correlation it punishes a bias, and is negative where the mean of the observations would predict better.
        """
        plain, weighted = self.values
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


def _statistics(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> list[NDArray[np.float64]]:
    error = np.asarray(predicted, np.float64) - observed
    level = np.asarray(observed, np.float64) - REFERENCE_K
    return [np.ones_like(error), error, np.abs(error), error**2, level, level**2]


def _summed(values: NDArray[np.float64], grouping: Grouping | None) -> tuple[float, dict[str, NDArray[np.float64]]]:
    """Sum of all values, and of those in each group."""
    return float(values.sum()), {} if grouping is None else grouping.totals(values)


def _scores(sums: NDArray[np.float64]) -> WeightedScores:
    weight, error, absolute, squared, level, squared_level = (float(s) for s in sums)
    if weight <= 0:
        return WeightedScores(mae_k=None, rmse_k=None, bias_k=None, r2=None)
    total = squared_level - level**2 / weight
    r2 = 1 - squared / total if total > _NO_VARIANCE * squared_level else None
    return WeightedScores(mae_k=absolute / weight, rmse_k=math.sqrt(squared / weight), bias_k=error / weight, r2=r2)
