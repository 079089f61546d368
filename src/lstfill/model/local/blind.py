"""Dates that show nothing of a tile, or next to nothing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lstfill.modelconfig import Harmonic

if TYPE_CHECKING:
    from lstfill.model.harmonic import Fit
    from lstfill.model.local.predictors import Scene

Array = NDArray[np.float64]

UNKNOWN_K = 10.0
"""Deviation of a date's level where too few dates are seen to tell."""


class Blind:
    """Fills what no value of its own date can tell: from features and season, or else from the dates around."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def fill(self, step: int, wanted: NDArray[np.intp]) -> tuple[Array, Array]:
        """Values and their standard deviation of some cells of a date ``(m,)`` in K."""
        if self._scene.chunk.features:
            fit, cells = self._harmonics, self._scene.cells[wanted]
            return fit.value[step].ravel()[cells].astype(np.float64), fit.spread.ravel()[cells].astype(np.float64)
        level, doubt = self._levels
        values = level[step] + self._scene.means.cell[wanted]
        return values, np.full(len(wanted), np.hypot(doubt, np.nanstd(self._scene.anomaly)))

    @functools.cached_property
    def _harmonics(self) -> Fit:
        from lstfill.model.harmonic import fit_harmonics

        chunk = self._scene.chunk
        fit = fit_harmonics(chunk, Harmonic(), list(chunk.features))
        if fit is None:
            raise ValueError("nothing of the tile is visible")
        return fit

    @functools.cached_property
    def _levels(self) -> tuple[Array, float]:
        """Levels of all dates ``(time,)`` on lines between those seen, and how far seen ones are from such lines."""
        date, time = self._scene.means.date, self._scene.chunk.time
        day = (time - time[0]) / np.timedelta64(1, "D")
        seen = np.flatnonzero(np.isfinite(date))
        level = np.interp(day, day[seen], date[seen])
        if len(seen) < 3:
            return level, UNKNOWN_K
        misses = [date[at] - np.interp(day[at], *_without(day[seen], date[seen], k)) for k, at in enumerate(seen)]
        return level, float(np.sqrt(np.mean(np.square(misses[1:-1]))))


def _without(day: Array, date: Array, place: int) -> tuple[Array, Array]:
    return np.delete(day, place), np.delete(date, place)
