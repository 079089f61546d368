"""Which part each cell belongs to: drawn from sizes, block, fractions and seed alone, before any data is read."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.windows import DIMS, Window
from lstfill.errors import DataError, StoreError
from lstfill.split.draw import order_key, uniform

if TYPE_CHECKING:
    import xarray as xr

    from lstfill.config import Split

Triple = tuple[int, int, int]
BLOCK_DIMS = ("time_block", "lat_block", "lon_block")


class Part(IntEnum):
    """What a cell is used for; NONE is the buffer between the parts."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    NONE = 3


PARTS = (Part.TRAIN, Part.VALIDATION, Part.TEST)


@dataclass(frozen=True, eq=False)
class SplitTable:
    """The split of a cube: a few kB that give every cell its part.

    Attributes:
        kind: ``block``, or ``random`` for a draw cell by cell.
        shape: cells of the cube ``(time, lat, lon)``.
        block: cells of a block ``(time, lat, lon)``.
        fractions: shares asked for train, validation and test.
        buffer: cells between the parts that no part uses ``(time, lat, lon)``.
        seed: seed of the draw.
        periodic_lon: whether the last column is a neighbour of the first.
        parts: part of each block ``(time_block, lat_block, lon_block)``, int8; None for kind ``random``.
        report: what was reached, values that JSON can hold.
    """

    kind: str
    shape: Triple
    block: Triple
    fractions: tuple[float, float, float]
    buffer: Triple
    seed: int
    periodic_lon: bool
    parts: NDArray[np.int8] | None
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def grid(self) -> Triple:
        """Number of blocks along time, lat and lon."""
        return block_grid(self.shape, self.block)

    @property
    def whole_blocks(self) -> bool:
        """Whether every cell of a block has the block's part: no random draw, no buffer."""
        return self.parts is not None and not any(self.buffer)

    def part_in(self, window: Window) -> NDArray[np.int8]:
        """Part of each cell of a window ``(time, lat, lon)``; the same cell gets the same part in every window."""
        if self.parts is None:
            return self._draw_cells(window)
        if self.whole_blocks:
            return self._repeat_blocks(window)
        axes = [self._axis(dim, window.start[dim], window.stop[dim]) for dim in range(3)]
        ranges = [near for _, near in axes]
        padded = np.concatenate([self.parts] * 3, axis=2) if self.periodic_lon else self.parts
        parts = padded[np.ix_(*(near[:, 1] for near in ranges))]
        near_test = _any_in(padded == Part.TEST, ranges)
        near_validation = _any_in(padded == Part.VALIDATION, ranges)
        lost = (near_test & (parts != Part.TEST)) | (near_validation & (parts == Part.TRAIN))
        return np.where(lost, np.int8(Part.NONE), parts)[np.ix_(*(cells for cells, _ in axes))]

    def to_dataset(self) -> xr.Dataset:
        """The table as it is stored: ``part`` on the grid of blocks (none for kind random), the rest as attributes."""
        import xarray as xr

        names = [part.name.lower() for part in Part]
        flags = {"flag_values": [int(part) for part in Part], "flag_meanings": " ".join(names)}
        variables = {} if self.parts is None else {"part": (BLOCK_DIMS, self.parts, flags)}
        attrs = {name: getattr(self, name) for name in ("kind", "seed", "report")}
        attrs |= {name: list(getattr(self, name)) for name in ("shape", "block", "fractions", "buffer")}
        return xr.Dataset(variables, attrs=attrs | {"periodic_lon": int(self.periodic_lon)})

    @classmethod
    def from_dataset(cls, ds: xr.Dataset) -> SplitTable:
        """Reads a table back, whether its integers came through as int or as float.

        Raises:
            StoreError: if the dataset is not a stored split.
        """
        needed = {"kind", "shape", "block", "fractions", "buffer", "seed", "periodic_lon"}
        if not needed <= set(ds.attrs):
            raise StoreError(
                f"not a split: attributes {sorted(needed - set(ds.attrs))} are missing; run the step split again"
            )
        shape, block, buffer = (_triple(ds.attrs[name]) for name in ("shape", "block", "buffer"))
        train, validation, test = (float(share) for share in ds.attrs["fractions"])
        parts = ds["part"].values.astype(np.int8) if ds.attrs["kind"] == "block" else None
        kind, seed, periodic = str(ds.attrs["kind"]), int(ds.attrs["seed"]), bool(ds.attrs["periodic_lon"])
        report = dict(ds.attrs.get("report", {}))
        return cls(kind, shape, block, (train, validation, test), buffer, seed, periodic, parts, report)

    def _draw_cells(self, window: Window) -> NDArray[np.int8]:
        """Draws cell by cell, a date at a time: the 8-byte hashes of a whole window would outweigh its data."""
        parts = np.empty(window.shape, np.int8)
        (t0, y0, x0), (_, y1, x1) = window.start, window.stop
        for step in range(window.shape[0]):
            cells = Window((t0 + step, y0, x0), (t0 + step + 1, y1, x1)).cell_index(self.shape)
            parts[step] = _at(uniform(cells[0], self.seed, "split.cell"), self.fractions)
        return parts

    def _repeat_blocks(self, window: Window) -> NDArray[np.int8]:
        """Repeats each block's part as often as the window has cells of the block, along one axis after the other."""
        parts: NDArray[np.int8] = np.asarray(self.parts)
        for axis, (start, stop, step) in enumerate(zip(window.start, window.stop, self.block, strict=True)):
            cells = np.bincount(np.arange(start, stop) // step, minlength=parts.shape[axis])
            parts = np.repeat(parts, cells, axis=axis)
        return parts

    def _axis(self, dim: int, start: int, stop: int) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Sorts the cells of one axis by the blocks within the buffer: few kinds stand for all cells.

        Returns:
            The kind of each cell, and for each kind the first block within the buffer, the own and the last.
        """
        size, block, buffer = self.shape[dim], self.block[dim], min(self.buffer[dim], self.shape[dim])
        reach = np.arange(start, stop, dtype=np.int64)[:, None] + np.array([-buffer, 0, buffer])
        if dim == 2 and self.periodic_lon:
            blocks = (reach // size + 1) * self.grid[2] + reach % size // block
        else:
            blocks = reach.clip(0, size - 1) // block
        near, kind = np.unique(blocks, axis=0, return_inverse=True)
        return kind.reshape(-1), near


def draw_blocks(shape: Triple, split: Split, *, periodic_lon: bool = False) -> SplitTable:
    """Draws the part of every block; no data is needed.

    Blocks are put in the order of a hash of their index and the seed, and the order is cut where the cells add up to
    the fractions: shares miss what was asked by half a block at each cut, not by the luck of independent draws. For
    kind ``random`` nothing is drawn yet: ``SplitTable.part_in`` hashes each cell's index.

    Args:
        shape: cells of the cube ``(time, lat, lon)``.
        split: kind, block, fractions, buffer and seed.
        periodic_lon: whether the grid goes round the globe, so that buffers reach across its seam.

    Raises:
        DataError: if there are fewer blocks than parts.
    """
    block = (split.block.time, split.block.lat, split.block.lon)
    buffer = (split.buffer.time, split.buffer.lat, split.buffer.lon)
    fractions = (split.fractions.train, split.fractions.validation, split.fractions.test)
    parts = _draw(shape, block, fractions, split.seed) if split.kind == "block" else None
    return SplitTable(split.kind, shape, block, fractions, buffer, split.seed, periodic_lon, parts)


def block_grid(shape: Triple, block: Triple) -> Triple:
    """Number of blocks along time, lat and lon; the last of an axis may be cut."""
    nt, nlat, nlon = (-(-size // step) for size, step in zip(shape, block, strict=True))
    return nt, nlat, nlon


def hash_order(grid: Triple, seed: int) -> NDArray[np.intp]:
    """The blocks' C-order indices in the order in which they are drawn."""
    return np.argsort(order_key(np.arange(np.prod(grid), dtype=np.int64), seed, "split.block"))


def give_each_one(parts: NDArray[np.int8]) -> NDArray[np.int8]:
    """Hands each part without a block the last one of the part with most, as long as that one keeps another.

    Args:
        parts: part of each block, in the order of the draw ``(block,)``.
    """
    given = parts.copy()
    for part in PARTS:
        blocks = np.bincount(given, minlength=len(PARTS))
        if not blocks[part] and blocks.max() > 1:
            given[np.flatnonzero(given == blocks.argmax())[-1]] = part
    return given


def _draw(shape: Triple, block: Triple, fractions: tuple[float, float, float], seed: int) -> NDArray[np.int8]:
    grid = block_grid(shape, block)
    if np.prod(grid) < len(PARTS):
        raise DataError("split", [_too_few(shape, block, grid)])
    sizes = [np.minimum(step, size - np.arange(0, size, step)) for size, step in zip(shape, block, strict=True)]
    cells = (sizes[0][:, None, None] * sizes[1][:, None] * sizes[2]).ravel()
    order = hash_order(grid, seed)
    middle = np.cumsum(cells[order]) - cells[order] / 2
    parts = np.empty(cells.size, np.int8)
    parts[order] = give_each_one(_at(middle / cells.sum(), fractions))
    return parts.reshape(grid)


def _at(drawn: NDArray[np.float64], fractions: tuple[float, float, float]) -> NDArray[np.int8]:
    edges = (fractions[0], fractions[0] + fractions[1])
    return (drawn >= edges[0]).astype(np.int8) + (drawn >= edges[1])


def _too_few(shape: Triple, block: Triple, grid: Triple) -> str:
    sizes = ", ".join(f"{name} {n} of {size} cells" for name, n, size in zip(DIMS, grid, shape, strict=True))
    return (
        f"{np.prod(grid)} blocks for {len(PARTS)} parts ({sizes}): make split.block smaller than "
        f"{dict(zip(DIMS, block, strict=True))}, or use split.kind random"
    )


def _any_in(blocks: NDArray[np.bool_], ranges: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Whether any block within a box is true, for each combination of the axes' ranges (first, own, last)."""
    found = blocks
    for axis, near in enumerate(ranges):
        edge = [(1, 0) if dim == axis else (0, 0) for dim in range(3)]
        total = np.cumsum(np.pad(found, edge), axis=axis, dtype=np.int64)
        found = total.take(near[:, 2] + 1, axis) != total.take(near[:, 0], axis)
    return found


def _triple(values: Any) -> Triple:
    first, second, third = (int(value) for value in itertools.chain(values))
    return first, second, third
