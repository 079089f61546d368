"""Tiles: pieces of the grid over all dates that overlap, and weights by which their values fade into each other.

Planned from sizes alone: chunks have no part in it, so that a tile is the same however a cube is stored.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.windows import Window

TILE_CELLS = 16_000_000
"""Cells of a tile with its margin over all dates: what bounds the memory of a model of neighbours."""


@dataclass(frozen=True)
class TileAxis:
    """How one direction of the grid is cut.

    Attributes:
        edges: where tiles end, from 0 to the number of cells.
        overlap: cells that a tile sees beyond its edges.
    """

    edges: tuple[int, ...]
    overlap: int

    @classmethod
    def of(cls, n: int, side: int, overlap: int) -> TileAxis:
        """Cuts ``n`` cells into tiles of about ``side``, all of them equal within one cell.

        Args:
            n: cells of the axis.
            side: wanted cells a tile; fewer than one and a half of it are one tile.
            overlap: cells beyond each edge.
        """
        tiles = max(1, (2 * n + side) // (2 * side))
        return cls(tuple(i * n // tiles for i in range(tiles + 1)), overlap)

    def __len__(self) -> int:
        return len(self.edges) - 1

    def core(self, tile: int) -> slice:
        """Cells of a tile."""
        return slice(self.edges[tile], self.edges[tile + 1])

    def outer(self, tile: int) -> slice:
        """Cells that a tile sees, cut at the edge of the grid."""
        return slice(max(0, self.edges[tile] - self.overlap), min(self.edges[-1], self.edges[tile + 1] + self.overlap))

    def touching(self, cut: slice) -> range:
        """Tiles that see a cell of a range."""
        found = [i for i in range(len(self)) if self.outer(i).start < cut.stop and cut.start < self.outer(i).stop]
        return range(found[0], found[-1] + 1)

    def weights(self, tile: int, cut: slice) -> NDArray[np.float64]:
        """Weight of a tile at each cell of a range ``(n,)``; over all tiles they add up to 1, in any cell."""
        return self._risen(tile, cut) - self._risen(tile + 1, cut)

    def _risen(self, edge: int, cut: slice) -> NDArray[np.float64]:
        """How far the weight has passed over to what lies beyond an edge, linear across both margins."""
        centres = np.arange(cut.start, cut.stop) + 0.5
        if edge in (0, len(self)):
            return np.full(centres.shape, float(edge == 0))
        if self.overlap == 0:
            return (centres > self.edges[edge]).astype(np.float64)
        return np.clip((centres - self.edges[edge]) / (2 * self.overlap) + 0.5, 0.0, 1.0)


@dataclass(frozen=True)
class Tiling:
    """All tiles of a grid, numbered row by row.

    Attributes:
        dates: steps of the cube.
        lat: how rows are cut.
        lon: how columns are cut.
    """

    dates: int
    lat: TileAxis
    lon: TileAxis

    @classmethod
    def of(cls, shape: tuple[int, int, int], side: int, overlap: int, most_cells: int = TILE_CELLS) -> Tiling:
        """Plans tiles; smaller ones than asked for where the dates are so many that one would not fit into memory.

        Args:
            shape: cells of the cube ``(time, lat, lon)``.
            side: rows and columns a tile.
            overlap: cells that a tile sees beyond each edge.
            most_cells: bound on the cells of a tile with its margin over all dates.
        """
        dates, rows, columns = shape
        for smaller in _shrinking(side):
            margin = overlap * smaller // side
            made = cls(dates, TileAxis.of(rows, smaller, margin), TileAxis.of(columns, smaller, margin))
            if made.largest <= most_cells:
                break
        return made

    def __len__(self) -> int:
        return len(self.lat) * len(self.lon)

    @property
    def largest(self) -> int:
        """Cells of the largest tile with its margin over all dates."""
        sides = (max(_length(axis.outer(i)) for i in range(len(axis))) for axis in (self.lat, self.lon))
        return self.dates * math.prod(sides)

    def outer(self, tile: int) -> Window:
        """All that a tile sees."""
        row, column = divmod(tile, len(self.lon))
        return _window(self.dates, self.lat.outer(row), self.lon.outer(column))

    def core(self, tile: int) -> Window:
        """The tile itself."""
        row, column = divmod(tile, len(self.lon))
        return _window(self.dates, self.lat.core(row), self.lon.core(column))

    def touching(self, window: Window) -> Iterator[int]:
        """Numbers of the tiles that see a cell of a window, ascending."""
        _, rows, columns = window.slices
        for row, column in itertools.product(self.lat.touching(rows), self.lon.touching(columns)):
            yield row * len(self.lon) + column

    def weights(self, tile: int, window: Window) -> NDArray[np.float64]:
        """Weight of a tile at the cells of a window ``(lat, lon)``: a partition of unity."""
        row, column = divmod(tile, len(self.lon))
        return np.outer(self.lat.weights(row, window.slices[1]), self.lon.weights(column, window.slices[2]))


def inside(window: Window, outer: Window) -> tuple[slice, slice, slice]:
    """Index of a window in the array of one that contains it."""
    time, lat, lon = (slice(a - o, b - o) for a, b, o in zip(window.start, window.stop, outer.start, strict=True))
    return time, lat, lon


def common(one: Window, other: Window) -> Window:
    """The cells that two windows share, which must be some."""
    start = tuple(max(a, b) for a, b in zip(one.start, other.start, strict=True))
    stop = tuple(min(a, b) for a, b in zip(one.stop, other.stop, strict=True))
    return Window((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _shrinking(side: int) -> Iterator[int]:
    while side > 1:
        yield side
        side = side * 7 // 8
    yield 1


def _length(cut: slice) -> int:
    return int(cut.stop - cut.start)


def _window(dates: int, rows: slice, columns: slice) -> Window:
    return Window((0, rows.start, columns.start), (dates, rows.stop, columns.stop))
