"""Counts from which the report's pictures are drawn: bounded in size whatever the cube, and windows can add them up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.windows import Window

DENSITY_EDGES_K = np.arange(180.0, 345.5, 0.5)
RESIDUAL_EDGES_K = np.arange(-30.0, 30.25, 0.25)
MAP_SHAPE = (360, 720)  # half a degree on the globe: as fine as a page can show


@dataclass(frozen=True)
class CoarseMap:
    """Sum and number of residuals on a coarse grid; holds only the box of it that its cells lie in.

    Attributes:
        grid: cells of the cube ``(lat, lon)``.
        corner: first coarse row and column of the box.
        total: sum of residuals in K ``(rows, columns)``.
        n: number of residuals ``(rows, columns)``.
    """

    grid: tuple[int, int]
    corner: tuple[int, int]
    total: NDArray[np.float64]
    n: NDArray[np.int64]

    @classmethod
    def of(
        cls, residual: NDArray[np.float64], cells: tuple[NDArray[np.intp], ...], window: Window, grid: tuple[int, int]
    ) -> Self:
        """Sums residuals ``(n,)`` at cells of a window, given by their index along time, lat and lon."""
        steps = strides(grid)
        first = [a // step for a, step in zip(window.start[1:], steps, strict=True)]
        shape = [(b - 1) // step - a + 1 for a, b, step in zip(first, window.stop[1:], steps, strict=True)]
        places = [
            (index + start) // step - a
            for index, start, step, a in zip(cells[1:], window.start[1:], steps, first, strict=True)
        ]
        place = np.ravel_multi_index(places, shape)
        # Of no cells at all, bincount makes integers, weights or not.
        total = np.bincount(place, residual, math.prod(shape)).astype(np.float64)
        n = np.bincount(place, minlength=math.prod(shape))
        return cls(grid, (first[0], first[1]), total.reshape(shape), n.reshape(shape))

    def __add__(self, other: Self) -> Self:
        parts = (self, other)
        top, left = (min(part.corner[k] for part in parts) for k in (0, 1))
        shape = [max(part.corner[k] + part.n.shape[k] for part in parts) - (top, left)[k] for k in (0, 1)]
        total, n = np.zeros(shape), np.zeros(shape, np.int64)
        for part in parts:
            box = tuple(slice(a - b, a - b + m) for a, b, m in zip(part.corner, (top, left), part.n.shape, strict=True))
            total[box] += part.total
            n[box] += part.n
        return type(self)(self.grid, (top, left), total, n)

    def mean(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Mean residual in K, NaN where there is none, and their number, on the whole coarse grid."""
        shape = [-(-cells // step) for cells, step in zip(self.grid, strides(self.grid), strict=True)]
        box = tuple(slice(a, a + m) for a, m in zip(self.corner, self.n.shape, strict=True))
        mean, n = np.full(shape, np.nan), np.zeros(shape, np.int64)
        n[box] = self.n
        mean[box] = np.where(self.n > 0, self.total / np.maximum(self.n, 1), np.nan)
        return mean, n


@dataclass(frozen=True)
class Pictures:
    """How predictions and residuals are distributed over values, space and time.

    Attributes:
        density: number of cells ``(observed, predicted)`` between ``DENSITY_EDGES_K``; the outermost bins also count
            what lies beyond.
        residuals: number of cells by predicted minus observed between ``RESIDUAL_EDGES_K``, with the same outermost
            bins.
        error: residuals on a coarse map.
        per_date: number of scored cells of each date of the cube ``(time,)``.
    """

    density: NDArray[np.int64]
    residuals: NDArray[np.int64]
    error: CoarseMap
    per_date: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        predicted: NDArray[np.floating],
        observed: NDArray[np.floating],
        cells: tuple[NDArray[np.intp], ...],
        window: Window,
        shape: tuple[int, int, int],
    ) -> Self:
        """Counts cells of one window.

        Args:
            predicted: values ``(n,)`` in K.
            observed: values ``(n,)`` in K.
            cells: index of the cells in the window along time, lat and lon, each ``(n,)``.
            window: where they stand in the cube.
            shape: cells of the cube ``(time, lat, lon)``.
        """
        residual = np.asarray(predicted, np.float64) - observed
        return cls(
            _count((observed, predicted), (DENSITY_EDGES_K, DENSITY_EDGES_K)),
            _count((residual,), (RESIDUAL_EDGES_K,)),
            CoarseMap.of(residual, cells, window, (shape[1], shape[2])),
            np.bincount(cells[0] + window.start[0], minlength=shape[0]),
        )

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.density + other.density,
            self.residuals + other.residuals,
            self.error + other.error,
            self.per_date + other.per_date,
        )

    def figure_fields(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> dict[str, Any]:
        """The arrays that figures take, by name: density, residuals and the coarse map with its coordinates.

        Args:
            lat: latitudes of the cube ``(lat,)``.
            lon: longitudes of the cube ``(lon,)``.
        """
        mean, n = self.error.mean()
        steps = strides(self.error.grid)
        return {
            "density": self.density,
            "density_edges": DENSITY_EDGES_K,
            "residual_counts": self.residuals,
            "residual_edges": RESIDUAL_EDGES_K,
            "error_lat": _centres(lat, steps[0]),
            "error_lon": _centres(lon, steps[1]),
            "error_mean": mean,
            "error_n": n,
        }


def strides(grid: tuple[int, int]) -> tuple[int, int]:
    """Cells of the cube to a cell of the coarse map, along lat and lon."""
    return -(-grid[0] // MAP_SHAPE[0]), -(-grid[1] // MAP_SHAPE[1])


def _count(values: tuple[NDArray[np.floating], ...], edges: tuple[NDArray[np.float64], ...]) -> NDArray[np.int64]:
    """Histogram over evenly spaced edges, half open to the right; what lies beyond goes into the outermost bins."""
    shape = [len(edge) - 1 for edge in edges]
    places = [
        np.clip(np.floor((np.asarray(v, np.float64) - edge[0]) / (edge[1] - edge[0])), 0, len(edge) - 2).astype(np.intp)
        for v, edge in zip(values, edges, strict=True)
    ]
    counts = np.bincount(np.ravel_multi_index(places, shape), minlength=math.prod(shape))
    return counts.reshape(shape)


def _centres(coordinate: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    starts = np.arange(0, len(coordinate), step)
    cells = np.diff(np.append(starts, len(coordinate)))
    centres: NDArray[np.float64] = np.add.reduceat(np.asarray(coordinate, np.float64), starts) / cells
    return centres
