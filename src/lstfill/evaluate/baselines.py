"""Baselines: what a model must beat, from nothing but what it was allowed to see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.evaluate.land import LandCells
from lstfill.split.blocks import Part

if TYPE_CHECKING:
    from lstfill.cube.chunk import Chunk

ScoredSet = Literal["test", "held_out_gaps"]
SCORED_SETS: tuple[ScoredSet, ...] = ("test", "held_out_gaps")
_DAY = np.timedelta64(1, "D")


def visible_for(chunk: Chunk, scored: ScoredSet) -> NDArray[np.bool_]:
    """Where a baseline may see the target while a set of cells is scored ``(time, lat, lon)``.

    Held-out values are never seen. Test cells are seen while held-out gaps are scored, as by a user who fills the
    finished cube, and hidden while they are scored themselves.
    """
    visible = chunk.visible()
    if scored == "test" and chunk.part is not None:
        visible &= chunk.part != Part.TEST
    return visible


@dataclass(frozen=True)
class DateSums:
    """Sums of the visible target by date, for the mean of each date over all windows.

    Attributes:
        total: ``(set, time)`` in K, a row for each of ``SCORED_SETS``.
        n: number of visible cells ``(set, time)``.
    """

    total: NDArray[np.float64]
    n: NDArray[np.int64]

    @classmethod
    def zeros(cls, dates: int) -> Self:
        """The sums of no cell, for a cube with that many dates."""
        return cls(np.zeros((len(SCORED_SETS), dates)), np.zeros((len(SCORED_SETS), dates), np.int64))

    @classmethod
    def of(cls, chunk: Chunk) -> Self:
        """Sums of one window, at the place of its dates among all dates of the cube."""
        sums, dates, land = cls.zeros(chunk.shape[0]), chunk.window.slices[0], LandCells.of(chunk).chunk
        for row, scored in enumerate(SCORED_SETS):
            visible = visible_for(land, scored)
            sums.total[row, dates] = np.where(visible, land.target, 0).sum(axis=(1, 2), dtype=np.float64)
            sums.n[row, dates] = np.count_nonzero(visible, axis=(1, 2))
        return sums

    def __add__(self, other: Self) -> Self:
        return type(self)(self.total + other.total, self.n + other.n)

    def means(self, scored: ScoredSet) -> NDArray[np.float64]:
        """Mean of the visible target of each date ``(time,)`` in K, every cell alike; NaN for a date without one."""
        row = SCORED_SETS.index(scored)
        return _ratio(self.total[row], self.n[row])


@dataclass(frozen=True)
class View:
    """What a baseline sees of a window.

    Attributes:
        chunk: all times of the window; what it holds beyond ``visible`` is not to be looked at.
        visible: where the target may be seen ``(time, lat, lon)``.
        date_means: mean of the visible target of each date of the cube ``(time,)`` in K, NaN where unknown.
    """

    chunk: Chunk
    visible: NDArray[np.bool_]
    date_means: NDArray[np.float64]


def feature(view: View) -> NDArray[np.floating]:
    """The first feature as it is: with air temperature, the skin taken for as warm as the air."""
    return next(iter(view.chunk.features.values()))


def date_mean(view: View) -> NDArray[np.floating]:
    """The mean of all visible cells of the date, over the whole cube."""
    return np.broadcast_to(view.date_means[view.chunk.window.slices[0], None, None], view.visible.shape)


def cell_mean(view: View) -> NDArray[np.floating]:
    """The mean of the cell's visible dates; NaN for a cell without one."""
    total = np.asarray(np.sum(view.chunk.target, axis=0, where=view.visible, dtype=np.float64))
    return np.broadcast_to(_ratio(total, np.count_nonzero(view.visible, axis=0)), view.visible.shape)


def temporal_interpolation(view: View) -> NDArray[np.floating]:
    """Linear in time between the nearest visible dates of the cell; before the first and after the last, that one.

    Dates count by their distance in time, not by their position, so that irregular steps are weighted as they are.
    """
    seen = view.visible.any(axis=0)
    predicted = np.full(view.visible.shape, np.nan)
    days = (view.chunk.time - view.chunk.time[0]) / _DAY
    predicted[:, seen] = _interpolate(days, view.chunk.target[:, seen], view.visible[:, seen])
    return predicted


# Each predicts (time, lat, lon) in K for a window, NaN where it cannot.
BASELINES: dict[str, Callable[[View], NDArray[np.floating]]] = {
    "feature": feature,
    "date_mean": date_mean,
    "cell_mean": cell_mean,
    "temporal_interpolation": temporal_interpolation,
}


def available(names: Sequence[str], chunk: Chunk) -> list[str]:
    """The baselines of a list that the chunk has what they need for: ``feature`` needs a feature."""
    return [name for name in names if name != "feature" or chunk.features]


def _ratio(total: NDArray[np.float64], n: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _interpolate(
    days: NDArray[np.float64], target: NDArray[np.floating], visible: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Interpolates series ``(time, n)`` that have at least one visible value each."""
    last = len(days)
    step = np.arange(last, dtype=np.int32)[:, None]
    before = np.maximum.accumulate(np.where(visible, step, np.int32(-1)), axis=0)
    after = np.minimum.accumulate(np.where(visible, step, np.int32(last))[::-1], axis=0)[::-1]
    left, right = np.where(before < 0, after, before), np.where(after == last, before, after)
    # A step between a date and itself has no slope: any width other than 0 gives the value.
    share = (days[:, None] - days[left]) / np.where(left == right, 1.0, days[right] - days[left])
    share[left == right] = 0.0
    start = np.take_along_axis(target, left, axis=0).astype(np.float64)
    return start + share * (np.take_along_axis(target, right, axis=0) - start)
