"""Where and when a cell lies, as columns beside its features: latitude, and longitude and day of the year as cycles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.model.base import Axes
from lstfill.modelconfig import Mlp
from lstfill.preprocess import Derived

if TYPE_CHECKING:
    from collections.abc import Sequence

COORDINATES = ("lat", "lon_sine", "lon_cosine")
SEASON = ("day_sine", "day_cosine")
YEAR_DAYS = 365.2425
FLOOR = {"lat": 1e-3, "lon_sine": 1e-4, "lon_cosine": 1e-4, "day_sine": 0.05, "day_cosine": 0.05}
"""Smallest scales: a column that varies less over the cube, like the cosine of a few kilometres at longitude 0, is not
blown up to noise, nor one date to a season."""


def names_of(options: Mlp) -> tuple[str, ...]:
    """Columns that the options ask for."""
    return (COORDINATES if options.coordinates else ()) + (SEASON if options.season else ())


def along(axes: Axes) -> dict[str, tuple[int, NDArray[np.float32]]]:
    """Each column along the one axis that it depends on: number of the axis, and values ``(time|lat|lon,)``.

    Latitude is in degrees north; the others are sine and cosine of the longitude and of the part of the year.
    """
    lon = np.deg2rad(axes.lon.astype(np.float64))
    days = (axes.time - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")
    year = 2 * np.pi * days / YEAR_DAYS
    columns = {
        "lat": (1, axes.lat),
        "lon_sine": (2, np.sin(lon)),
        "lon_cosine": (2, np.cos(lon)),
        "day_sine": (0, np.sin(year)),
        "day_cosine": (0, np.cos(year)),
    }
    return {name: (axis, values.astype(np.float32)) for name, (axis, values) in columns.items()}


def scaling_of(axes: Axes, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Offset, scale and range of columns over the whole cube, plain values by name."""
    values = {name: column.astype(np.float64) for name, (_, column) in along(axes).items()}
    return {
        name: {
            "offset": float(values[name].mean()),
            "scale": max(float(values[name].std()), FLOOR[name]),
            "range": [float(values[name].min()), float(values[name].max())],
        }
        for name in names
    }


def at(axes: Axes, cell: NDArray[np.integer], names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Columns ``(n,)`` by name.

    Args:
        axes: coordinates of the cube, or of a window of it.
        cell: C-order index of each cell in it ``(n,)``.
        names: of the columns.
    """
    if not names:
        return {}
    index = np.unravel_index(cell, (len(axes.time), len(axes.lat), len(axes.lon)))
    columns = along(axes)
    return {name: columns[name][1][index[columns[name][0]]] for name in names}


@dataclass(frozen=True)
class PlacedShards(Derived):
    """A source whose samples get columns of date and place beside their features, while they are read.

    Attributes:
        axes: coordinates of the cube.
        names: of the columns.
    """

    axes: Axes
    names: tuple[str, ...]

    def read(self, shard: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features and further columns ``(n, f + names)`` and target ``(n,)`` of one shard."""
        x, y = self.source.read(shard)
        further = at(self.axes, self.cells(shard), self.names)
        return np.column_stack([x, *further.values()]), y
