"""The cells of one date that maps draw: no more than a page can show, gathered window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.windows import Window

Place = tuple[slice, slice]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Piece:
    """The drawn cells of one window.

    Attributes:
        place: rows and columns among the drawn ones.
        planes: maps by name ``(rows, columns)``.
    """

    place: Place
    planes: Arrays


@dataclass(frozen=True)
class Scene:
    """Which cells of which date are drawn.

    Attributes:
        step: position of the date.
        rows: index of the drawn rows, growing.
        columns: index of the drawn columns, growing.
    """

    step: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def in_window(self, window: Window) -> bool:
        """Whether the date lies in a window."""
        return window.start[0] <= self.step < window.stop[0]

    def cut(self, window: Window, planes: Mapping[str, NDArray[Any]]) -> Piece:
        """The drawn cells of a window.

        Args:
            window: one that the date lies in.
            planes: maps of the date in the window, by name ``(lat, lon)``.
        """
        (_, y, x), (_, bottom, right) = window.start, window.stop
        place = (_span(self.rows, y, bottom), _span(self.columns, x, right))
        cells = np.ix_(self.rows[place[0]] - y, self.columns[place[1]] - x)
        return Piece(place, {name: values[cells] for name, values in planes.items()})

    def joined(self, pieces: Sequence[Piece]) -> Arrays:
        """All drawn cells ``(rows, columns)`` by name, from pieces of windows that cover the date."""
        shape = (len(self.rows), len(self.columns))
        whole = {name: np.empty(shape, values.dtype) for name, values in pieces[0].planes.items()}
        for piece in pieces:
            for name, values in piece.planes.items():
                whole[name][piece.place] = values
        return whole


def _span(index: NDArray[np.intp], start: int, stop: int) -> slice:
    first, last = np.searchsorted(index, (start, stop))
    return slice(int(first), int(last))
