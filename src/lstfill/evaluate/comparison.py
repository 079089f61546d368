"""Whether a model is better than another on the same cells: a paired test over blocks of space and time.

Errors of neighbouring cells and dates go together, so cells are no independent trials: a million of them may say as
little as ten. What is compared are sums over blocks (Hering and Genton 2011, "Comparing spatial predictions",
Technometrics 53). They begin as the blocks of the split and are joined with their neighbours for as long as that makes
the mean difference less certain: errors of a whole scene on one date often go together, and blocks inside of it would
find differences where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.windows import Window
from lstfill.evaluate.grouping import Grouping, added

Triple = tuple[int, int, int]

DRAWS = 9999
"""Random draws of a test: p moves in steps of 1/10000."""
MOST_BLOCKS = 4096
"""Blocks beyond which they are made larger: sums of each window hold all of them."""
FEWEST_BLOCKS = 8
"""Blocks that joining leaves at least: 256 ways to flip their signs, enough for a p of 0.004."""
_SEED = 20110401
_AT_ONCE = 2**20


class PairedTest(TypedDict):
    """How a model's absolute error differs from its rival's, on the cells that both predict.

    Attributes:
        difference_k: mean of the model's absolute error less the rival's, in K; negative where the model is better.
        interval_k: 95 % interval of it, from a bootstrap over blocks; None of fewer than two blocks.
        p: probability of a difference as favourable as this if there were none; one-sided.
        blocks: number of blocks with a cell.
        n: number of cells.
    """

    difference_k: float
    interval_k: list[float] | None
    p: float
    blocks: int
    n: int


@dataclass(frozen=True)
class Paired:
    """Sums of differences between the absolute errors of a model and its rival; sums of windows add up.

    Attributes:
        total: model less rival in each block of the cube, in K ``(time, lat, lon)`` blocks.
        n: cells of each block, of the same shape.
        groups: number of cells and sum of differences in the groups of each break-down ``(2, groups)``.
    """

    total: NDArray[np.float64]
    n: NDArray[np.int64]
    groups: dict[str, NDArray[np.float64]]

    @classmethod
    def of(
        cls,
        difference: NDArray[np.floating],
        block: NDArray[np.integer],
        grid: Triple,
        grouping: Grouping | None = None,
    ) -> Self:
        """Sums over the cells of one window.

        Args:
            difference: the model's absolute error less the rival's in K ``(n,)``, finite.
            block: the block of each cell ``(n,)``, flattened.
            grid: number of blocks of the cube along time, lat and lon.
            grouping: the groups of the cells.
        """
        blocks = math.prod(grid)
        # Of no cells at all, bincount makes integers, weights or not.
        total = np.bincount(block, difference, blocks).astype(np.float64)
        groups = {} if grouping is None else grouping.tables(difference)
        return cls(total.reshape(grid), np.bincount(block, minlength=blocks).reshape(grid), groups)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.total + other.total, self.n + other.n, added(self.groups, other.groups))

    def test(self) -> PairedTest | None:
        """The paired test, on blocks of the size at which the mean difference is least certain; None of no cell."""
        if not self.n.any():
            return None
        return paired_test(*max(_joined(self.total, self.n), key=lambda sums: _deviation(*sums)))

    def group(self, name: str) -> list[tuple[float | None, int]]:
        """For each group of a break-down the mean difference in K, None of no cell, and the number of cells."""
        n, total = self.groups[name]
        return [(t / m if m else None, round(m)) for t, m in zip(total.tolist(), n.tolist(), strict=True)]


@dataclass(frozen=True)
class Blocks:
    """Boxes that the cells of a cube fall into.

    Attributes:
        shape: cells of the cube ``(time, lat, lon)``.
        size: cells of a block ``(time, lat, lon)``.
    """

    shape: Triple
    size: Triple

    @classmethod
    def of(cls, shape: Triple, size: Triple) -> Self:
        """Blocks of a size, doubled along the axis with most of them until there are at most ``MOST_BLOCKS``."""
        blocks = cls(shape, size)
        while len(blocks) > MOST_BLOCKS:
            axis = int(np.argmax(blocks.grid))
            size = (size[0] * (1 + (axis == 0)), size[1] * (1 + (axis == 1)), size[2] * (1 + (axis == 2)))
            blocks = cls(shape, size)
        return blocks

    @property
    def grid(self) -> Triple:
        """Number of blocks along time, lat and lon."""
        nt, nlat, nlon = (-(-cells // step) for cells, step in zip(self.shape, self.size, strict=True))
        return nt, nlat, nlon

    def __len__(self) -> int:
        return math.prod(self.grid)

    def at(self, cells: Sequence[NDArray[np.intp]], window: Window) -> NDArray[np.intp]:
        """The block of each cell ``(n,)``, by the cells' index in a window along time, lat and lon."""
        places = [(index + start) // step for index, start, step in zip(cells, window.start, self.size, strict=True)]
        return np.ravel_multi_index(places, self.grid)


def paired_test(total: NDArray[np.floating], n: NDArray[np.integer]) -> PairedTest:
    """Tests by sign flips whether the mean difference over all cells is below zero.

    If neither model were better, a block's sum would be as likely with the other sign. The signs of all blocks are
    flipped at random, or in every way where the blocks are few (Fisher 1935, "The design of experiments", section 21);
    p counts the data themselves as one of the draws (Phipson and Smyth 2010, "Permutation p-values should never be
    zero", Stat. Appl. Genet. Mol. Biol. 9). The interval holds the central 95 % of the means over blocks drawn with
    replacement (Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13).

    Args:
        total: sum of the differences of each block ``(blocks,)``.
        n: number of cells of each block ``(blocks,)``, each above 0.
    """
    cells = int(n.sum())
    return PairedTest(
        difference_k=float(total.sum()) / cells,
        interval_k=_interval(total, n) if len(total) > 1 else None,
        p=_p(np.asarray(total, np.float64)),
        blocks=len(total),
        n=cells,
    )


def _joined(
    total: NDArray[np.float64], n: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Sums and cells of the blocks that have any, as they are, then joined two by two along lat and lon."""
    yield total[n > 0], n[n > 0]
    while max(n.shape[1:]) > 1:
        total, n = (_pairs(_pairs(of, 1), 2) for of in (total, n))
        if np.count_nonzero(n) < FEWEST_BLOCKS:
            return
        yield total[n > 0], n[n > 0]


def _pairs(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """Sums of neighbours along an axis; an odd last one stays alone."""
    sums: NDArray[Any] = np.add.reduceat(values, np.arange(0, values.shape[axis], 2), axis=axis)
    return sums


def _deviation(total: NDArray[np.float64], n: NDArray[np.int64]) -> float:
    """Standard error of the mean difference if blocks are independent (Cochran 1977, a ratio of sums, eq. 2.39)."""
    off = total - n * (total.sum() / n.sum())
    return math.sqrt(float((off**2).sum()) * len(n) / max(len(n) - 1, 1)) / int(n.sum())


def _p(total: NDArray[np.float64]) -> float:
    # Sums that differ by rounding alone are the same.
    limit = float(total.sum()) + 1e-12 * float(np.abs(total).sum())
    if 2 ** min(len(total), 63) <= DRAWS:
        ways = np.arange(2 ** len(total))[:, None] >> np.arange(len(total)) & 1
        return float(np.mean(_flipped(total, ways) <= limit))
    generator = np.random.default_rng(_SEED)
    low = sum(
        int(np.count_nonzero(_flipped(total, generator.integers(0, 2, (draws, len(total)), np.int8)) <= limit))
        for draws in _pieces(len(total))
    )
    return (1 + low) / (1 + DRAWS)


def _flipped(total: NDArray[np.float64], flips: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sums with signs turned where a flip is 1 ``(draws,)``."""
    sums: NDArray[np.float64] = np.where(flips == 1, -total, total).sum(axis=1)
    return sums


def _interval(total: NDArray[np.floating], n: NDArray[np.integer]) -> list[float]:
    generator, means = np.random.default_rng(_SEED), []
    for draws in _pieces(len(total)):
        drawn = generator.integers(0, len(total), (draws, len(total)))
        means.append(total[drawn].sum(axis=1) / n[drawn].sum(axis=1))
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return [float(low), float(high)]


def _pieces(blocks: int) -> Iterator[int]:
    """Draws to make at once, so that memory does not grow with the number of blocks."""
    at_once = max(1, _AT_ONCE // blocks)
    for first in range(0, DRAWS, at_once):
        yield min(at_once, DRAWS - first)
