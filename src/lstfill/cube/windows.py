"""Windows: which cells of a ``(time, lat, lon)`` cube are worked on together, planned from sizes alone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIMS = ("time", "lat", "lon")


@dataclass(frozen=True)
class Window:
    """A box of cells by index, half open, in ``(time, lat, lon)``."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along time, lat and lon."""
        return (self.stop[0] - self.start[0], self.stop[1] - self.start[1], self.stop[2] - self.start[2])

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of a ``(time, lat, lon)`` array."""
        return (
            slice(self.start[0], self.stop[0]),
            slice(self.start[1], self.stop[1]),
            slice(self.start[2], self.stop[2]),
        )

    @property
    def indexers(self) -> dict[str, slice]:
        """Arguments of ``Dataset.isel``."""
        return dict(zip(DIMS, self.slices, strict=True))

    def cell_index(self, shape: tuple[int, int, int]) -> NDArray[np.int64]:
        """Linear C-order index of each cell ``(time, lat, lon)`` in a cube of ``shape``, whatever the window."""
        time, lat, lon = (np.arange(a, b, dtype=np.int64) for a, b in zip(self.start, self.stop, strict=True))
        row: NDArray[np.int64] = time[:, None, None] * shape[1] + lat[None, :, None]
        return row * shape[2] + lon[None, None, :]


def chunk_windows(shape: tuple[int, int, int], chunks: tuple[int, int, int]) -> list[Window]:
    """One window a chunk, in C order: what a writer may touch without a neighbour.

    Args:
        shape: cells of the cube ``(time, lat, lon)``.
        chunks: chunk sizes ``(time, lat, lon)``.
    """
    edges = [[(a, min(a + step, n)) for a in range(0, n, step)] for n, step in zip(shape, chunks, strict=True)]
    return [Window((t[0], y[0], x[0]), (t[1], y[1], x[1])) for t, y, x in itertools.product(*edges)]


def column_windows(shape: tuple[int, int, int], chunks: tuple[int, int, int], max_cells: int) -> list[Window]:
    """Windows over all times, for work that needs a cell's whole series, of at most ``max_cells`` where that can be.

    Whole chunk columns are joined along lon while they fit; one that does not fit is cut along lat into equal parts,
    so that all windows lie on one regular grid and each can be written by itself.

    Args:
        shape: cells of the cube ``(time, lat, lon)``.
        chunks: chunk sizes ``(time, lat, lon)``.
        max_cells: bound that keeps memory the same for cubes of any length.
    """
    nt, nlat, nlon = shape
    lon_step = min(chunks[2] * max(1, max_cells // (nt * chunks[1] * chunks[2])), nlon)
    rows = max_cells // (nt * lon_step)
    lat_step = max(step for step in range(1, chunks[1] + 1) if chunks[1] % step == 0 and (step <= rows or step == 1))
    edges = itertools.product(range(0, nlat, lat_step), range(0, nlon, lon_step))
    return [Window((0, y, x), (nt, min(y + lat_step, nlat), min(x + lon_step, nlon))) for y, x in edges]
