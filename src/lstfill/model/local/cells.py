"""The land of a tile as rows of dates and columns of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lstfill.cube import Chunk

Array = NDArray[np.float64]

FEW_OF_CLASS = 20
"""Cells below which a class says nothing of its own."""


@dataclass(frozen=True)
class Cells:
    """Land cells of a tile, all dates.

    Attributes:
        values: ``(time, n)`` in K, NaN where not seen.
        seen: ``(time, n)``.
        day: days since 1970-01-01 ``(time,)``.
        position: row and column of each cell ``(n, 2)``.
        features: ``(time, n)`` each, without a missing value.
        covariates: ``(k, n)``: amounts, and one row of 0 and 1 a class; those that change with time are features.
    """

    values: Array
    seen: NDArray[np.bool_]
    day: Array
    position: Array
    features: list[Array]
    covariates: Array


def cells_of(chunk: Chunk) -> Cells:
    """What is visible in a chunk, and what may explain it."""
    seen = chunk.visible()[:, chunk.land]
    amounts, features = [], [complete(of[:, chunk.land]) for of in chunk.features.values()]
    for of in chunk.covariates.values():
        if of.ndim == 3 and not np.issubdtype(of.dtype, np.integer):
            features.append(complete(of[:, chunk.land]))
        else:
            amounts.extend(_rows((of[0] if of.ndim == 3 else of)[chunk.land]))
    return Cells(
        values=np.where(seen, chunk.target[:, chunk.land], np.nan).astype(np.float64),
        seen=seen,
        day=(chunk.time - np.datetime64("1970-01-01")) / np.timedelta64(1, "D"),
        position=np.argwhere(chunk.land).astype(np.float64),
        features=features,
        covariates=np.array(amounts, np.float64).reshape(-1, seen.shape[1]),
    )


def complete(values: NDArray[np.floating]) -> Array:
    """A feature ``(time, n)`` without gaps: the mean of the date stands where it is missing, else that of all."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0).astype(np.float64)
    count = known.sum(axis=1)
    overall = filled.sum() / max(int(count.sum()), 1)
    mean = np.where(count > 0, filled.sum(axis=1) / np.maximum(count, 1), overall)
    return np.where(known, filled, mean[:, None])


def _rows(values: NDArray[Any]) -> list[Array]:
    """Rows ``(n,)`` of a covariate: an amount as it is, a class as 0 and 1 for each that is common enough."""
    if not np.issubdtype(values.dtype, np.integer) and values.dtype != bool:
        return [complete(values[None])[0]]
    classes, count = np.unique(values, return_counts=True)
    return [(values == one).astype(np.float64) for one in classes[count >= FEW_OF_CLASS]]
