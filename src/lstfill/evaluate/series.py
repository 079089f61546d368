"""What a series shows before and after a window, so that baselines in time need the values of one window at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.evaluate.visible import ScoredSet, visible_for

if TYPE_CHECKING:
    from lstfill.cube.chunk import Chunk

_DAY = np.timedelta64(1, "D")
_FIRST_DAY = np.datetime64("1970-01-01")


@dataclass(frozen=True)
class Seen:
    """A visible value of each cell and its day; both NaN for a cell without one.

    Attributes:
        value: ``(lat, lon)`` in K.
        day: ``(lat, lon)`` since 1970-01-01.
    """

    value: NDArray[np.floating]
    day: NDArray[np.float64]

    @classmethod
    def none(cls, chunk: Chunk) -> Self:
        """No value for any cell of a chunk."""
        return cls(*(np.full(chunk.land.shape, np.nan, dtype) for dtype in (chunk.target.dtype, np.float64)))

    @classmethod
    def first(cls, chunk: Chunk, visible: NDArray[np.bool_]) -> Self:
        """The first visible value of each cell of a chunk."""
        return cls._at(visible.argmax(axis=0), chunk, visible)

    @classmethod
    def last(cls, chunk: Chunk, visible: NDArray[np.bool_]) -> Self:
        """The last visible value of each cell of a chunk."""
        return cls._at(len(visible) - 1 - visible[::-1].argmax(axis=0), chunk, visible)

    @classmethod
    def _at(cls, step: NDArray[np.intp], chunk: Chunk, visible: NDArray[np.bool_]) -> Self:
        value, seen = (np.take_along_axis(of, step[None], axis=0)[0] for of in (chunk.target, visible))
        return cls(np.where(seen, value, np.nan).astype(value.dtype), np.where(seen, days(chunk.time)[step], np.nan))

    def or_else(self, other: Self) -> Self:
        """This value, or where there is none the other one."""
        here = np.isfinite(self.day)
        return type(self)(np.where(here, self.value, other.value), np.where(here, self.day, other.day))


@dataclass(frozen=True)
class _Kept:
    """What was seen after a window, in two thirds of the memory: one for each window of a column waits for its turn.

    Attributes:
        value: ``(lat, lon)`` in K.
        later: days after the window's last date ``(lat, lon)``, of which single precision keeps seven digits.
        last_day: the window's last date, in days since 1970-01-01.
    """

    value: NDArray[np.floating]
    later: NDArray[np.float32]
    last_day: float

    @classmethod
    def of(cls, seen: Seen, chunk: Chunk) -> Self:
        """What was seen after a chunk."""
        last_day = float(days(chunk.time)[-1])
        return cls(seen.value, (seen.day - last_day).astype(np.float32), last_day)

    def seen(self) -> Seen:
        """The same as it was."""
        return Seen(self.value, self.last_day + self.later.astype(np.float64))


@dataclass(frozen=True)
class Beyond:
    """What a baseline sees of each series outside of a window.

    Attributes:
        mean: of all visible values of the series ``(lat, lon)`` in K; NaN without one.
        before: the last visible value before the window.
        after: the first visible value after the window.
    """

    mean: NDArray[np.float64]
    before: Seen
    after: Seen

    def take(self, place: NDArray[np.intp]) -> Self:
        """Some rows, by their place."""
        before, after = (Seen(seen.value[place], seen.day[place]) for seen in (self.before, self.after))
        return type(self)(self.mean[place], before, after)


class Series:
    """What the windows of one column show of its series, in two looks at the target.

    The first look goes back in time, at making; of each window it keeps what lies after it. The second goes forward
    with the scores: ask ``beyond`` for each window in the order of time, giving its cells.
    """

    def __init__(self, back_in_time: Iterable[Chunk], sets: Sequence[ScoredSet]) -> None:
        """Looks back once.

        Args:
            back_in_time: the windows of the column, the last first, of the same cells each.
            sets: which cells are scored.
        """
        self._after: dict[ScoredSet, list[_Kept]] = {name: [] for name in sets}
        self._before: dict[ScoredSet, Seen] = {}
        total: dict[ScoredSet, NDArray[np.float64]] = {}
        n: dict[ScoredSet, NDArray[np.int64]] = {}
        first: dict[ScoredSet, Seen] = {}
        for chunk in back_in_time:
            for name in sets:
                visible, after = visible_for(chunk, name), first.get(name, Seen.none(chunk))
                self._after[name].append(_Kept.of(after, chunk))
                first[name] = Seen.first(chunk, visible).or_else(after)
                total[name] = total.get(name, 0) + np.where(visible, chunk.target, 0).sum(axis=0, dtype=np.float64)
                n[name] = n.get(name, 0) + np.count_nonzero(visible, axis=0)
        self._mean = {name: ratio(total[name], n[name]) for name in total}

    def beyond(self, chunk: Chunk) -> Mapping[ScoredSet, Beyond]:
        """What lies outside of the next window, by scored set.

        Args:
            chunk: the cells of that window.
        """
        found: dict[ScoredSet, Beyond] = {}
        for name, after in self._after.items():
            before = self._before.get(name, Seen.none(chunk))
            found[name] = Beyond(self._mean[name], before, after.pop().seen())
            self._before[name] = Seen.last(chunk, visible_for(chunk, name)).or_else(before)
        return found


def days(time: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Days since 1970-01-01 of each date."""
    since: NDArray[np.float64] = (time - _FIRST_DAY) / _DAY
    return since


def ratio(total: NDArray[np.float64], n: NDArray[np.integer]) -> NDArray[np.float64]:
    """Means from sums and numbers; NaN of nothing."""
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
