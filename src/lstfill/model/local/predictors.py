"""What one date of a tile is predicted from: other dates, their patterns, place, features and covariates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lstfill.model.local.additive import Additive, anomalies, fit_additive
from lstfill.model.local.lowrank import complete, patterns

if TYPE_CHECKING:
    from lstfill.cube import Chunk

Array = NDArray[np.float64]

PATTERNS = 6
"""Leading patterns of the other dates that stand for all of them."""
CLASSES = 12
"""Most frequent classes of a covariate that are told apart."""
_FEWEST_SHARED = 20
_PAIRS_BELIEVED = 50.0
_LEAST_SEEN = 0.02
"""Share of the tile below which a date tells nothing of another."""


@dataclass(frozen=True)
class Scene:
    """The land cells of a tile side by side, over all dates.

    Attributes:
        chunk: the tile.
        cells: flat index of the land cells in ``(lat, lon)`` ``(n,)``.
        seen: where the target is visible ``(time, n)``.
        means: of dates and cells.
        anomaly: what is left of the target ``(time, n)`` in K, NaN where not seen.
        static: predictors of every date: place, mean of the cell, covariates without time ``(n, p)``.
    """

    chunk: Chunk
    cells: NDArray[np.intp]
    seen: NDArray[np.bool_]
    means: Additive
    anomaly: Array
    static: Array

    @classmethod
    def of(cls, chunk: Chunk, *, robust: bool) -> Scene:
        """Takes a tile apart; ``robust`` as in ``anomalies``."""
        cells = np.flatnonzero(chunk.land)
        seen = chunk.visible().reshape(len(chunk.time), -1)[:, cells]
        values = chunk.target.reshape(len(chunk.time), -1)[:, cells].astype(np.float64)
        means = fit_additive(values, seen)
        anomaly = anomalies(values, seen, means, robust=robust)
        static = np.column_stack([*_place(chunk, cells), means.cell, *_covariates(chunk, cells)])
        return cls(chunk, cells, seen, means, anomaly, static)

    @property
    def position(self) -> NDArray[np.intp]:
        """Row and column of each cell ``(n, 2)``."""
        return np.stack(np.divmod(self.cells, self.chunk.land.shape[1]), axis=1)

    def predictors(self, step: int, dates: int) -> tuple[Array, Array]:
        """Predictors of one date.

        Args:
            step: the date.
            dates: most other dates.

        Returns:
            Patterns and what is known of every cell ``(n, p)``; and the same with the other dates as they were seen,
            NaN where they were not ``(n, q)``.
        """
        others = related(self.anomaly, self.seen, step, dates)
        own = np.column_stack([self.static, *_dated(self.chunk, step, self.cells)])
        # A date that helped to fill its own predictors would look better on its known cells than it is in its gaps.
        leading = patterns(complete(self.anomaly[others]), PATTERNS)
        common = np.column_stack([leading, own])
        return common, np.column_stack([self.anomaly[others].T, common])


def related(anomaly: Array, seen: NDArray[np.bool_], step: int, count: int) -> NDArray[np.intp]:
    """Other dates that say most of one date, in the order of time.

    Those whose anomalies go with the date's own where both are seen, and that are seen where it is not.

    Args:
        anomaly: ``(time, n)`` in K, NaN where not seen.
        seen: ``(time, n)``.
        step: the date.
        count: how many at most.
    """
    others: NDArray[np.intp] = np.flatnonzero(seen.mean(axis=1) > _LEAST_SEEN)
    others = others[others != step]
    if len(others) <= count:
        return others
    filled, shared = np.where(seen[others], anomaly[others], 0.0), seen[others] & seen[step]
    pairs = shared.sum(axis=1)
    own = np.where(seen[step], anomaly[step], 0.0)
    products = np.sqrt((filled**2 * shared).sum(axis=1) * (shared * own**2).sum(axis=1))
    alike = np.abs(filled @ own) / np.maximum(products, 1e-9) * (pairs >= _FEWEST_SHARED)
    there = (seen[others] & ~seen[step]).sum(axis=1) / max((~seen[step]).sum(), 1)
    score = (alike * pairs / (pairs + _PAIRS_BELIEVED) + 0.05) * (0.25 + there)
    best: NDArray[np.intp] = np.sort(others[np.argsort(-score, kind="stable")[:count]])
    return best


def _place(chunk: Chunk, cells: NDArray[np.intp]) -> list[Array]:
    row, column = np.divmod(cells, chunk.land.shape[1])
    return [row.astype(np.float64), column.astype(np.float64)]


def _covariates(chunk: Chunk, cells: NDArray[np.intp]) -> list[Array]:
    still = (values.ravel()[cells] for values in chunk.covariates.values() if values.ndim == 2)
    return [column for values in still for column in _columns(values)]


def _dated(chunk: Chunk, step: int, cells: NDArray[np.intp]) -> list[Array]:
    """Features and covariates of one date."""
    moving = [*chunk.features.values(), *(values for values in chunk.covariates.values() if values.ndim == 3)]
    return [column for values in moving for column in _columns(values[step].ravel()[cells])]


def _columns(values: NDArray[np.generic]) -> list[Array]:
    """Amounts as they are, without gaps; classes as one column of 0 and 1 each."""
    if values.dtype.kind == "f":
        amounts = values.astype(np.float64)
        known = np.isfinite(amounts)
        return [np.where(known, amounts, amounts[known].mean() if known.any() else 0.0)]
    classes, count = np.unique(values, return_counts=True)
    frequent = np.sort(classes[np.argsort(-count, kind="stable")[:CLASSES]])
    return [(values == label).astype(np.float64) for label in frequent[1:]]
