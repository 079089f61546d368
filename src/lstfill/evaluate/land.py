"""Land cells of a window side by side: what is summed and scored, without the sea around it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lstfill.cube.chunk import Chunk


@dataclass(frozen=True)
class LandCells:
    """The series of some land cells, each a row of its own.

    Attributes:
        chunk: ``(time, n, 1)`` arrays with the latitude of each cell ``(n,)``. Cells side by side have no common
            longitude: that is NaN. The window is the one they were taken from.
        rows: index of each cell along lat in its window ``(n,)``.
        columns: index of each cell along lon in its window ``(n,)``.
        grid: rows and columns of the window.
    """

    chunk: Chunk
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    grid: tuple[int, int]

    @classmethod
    def of(cls, chunk: Chunk) -> Self:
        """All land cells of a window, in the order of the window."""
        rows, columns = np.nonzero(chunk.land)
        cells = _taken(chunk, rows * chunk.land.shape[1] + columns)
        return cls(
            dataclasses.replace(cells, lat=chunk.lat[rows], lon=np.full(1, np.nan)), rows, columns, chunk.land.shape
        )

    def take(self, place: NDArray[np.intp]) -> Self:
        """Some of the cells, by their place ``(n,)``."""
        cells = dataclasses.replace(_taken(self.chunk, place), lat=self.chunk.lat[place])
        return type(self)(cells, self.rows[place], self.columns[place], self.grid)

    def of_window(self, values: NDArray[Any]) -> NDArray[Any]:
        """What an array of the window ``(time, lat, lon)`` holds at the cells ``(time, n, 1)``."""
        return _series(values, self.rows * self.grid[1] + self.columns)


def _taken(chunk: Chunk, place: NDArray[np.intp]) -> Chunk:
    """Series by their place in the flattened ``(lat, lon)``; coordinates are left to the caller."""

    def of(values: NDArray[Any]) -> NDArray[Any]:
        return _series(values, place)

    return dataclasses.replace(
        chunk,
        covariates={},
        target=of(chunk.target),
        features={name: of(values) for name, values in chunk.features.items()},
        land=np.ones((len(place), 1), bool),
        part=None if chunk.part is None else of(chunk.part),
        held_out=None if chunk.held_out is None else of(chunk.held_out),
        truth=None if chunk.truth is None else of(chunk.truth),
    )


def _series(values: NDArray[Any], place: NDArray[np.intp]) -> NDArray[Any]:
    series: NDArray[Any] = values.reshape(len(values), -1).take(place, axis=1)
    return series[..., None]
