"""Level, date and cell: what a value is on average, so that the rest can be compared between dates and cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WIDTH = 6.0
"""Robust deviations beyond which an anomaly is no weather: an undetected cloud, a wrong emissivity."""
FLOOR_K = 0.5
"""Smallest robust deviation."""
_ROUNDS = 15
_TO_DEVIATION = 1.4826
"""Deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class Additive:
    """Means of dates and cells that add up.

    Attributes:
        date: mean of each date over cells alike ``(time,)`` in K; NaN for a date without a value.
        cell: deviation of each cell from that ``(n,)`` in K; 0 for a cell without a value.
    """

    date: Array
    cell: Array

    def base(self, step: int) -> Array:
        """Date and cell together ``(n,)`` in K."""
        total: Array = self.date[step] + self.cell
        return total


def fit_additive(values: Array, seen: NDArray[np.bool_]) -> Additive:
    """Fits means of dates and cells to each other in turn; a cell with few values is shrunk to no deviation.

    Args:
        values: ``(time, n)`` in K; looked at where seen.
        seen: ``(time, n)``.
    """
    weight = seen.astype(np.float64)
    per_date, per_cell = weight.sum(axis=1), weight.sum(axis=0)
    level = float(values[seen].mean()) if seen.any() else 0.0
    known = np.where(seen, values - level, 0.0)
    date, cell = np.zeros(len(values)), np.zeros(values.shape[1])
    for _ in range(_ROUNDS):
        date = (known.sum(axis=1) - weight @ cell) / np.maximum(per_date, 1.0)
        cell = (known.sum(axis=0) - date @ weight) / (per_cell + 1.0)
    return Additive(np.where(per_date > 0, level + date, np.nan), cell)


def anomalies(values: Array, seen: NDArray[np.bool_], means: Additive, *, robust: bool) -> Array:
    """Values less date and cell ``(time, n)`` in K, NaN where not seen.

    Args:
        values: ``(time, n)`` in K.
        seen: ``(time, n)``.
        means: of the same values.
        robust: whether what lies further from its date's median than six robust deviations is moved there.
    """
    left = np.where(seen, values - np.nan_to_num(means.date)[:, None] - means.cell, np.nan)
    if robust:
        for row in np.flatnonzero(seen.any(axis=1)):
            left[row] = _within(left[row])
    return left


def _within(row: Array) -> Array:
    median = np.nanmedian(row)
    width = WIDTH * max(_TO_DEVIATION * float(np.nanmedian(np.abs(row - median))), FLOOR_K)
    return np.clip(row, median - width, median + width)
