"""Sums by group, for any number of break-downs of the same cells at the cost of one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Grouping:
    """The groups that cells belong to, one of each break-down.

    Attributes:
        sizes: number of groups of each break-down, by name.
        place: position of each cell in the grid that the break-downs span, flattened ``(n,)``.
    """

    sizes: dict[str, int]
    place: NDArray[np.intp]

    @classmethod
    def of(cls, codes: Mapping[str, tuple[NDArray[np.integer], int]], n: int) -> Self:
        """From the group of each cell ``(n,)`` and the number of groups of each break-down; there may be none."""
        sizes = {name: size for name, (_, size) in codes.items()}
        if not codes:
            return cls(sizes, np.zeros(n, np.intp))
        return cls(sizes, np.ravel_multi_index([code for code, _ in codes.values()], tuple(sizes.values())))

    def where(self, known: NDArray[np.bool_]) -> Self:
        """The same of some cells ``(n,)``."""
        return type(self)(self.sizes, self.place[known])

    def totals(self, values: NDArray[np.floating] | None = None) -> dict[str, NDArray[np.float64]]:
        """Sum of the values ``(n,)`` in each group ``(groups,)`` by break-down; without values, the number of cells."""
        shape = tuple(self.sizes.values())
        # Of no cells at all, bincount makes integers, weights or not.
        grid = np.bincount(self.place, values, math.prod(shape)).astype(np.float64).reshape(shape)
        axes = range(len(shape))
        return {name: grid.sum(axis=tuple(a for a in axes if a != axis)) for axis, name in enumerate(self.sizes)}

    def tables(self, *values: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
        """Number of cells, and sum of each of the values, in each group ``(1 + values, groups)`` by break-down."""
        rows = [self.totals(), *(self.totals(of) for of in values)]
        return {name: np.stack([row[name] for row in rows]) for name in self.sizes}


def added(
    one: Mapping[str, NDArray[np.float64]], other: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Sums of the same break-downs over the cells of both."""
    return {name: sums + other[name] for name, sums in one.items()}
