"""The largest errors with date and place: an undetected cloud in the observations looks like this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.windows import Window

KEPT = 10
"""Dates whose largest error is kept."""


@dataclass(frozen=True)
class Outliers:
    """The cell with the largest error of each date, of the few dates with the largest; windows join to their whole.

    Attributes:
        cells: index in the cube along time, lat and lon ``(3, n)``, the largest error first.
        values: predicted and observed ``(2, n)`` in K.
    """

    cells: NDArray[np.intp]
    values: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        predicted: NDArray[np.floating],
        observed: NDArray[np.floating],
        cells: Sequence[NDArray[np.intp]],
        window: Window,
    ) -> Self:
        """The largest errors of one window.

        Args:
            predicted: values ``(n,)`` in K.
            observed: values ``(n,)`` in K.
            cells: index of the cells in the window along time, lat and lon, each ``(n,)``.
            window: where they stand in the cube.
        """
        error = np.abs(np.asarray(predicted, np.float64) - observed)
        highest = np.zeros(window.shape[0])
        np.maximum.at(highest, cells[0], error)
        first = np.flatnonzero(error >= highest[cells[0]])
        places = np.stack([index[first] + start for index, start in zip(cells, window.start, strict=True)])
        values = np.stack([predicted[first], observed[first]]).astype(np.float64)
        return cls(places, values).largest()

    def __add__(self, other: Self) -> Self:
        both = type(self)(np.hstack([self.cells, other.cells]), np.hstack([self.values, other.values]))
        return both.largest()

    def largest(self) -> Self:
        """The few that are kept; of equal errors the cell that comes first in the cube."""
        order = np.lexsort((*self.cells[::-1], -np.abs(self.values[0] - self.values[1])))
        _, first = np.unique(self.cells[0, order], return_index=True)
        kept = order[np.sort(first)[:KEPT]]
        return type(self)(self.cells[:, kept], self.values[:, kept])

    def result(
        self, time: NDArray[np.datetime64], lat: NDArray[np.floating], lon: NDArray[np.floating]
    ) -> list[dict[str, Any]]:
        """Plain values, the largest error first.

        Args:
            time: dates of the cube.
            lat: its latitudes in degrees north.
            lon: its longitudes in degrees east.
        """
        return [
            {
                "time": str(time[t].astype("datetime64[m]")),
                "lat": float(lat[y]),
                "lon": float(lon[x]),
                "observed_k": float(observed),
                "predicted_k": float(predicted),
            }
            for (t, y, x), (predicted, observed) in zip(self.cells.T, self.values.T, strict=True)
        ]
