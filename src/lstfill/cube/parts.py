"""Parts: what one chunk of the source holds of a region of the work cube, so that a copy can read each chunk once.

The chunks of a work cube begin at the corner of the asked box, those of its source where they are stored: a window of
the one can lie in several of the other, and the other way round. All of this is planned from sizes alone.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.windows import DIMS, Window, chunk_windows

Triple = tuple[int, int, int]
Index = slice | NDArray[np.int64]


@dataclass(frozen=True)
class Axis:
    """One dimension of a variable: which cell of the source, and which of its chunks, each cell of the cube is.

    Attributes:
        positions: index in the source of each cell ``(n,)``.
        size: cells of a source chunk.
        first: index in the work cube of the first cell.
    """

    positions: NDArray[np.int64]
    size: int
    first: int = 0

    def within(self, cut: slice) -> Axis:
        """The cells of a range of the work cube alone."""
        return Axis(self.positions[cut.start - self.first : cut.stop - self.first], self.size, cut.start)

    def chunks(self, cut: slice) -> list[int]:
        """The source's chunks that hold some cells of a range of the work cube."""
        found: list[int] = np.unique(self.within(cut).positions // self.size).tolist()
        return found

    def cells(self, chunk: int) -> NDArray[np.int64]:
        """Which cells of the work cube a chunk holds; around the date line they need not lie side by side."""
        return np.flatnonzero(self.positions // self.size == chunk) + self.first

    def stored(self, chunk: int) -> Index:
        """Where in the source these cells are."""
        return _as_index(self.positions[self.cells(chunk) - self.first])

    def placed(self, chunk: int, cut: slice) -> tuple[Index, Index]:
        """Where a chunk's cells go in a range of the work cube, and which of its cells these are."""
        cells = self.cells(chunk)
        due = np.flatnonzero((cells >= cut.start) & (cells < cut.stop))
        return _as_index(cells[due] - cut.start), _as_index(due)

    def reach(self) -> NDArray[np.int64]:
        """For each cell, the first cell after all chunks that begin at or before it ``(n,)``."""
        _, chunk = np.unique(self.positions // self.size, return_inverse=True)
        last = np.zeros(chunk.max() + 1, np.int64)
        np.maximum.at(last, chunk, np.arange(chunk.size))
        reach: NDArray[np.int64] = np.maximum.accumulate(last[chunk]) + 1
        return reach


@dataclass(frozen=True, eq=False)
class Layout:
    """How one variable of the work cube, or of a region of it, lies in the chunks of its source.

    Attributes:
        name: the variable.
        itemsize: bytes of a value in the work cube.
        axes: its dimensions, by name, in the order of the work cube.
        depth: cells of further dimensions that a chunk of the source holds, of which one is taken.
    """

    name: str
    itemsize: int
    axes: Mapping[str, Axis]
    depth: int = 1

    def within(self, region: Window) -> Layout:
        """The same for a region alone: its parts hold nothing of other regions."""
        ranges = region.indexers
        axes = {dim: axis.within(ranges[dim]) for dim, axis in self.axes.items()}
        return Layout(self.name, self.itemsize, axes, self.depth)

    def parts(self, window: Window) -> list[Part]:
        """The parts that a window needs; a variable without time is due with the first dates only."""
        if "time" not in self.axes and window.start[0]:
            return []
        chunks = [axis.chunks(window.indexers[dim]) for dim, axis in self.axes.items()]
        return [Part(self, chunk) for chunk in itertools.product(*chunks)]


@dataclass(frozen=True)
class Part:
    """The cells of a layout that lie in one chunk of the source.

    Attributes:
        layout: of which variable and region.
        chunk: number of the source's chunk along each dimension.
    """

    layout: Layout
    chunk: tuple[int, ...]

    @property
    def indexers(self) -> dict[str, Index]:
        """Where in the source it is: arguments of ``isel``."""
        return {dim: axis.stored(chunk) for dim, axis, chunk in self._each()}

    @property
    def nbytes(self) -> int:
        """Bytes of its values in the work cube."""
        return self.layout.itemsize * int(np.prod([axis.cells(chunk).size for _, axis, chunk in self._each()]))

    @property
    def chunk_bytes(self) -> int:
        """Bytes of the whole chunk of the source, which is decoded for it."""
        return self.layout.itemsize * self.layout.depth * math.prod(axis.size for axis in self.layout.axes.values())

    def places(self, window: Window) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Where in a window's values its own go, and which of its own these are, each as an index of an array."""
        placed = [axis.placed(chunk, window.indexers[dim]) for dim, axis, chunk in self._each()]
        return _as_indices([there for there, _ in placed]), _as_indices([here for _, here in placed])

    def _each(self) -> Iterator[tuple[str, Axis, int]]:
        for (dim, axis), chunk in zip(self.layout.axes.items(), self.chunk, strict=True):
            yield dim, axis, chunk


def join(window: Window, read: Mapping[Part, NDArray[Any]]) -> NDArray[Any]:
    """The values of one variable in a window ``(time, lat, lon)`` or ``(lat, lon)``, put together from its parts.

    Args:
        window: which cells.
        read: values by part, all that the window needs; where that is one part, the result is a view of it.
    """
    (first, values), *others = read.items()
    if not others:
        cut: NDArray[Any] = values[first.places(window)[1]]
        return cut
    sizes = dict(zip(DIMS, window.shape, strict=True))
    joined = np.empty([sizes[dim] for dim in first.layout.axes], values.dtype)
    for part, values in read.items():
        there, here = part.places(window)
        joined[there] = values[here]
    return joined


def regions(chunks: Triple, layouts: Sequence[Layout], held_bytes: int) -> list[Window]:
    """Cuts a cube into regions that can be copied one by one, each chunk of the source being read once a region.

    Where the edges of the work cube's chunks lie on edges of the source's, a region ends, so that no two of them share
    a chunk of the source. Only if more than ``held_bytes`` would be held between one window and the next is a region
    cut elsewhere, and the chunks on that cut are read once for each side. Variables without time are left out of
    account: they are small, and are read once for each region on whose cells they have values.

    Args:
        chunks: chunk sizes of the work cube ``(time, lat, lon)``.
        layouts: of the whole cube's variables.
        held_bytes: bound on what ``windows_of`` one region hold of its parts; one window alone may need more.
    """
    moving = [layout for layout in layouts if "time" in layout.axes]
    shape = tuple(moving[0].axes[dim].positions.size for dim in DIMS)
    edges = [
        _closed_edges([layout.axes[dim] for layout in moving], n, step)
        for dim, n, step in zip(DIMS, shape, chunks, strict=True)
    ]
    whole = [
        Window((t[0], y[0], x[0]), (t[1], y[1], x[1]))
        for t, y, x in itertools.product(*(itertools.pairwise(ends) for ends in edges))
    ]
    return [small for region in whole for small in _cut(region, chunks, moving, held_bytes)]


def windows_of(region: Window, chunks: Triple) -> list[Window]:
    """The windows of a region, in the order in which the fewest parts are held: dates first, then along a row."""
    inner = chunk_windows(region.shape, chunks)
    moved = [Window(_add(window.start, region.start), _add(window.stop, region.start)) for window in inner]
    return sorted(moved, key=lambda window: (*window.start[1:], window.start[0]))


def peak_bytes(needs: Sequence[Sequence[Part]]) -> int:
    """Most bytes of parts that are held at once when each is read for its first window and kept until its last.

    Args:
        needs: parts that each window needs, in the order in which windows are copied.
    """
    uses, held, most = Counter(part for parts in needs for part in parts), 0, 0
    seen: set[Part] = set()
    for parts in needs:
        held += sum(part.nbytes for part in parts if part not in seen)
        seen.update(parts)
        most = max(most, held)
        uses.subtract(parts)
        held -= sum(part.nbytes for part in parts if not uses[part])
    return most


def _closed_edges(axes: Sequence[Axis], n: int, step: int) -> list[int]:
    """Edges of the work cube's chunks on whose both sides no chunk of the source lies, with the two ends."""
    reaches = [axis.reach() for axis in axes]
    return [0, *(edge for edge in range(step, n, step) if all(reach[edge - 1] <= edge for reach in reaches)), n]


def _cut(region: Window, chunks: Triple, layouts: Sequence[Layout], held_bytes: int) -> list[Window]:
    counts = [-(-n // step) for n, step in zip(region.shape, chunks, strict=True)]
    if max(counts) == 1:
        return [region]
    local = [layout.within(region) for layout in layouts]
    needs = [[part for layout in local for part in layout.parts(window)] for window in windows_of(region, chunks)]
    if peak_bytes(needs) <= held_bytes:
        return [region]
    return [small for half in _halves(region, chunks, counts) for small in _cut(half, chunks, layouts, held_bytes)]


def _halves(region: Window, chunks: Triple, counts: Sequence[int]) -> tuple[Window, Window]:
    """Two regions of whole windows, cut across the dimension that has the most."""
    at = counts.index(max(counts))
    edge = region.start[at] + chunks[at] * (counts[at] // 2)
    stop, start = list(region.stop), list(region.start)
    stop[at] = start[at] = edge
    return Window(region.start, _triple(stop)), Window(_triple(start), region.stop)


def _as_index(numbers: NDArray[np.int64]) -> Index:
    """A slice where the numbers follow each other, because a slice copies nothing."""
    if np.all(np.diff(numbers) == 1):
        return slice(int(numbers[0]), int(numbers[-1]) + 1)
    return numbers


def _as_indices(indices: Sequence[Index]) -> tuple[Any, ...]:
    if all(isinstance(index, slice) for index in indices):
        return tuple(indices)
    numbers = [np.arange(index.start, index.stop) if isinstance(index, slice) else index for index in indices]
    return tuple(np.ix_(*numbers))


def _add(one: Triple, other: Triple) -> Triple:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _triple(numbers: Sequence[int]) -> Triple:
    time, lat, lon = numbers
    return (time, lat, lon)
