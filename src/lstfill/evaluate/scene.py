"""The cells of one date that maps draw: no more than a page can show, gathered window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.chunk import Chunk
from lstfill.cube.windows import Window

Place = tuple[slice, slice]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Piece:
    """The drawn cells of one window.

    Attributes:
        place: rows and columns among the drawn ones.
        planes: target, land, part and held-out cells ``(rows, columns)``, those there are.
        features: by name ``(rows, columns)``.
    """

    place: Place
    planes: Arrays
    features: Arrays


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

    @property
    def shape(self) -> tuple[int, int, int]:
        """Drawn cells along time, lat and lon."""
        return (1, len(self.rows), len(self.columns))

    def cut(self, chunk: Chunk) -> list[Piece]:
        """The drawn cells of a chunk, as one piece; none if it lies at other dates."""
        (t, y, x), (end, bottom, right) = chunk.window.start, chunk.window.stop
        if not t <= self.step < end:
            return []
        place = (_span(self.rows, y, bottom), _span(self.columns, x, right))
        cells = np.ix_(self.rows[place[0]] - y, self.columns[place[1]] - x)
        dated = {"target": chunk.target, "part": chunk.part, "held_out": chunk.held_out}
        planes = {name: values[self.step - t][cells] for name, values in dated.items() if values is not None}
        features = {name: values[self.step - t][cells] for name, values in chunk.features.items()}
        return [Piece(place, planes | {"land": chunk.land[cells]}, features)]

    def joined(
        self,
        pieces: Sequence[Piece],
        time: NDArray[np.datetime64],
        lat: NDArray[np.float64],
        lon: NDArray[np.float64],
    ) -> Chunk:
        """All drawn cells, as a cube of one date.

        Args:
            pieces: of windows that cover the date.
            time: dates of the cube.
            lat: its latitudes.
            lon: its longitudes.
        """
        planes = self._whole([(piece.place, piece.planes) for piece in pieces])
        features = self._whole([(piece.place, piece.features) for piece in pieces])
        land = planes.pop("land")
        dated: dict[str, Any] = {name: plane[None] for name, plane in planes.items()}
        return Chunk(
            window=Window((0, 0, 0), self.shape),
            shape=self.shape,
            time=time[[self.step]],
            lat=lat[self.rows],
            lon=lon[self.columns],
            features={name: plane[None] for name, plane in features.items()},
            land=land,
            **dated,
        )

    def _whole(self, parts: Sequence[tuple[Place, Arrays]]) -> Arrays:
        whole = {name: np.empty(self.shape[1:], values.dtype) for name, values in parts[0][1].items()}
        for place, planes in parts:
            for name, values in planes.items():
                whole[name][place] = values
        return whole


def _span(index: NDArray[np.intp], start: int, stop: int) -> slice:
    first, last = np.searchsorted(index, (start, stop))
    return slice(int(first), int(last))
