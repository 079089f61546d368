"""What the trees are shown of a cell: its place and date, its own series, the other dates, and the cells around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lstfill.model.boosting.guess import Array, Guess, Mask
from lstfill.model.harmonic import season

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lstfill.cube import Chunk

RELATED = 3
"""Other dates whose anomalies the trees are shown one by one."""


def names(features: Sequence[str], covariates: Sequence[str]) -> list[str]:
    """Names of the columns, in their order.

    Args:
        features: of the model.
        covariates: of the model.
    """
    from lstfill.model.boosting.guess import SCALES

    related = [f"{of}_{k}" for k in range(RELATED) for of in ("related", "likeness")]
    around = [f"{of}_{scale:g}" for of in ("around", "seen") for scale in SCALES]
    return [
        *("season_sin", "season_cos", "lat", "lon_sin", "lon_cos", "date", "deviation", "cell", "harmonic"),
        *("others", "doubt", "alone", "before", "before_days", "after", "after_days", "distance", "count"),
        *related,
        *around,
        *features,
        *covariates,
    ]


class Predictors:
    """Columns of a tile, made for the cells that are asked for.

    Attributes:
        names: of the columns.
    """

    def __init__(self, chunk: Chunk, guess: Guess, features: Sequence[str], covariates: Sequence[str]) -> None:
        """Prepares what all dates share.

        Args:
            chunk: the tile.
            guess: its first guess.
            features: of the chunk, to show.
            covariates: of the chunk, to show.
        """
        self._chunk, self._guess, self._visible = chunk, guess, chunk.visible()
        self._features = [chunk.features[name] for name in features]
        self._covariates = [chunk.covariates[name] for name in covariates]
        self._count = self._visible.sum(axis=0)
        self._angle = season(chunk.time)
        self._days = (chunk.time - chunk.time[0]) / np.timedelta64(1, "D")
        self._step = np.arange(len(self._days))[:, None, None]
        self._before = np.maximum.accumulate(np.where(self._visible, self._step, -1), axis=0).astype(np.int16)
        last = np.where(self._visible, self._step, len(self._days))[::-1]
        self._after = np.minimum.accumulate(last, axis=0)[::-1].astype(np.int16)
        self.names = names(features, covariates)

    def at(self, date: int, cells: Mask) -> NDArray[np.float32]:
        """The columns ``(n, columns)`` of the cells ``(lat, lon)`` of one date, in C order; NaN where there is none."""
        columns = np.empty((int(cells.sum()), len(self.names)), np.float32)
        for number, values in enumerate(self._columns(date, cells)):
            columns[:, number] = values
        return columns

    def _columns(self, date: int, cells: Mask) -> Iterator[NDArray[np.floating] | float]:
        guess, chunk = self._guess, self._chunk
        rows, columns = np.nonzero(cells)
        lon = np.radians(chunk.lon)[columns]
        yield from (np.sin(self._angle[date]), np.cos(self._angle[date]), chunk.lat[rows], np.sin(lon), np.cos(lon))
        yield from (guess.date[date], guess.deviation[date], guess.cell[cells])
        yield guess.harmonic[date][cells]
        yield from (guess.others[date][cells], guess.doubt[date][cells], guess.alone[date][cells])
        yield from self._neighbour(date, self._before[date][cells], cells)
        yield from self._neighbour(date, self._after[date][cells], cells)
        yield _distance(self._visible[date])[cells]
        yield self._count[cells]
        yield from self._related(date, cells)
        yield from (part[date][cells] for part in guess.around)
        yield from (part[date][cells] for part in guess.seen)
        yield from (values[date][cells] for values in self._features)
        yield from ((values[date] if values.ndim == 3 else values)[cells] for values in self._covariates)

    def _neighbour(self, date: int, step: NDArray[np.int16], cells: Mask) -> tuple[Array, Array]:
        """Anomaly of the cell at another date, and the days to it; NaN where there is none."""
        there = (step >= 0) & (step < len(self._days))
        at = np.where(there, step, 0)
        rows, columns = np.nonzero(cells)
        anomaly = self._guess.anomaly[at, rows, columns]
        days = np.abs(self._days[at] - self._days[date])
        return np.where(there, anomaly, np.nan), np.where(there, days, np.nan)

    def _related(self, date: int, cells: Mask) -> Iterator[Array]:
        """Anomalies at the visible dates most like this one, in units of this date, each with its likeness."""
        guess = self._guess
        order = np.argsort(-np.abs(guess.likeness[date]), kind="stable")
        order = order[order != date]
        left = np.full(int(cells.sum()), RELATED)
        found = np.full((RELATED, 2, len(left)), np.nan)
        for other in order:
            seen = self._visible[other][cells] & (left > 0)
            if seen.any():
                likeness = guess.likeness[date, other]
                scale = np.sign(likeness) * guess.deviation[date] / guess.deviation[other]
                found[RELATED - left[seen], 0, seen] = guess.anomaly[other][cells][seen] * scale
                found[RELATED - left[seen], 1, seen] = abs(likeness)
                left[seen] -= 1
            if not left.any():
                break
        for pair in found:
            yield from pair


def _distance(visible: Mask) -> NDArray[np.floating]:
    """Cells to the nearest visible one, diagonal steps as one ``(lat, lon)``; NaN where none is visible."""
    from scipy.ndimage import distance_transform_cdt

    if not visible.any():
        return np.full(visible.shape, np.nan)
    distance: NDArray[np.floating] = distance_transform_cdt(~visible, metric="chessboard").astype(np.float32)
    return distance
