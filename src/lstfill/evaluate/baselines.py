"""Baselines: what a model must beat, from nothing but what it was allowed to see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.evaluate.land import LandCells
from lstfill.evaluate.series import Beyond, days, ratio
from lstfill.evaluate.visible import SCORED_SETS, ScoredSet, visible_for

if TYPE_CHECKING:
    from lstfill.cube.chunk import Chunk


@dataclass(frozen=True)
class DateSums:
    """Sums of the visible target by date, for the mean of each date over all windows.

    Attributes:
        total: ``(set, time)`` in K, a row for each of ``SCORED_SETS``.
        n: number of visible cells ``(set, time)``.
        to_score: number of observed cells that no part but the scored sets may see ``(time,)``.
    """

    total: NDArray[np.float64]
    n: NDArray[np.int64]
    to_score: NDArray[np.int64]

    @classmethod
    def zeros(cls, dates: int) -> Self:
        """The sums of no cell, for a cube with that many dates."""
        sets = len(SCORED_SETS)
        return cls(np.zeros((sets, dates)), np.zeros((sets, dates), np.int64), np.zeros(dates, np.int64))

    @classmethod
    def of(cls, chunk: Chunk) -> Self:
        """Sums of one window, at the place of its dates among all dates of the cube."""
        sums, dates, land = cls.zeros(chunk.shape[0]), chunk.window.slices[0], LandCells.of(chunk).chunk
        for row, scored in enumerate(SCORED_SETS):
            visible = visible_for(land, scored)
            sums.total[row, dates] = np.where(visible, land.target, 0).sum(axis=(1, 2), dtype=np.float64)
            sums.n[row, dates] = np.count_nonzero(visible, axis=(1, 2))
        held_out = 0 if land.held_out is None else np.count_nonzero(land.held_out, axis=(1, 2))
        sums.to_score[dates] = sums.n[1, dates] - sums.n[0, dates] + held_out
        return sums

    def __add__(self, other: Self) -> Self:
        return type(self)(self.total + other.total, self.n + other.n, self.to_score + other.to_score)

    def means(self, scored: ScoredSet) -> NDArray[np.float64]:
        """Mean of the visible target of each date ``(time,)`` in K, every cell alike; NaN for a date without one."""
        row = SCORED_SETS.index(scored)
        return ratio(self.total[row], self.n[row])


@dataclass(frozen=True)
class View:
    """What a baseline sees of a window.

    Attributes:
        chunk: what it holds beyond ``visible`` is not to be looked at.
        visible: where the target may be seen ``(time, lat, lon)``.
        date_means: mean of the visible target of each date of the cube ``(time,)`` in K, NaN where unknown.
        beyond: what is visible of the series outside of the window; None where the window holds all times.
    """

    chunk: Chunk
    visible: NDArray[np.bool_]
    date_means: NDArray[np.float64]
    beyond: Beyond | None = None


def feature(view: View) -> NDArray[np.floating]:
    """The first feature as it is: with air temperature, the skin taken for as warm as the air."""
    return next(iter(view.chunk.features.values()))


def date_mean(view: View) -> NDArray[np.floating]:
    """The mean of all visible cells of the date, over the whole cube."""
    return np.broadcast_to(view.date_means[view.chunk.window.slices[0], None, None], view.visible.shape)


def cell_mean(view: View) -> NDArray[np.floating]:
    """The mean of the cell's visible dates; NaN for a cell without one."""
    if view.beyond is not None:
        return np.broadcast_to(view.beyond.mean, view.visible.shape)
    total = np.where(view.visible, view.chunk.target, 0).sum(axis=0, dtype=np.float64)
    return np.broadcast_to(ratio(total, np.count_nonzero(view.visible, axis=0)), view.visible.shape)


def temporal_interpolation(view: View) -> NDArray[np.floating]:
    """Linear in time between the nearest visible dates of the cell; before the first and after the last, that one.

    Dates count by their distance in time, not by their position, so that irregular steps are weighted as they are.
    """
    day = np.broadcast_to(days(view.chunk.time)[:, None, None], view.visible.shape)
    target, visible, inside = view.chunk.target, view.visible, slice(None)
    if view.beyond is not None:
        ends = (view.beyond.before, view.beyond.after)
        target, day = _between(target, [end.value for end in ends]), _between(day, [end.day for end in ends])
        visible, inside = _between(visible, [np.isfinite(end.day) for end in ends]), slice(1, -1)
    seen = visible.any(axis=0)
    predicted = np.full(view.visible.shape, np.nan)
    predicted[:, seen] = _interpolate(day[:, seen], target[:, seen], visible[:, seen])[inside]
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


def _between(values: NDArray[Any], ends: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([ends[0][None], values, ends[1][None]])


def _interpolate(
    day: NDArray[np.float64], target: NDArray[np.floating], visible: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Interpolates series ``(time, n)`` that have at least one visible value each."""
    last = len(day)
    step = np.arange(last, dtype=np.int32)[:, None]
    before = np.maximum.accumulate(np.where(visible, step, np.int32(-1)), axis=0)
    after = np.minimum.accumulate(np.where(visible, step, np.int32(last))[::-1], axis=0)[::-1]
    left, right = np.where(before < 0, after, before), np.where(after == last, before, after)
    from_day, to_day = (np.take_along_axis(day, side, axis=0) for side in (left, right))
    # A step between a date and itself has no slope: any width other than 0 gives the value.
    share = (day - from_day) / np.where(left == right, 1.0, to_day - from_day)
    share[left == right] = 0.0
    start = np.take_along_axis(target, left, axis=0).astype(np.float64)
    return start + share * (np.take_along_axis(target, right, axis=0) - start)
