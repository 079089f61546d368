"""Level, date, cell and features: what a value is on average, so that dates and cells can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lstfill.model.local.cells import Cells

Array = NDArray[np.float64]

WIDTH = 6.0
"""Robust deviations beyond which a value is no weather: an undetected cloud, a wrong emissivity."""
FLOOR_K = 0.5
"""Smallest robust deviation."""
UNKNOWN_K = 10.0
"""Deviation of a date of which nothing is known, where no other date can tell."""
_ROUNDS = 15
_AGAIN = 3
"""Times that far values are moved nearer: they have moved the means that they are far from."""
_RIDGE = 1e-3
_TO_DEVIATION = 1.4826
"""Deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class Additive:
    """Date and features, what is left, and the mean of that in each cell.

    Attributes:
        base: date and features together ``(time, n)`` in K.
        doubt: standard deviation of each date's level ``(time,)`` in K; 0 where the date is seen.
        cell: deviation of each cell ``(n,)`` in K; 0 for a cell without a value.
        left: values less base ``(time, n)`` in K, NaN where not seen; the deviation of the cell is still in them.
    """

    base: Array
    doubt: Array
    cell: Array
    left: Array


def fit_additive(cells: Cells, *, robust: bool) -> Additive:
    """Fits dates, cells and slopes of features to each other in turn; a cell with few values is shrunk to none.

    Args:
        cells: of a tile with at least one value.
        robust: values further from what is expected than six robust deviations of their date are moved there, and
            means are fitted again.
    """
    values = np.where(cells.seen, cells.values, 0.0)
    driven = _driven(values, cells)
    date, cell = _means(values - driven, cells.seen)
    for _ in range(_AGAIN if robust else 0):
        left = np.where(cells.seen, values - driven - date[:, None] - cell, np.nan)
        values = np.where(cells.seen, values + (within(left) - left), 0.0)
        date, cell = _means(values - driven, cells.seen)
    level, doubt = _between(date, np.any(cells.seen, axis=1), cells.day)
    base = driven + level[:, None]
    return Additive(base, doubt, cell, np.where(cells.seen, values - base, np.nan))


def within(left: Array) -> Array:
    """Moves what is far from the median of its row ``(time, n)`` to six robust deviations from it."""
    moved = left.copy()
    for number, row in enumerate(left):
        known = row[np.isfinite(row)]
        if known.size:
            median = float(np.median(known))
            width = WIDTH * max(_TO_DEVIATION * float(np.median(np.abs(known - median))), FLOOR_K)
            moved[number] = np.clip(row, median - width, median + width)
    return moved


def _means(values: Array, seen: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Mean of each date over cells alike ``(time,)``, and deviation of each cell from it ``(n,)``."""
    weight = seen.astype(np.float64)
    known, per_date, per_cell = values * weight, weight.sum(axis=1), weight.sum(axis=0)
    date, cell = np.zeros(len(values)), np.zeros(values.shape[1])
    for _ in range(_ROUNDS):
        date = (known.sum(axis=1) - weight @ cell) / np.maximum(per_date, 1.0)
        cell = (known.sum(axis=0) - date @ weight) / (per_cell + 1.0)
    return date, cell


def _driven(values: Array, cells: Cells) -> Array:
    """What the features say ``(time, n)`` in K, by slopes that all cells share.

    Least squares of what is left of the values on what is left of the features when means of dates and cells are
    taken off both (Frisch and Waugh 1933, doi:10.2307/1907330).
    """
    if not cells.features:
        return np.zeros_like(values)
    own = [_off_means(of, cells.seen) for of in cells.features]
    target = _off_means(values, cells.seen)
    products = np.array([[float((one * other).sum()) for other in own] for one in own])
    right = np.array([float((one * target).sum()) for one in own])
    ridge = np.diag(_RIDGE * np.diag(products) + 1e-6)
    slopes = np.linalg.solve(products + ridge, right)
    driven: Array = sum(slope * (of - of.mean()) for slope, of in zip(slopes, cells.features, strict=True))
    return driven


def _off_means(values: Array, seen: NDArray[np.bool_]) -> Array:
    date, cell = _means(values, seen)
    off: Array = (values - date[:, None] - cell) * seen
    return off


def _between(date: Array, seen: NDArray[np.bool_], day: Array) -> tuple[Array, Array]:
    """Levels of all dates ``(time,)``, those not seen by a line between their neighbours in time, and their doubt."""
    there = np.flatnonzero(seen)
    level = np.interp(day, day[there], date[there])
    doubt = np.where(seen, 0.0, UNKNOWN_K)
    if len(there) > 2:
        # How far a date is from the line between its neighbours is how far one that is not seen may be.
        before, here, after = there[:-2], there[1:-1], there[2:]
        share = (day[here] - day[before]) / np.maximum(day[after] - day[before], 1e-9)
        miss = date[here] - (date[before] + share * (date[after] - date[before]))
        doubt = np.where(seen, 0.0, max(float(np.sqrt(np.mean(miss**2))), FLOOR_K))
    return level, doubt
