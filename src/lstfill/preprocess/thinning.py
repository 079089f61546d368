"""Thinning: at most ``max_samples`` cells, spread evenly over space and time, the same whatever the chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lstfill.split import draw

_STREAM = "thinning"
_MAX_STRATA = 1 << 16


@dataclass(frozen=True)
class Strata:
    """A grid of boxes over the cube; each is asked for the same number of samples.

    Attributes:
        shape: cells of the cube ``(time, lat, lon)``.
        box: cells of a stratum ``(time, lat, lon)``.
    """

    shape: tuple[int, int, int]
    box: tuple[int, int, int]

    @classmethod
    def over(cls, shape: tuple[int, int, int], block: tuple[int, int, int]) -> Self:
        """The blocks of the split as strata; doubled in size until there are few enough to count."""
        box = block
        while cls(shape, box).count > _MAX_STRATA:
            box = (2 * box[0], 2 * box[1], 2 * box[2])
        return cls(shape, box)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Strata along time, lat and lon."""
        (nt, ny, nx), (t, y, x) = self.shape, self.box
        return (-(-nt // t), -(-ny // y), -(-nx // x))

    @property
    def count(self) -> int:
        """Number of strata."""
        return self.grid[0] * self.grid[1] * self.grid[2]

    def of(self, cell: NDArray[np.int64]) -> NDArray[np.int64]:
        """Stratum of each cell, by the cell's C-order index in the cube ``(n,)``."""
        row, lon = np.divmod(cell, self.shape[2])
        time, lat = np.divmod(row, self.shape[1])
        band = (time // self.box[0]) * self.grid[1] + lat // self.box[1]
        stratum: NDArray[np.int64] = band * self.grid[2] + lon // self.box[2]
        return stratum


@dataclass(frozen=True)
class Selection:
    """Which cells are kept: in each stratum those with the smallest keys.

    Attributes:
        strata: the grid of boxes.
        seed: seed of the keys.
        quota: cells kept ``(strata,)``.
        limit: largest key kept ``(strata,)``.
    """

    strata: Strata
    seed: int
    quota: NDArray[np.int64]
    limit: NDArray[np.uint64]

    def keep(self, cell: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each cell is kept ``(n,)``; depends on its index alone."""
        stratum = self.strata.of(cell)
        kept: NDArray[np.bool_] = draw.order_key(cell, self.seed, _STREAM) <= self.limit[stratum]
        return kept & (self.quota[stratum] > 0)


class Thinning:
    """Sees every usable cell of a part once, in any order, and says which to keep.

    Memory is bounded by ``max_samples`` and one chunk: cells that cannot be kept any more are forgotten.
    """

    def __init__(self, strata: Strata, max_samples: int, seed: int) -> None:
        self._strata = strata
        self._max_samples = max_samples
        self._seed = seed
        self._counts = np.zeros(strata.count, np.int64)
        self._seen: list[tuple[NDArray[np.int64], NDArray[np.uint64]]] = []

    def add(self, cell: NDArray[np.int64]) -> None:
        """Takes the usable cells of one chunk ``(n,)``."""
        stratum = self._strata.of(cell)
        self._counts += np.bincount(stratum, minlength=self._strata.count)
        self._seen.append((stratum, draw.order_key(cell, self._seed, _STREAM)))
        if sum(len(keys) for _, keys in self._seen) > 2 * self._max_samples + self._strata.count:
            # More cells can only lower the level: what lies one above it now is never kept later.
            self._forget(np.minimum(self._counts, _level(self._counts, self._max_samples) + 1))

    def selection(self) -> Selection:
        """The rule that keeps exactly the smaller of ``max_samples`` and the number of cells seen."""
        quota = quotas(self._counts, self._max_samples, self._seed)
        stratum, keys = self._forget(quota)
        limit = np.zeros(self._strata.count, np.uint64)
        np.maximum.at(limit, stratum, keys)
        return Selection(self._strata, self._seed, quota, limit)

    def _forget(self, quota: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        stratum = np.concatenate([np.empty(0, np.int64), *(piece[0] for piece in self._seen)])
        keys = np.concatenate([np.empty(0, np.uint64), *(piece[1] for piece in self._seen)])
        order = np.lexsort((keys, stratum))
        stratum, keys = stratum[order], keys[order]
        rank = np.arange(len(stratum)) - np.searchsorted(stratum, stratum)
        kept = rank < quota[stratum]
        self._seen = [(stratum[kept], keys[kept])]
        return self._seen[0]


def quotas(counts: NDArray[np.int64], max_samples: int, seed: int) -> NDArray[np.int64]:
    """Shares ``max_samples`` out as evenly as the strata can give: like water filling vessels of unlike height.

    Args:
        counts: cells there are ``(strata,)``.
        max_samples: cells wanted in all.
        seed: draws the strata that give one more where it does not divide.
    """
    level = _level(counts, max_samples)
    quota = np.minimum(counts, level)
    more = np.flatnonzero(counts > level)
    lot = np.argsort(draw.order_key(more, seed, _STREAM + "-remainder"))
    quota[more[lot[: max_samples - int(quota.sum())]]] += 1
    return quota


def _level(counts: NDArray[np.int64], max_samples: int) -> int:
    """Largest number that every stratum can be asked for without exceeding the sum."""
    low, high = 0, int(counts.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        if int(np.minimum(counts, middle).sum()) <= max_samples:
            low = middle
        else:
            high = middle - 1
    return low
