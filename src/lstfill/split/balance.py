"""Moves whole blocks between the parts until each part has its share of the usable cells in every latitude band."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.geometry import LATITUDE_BANDS_DEG, band_labels, latitude_band
from lstfill.cube.windows import DIMS
from lstfill.errors import DataError
from lstfill.split.blocks import PARTS, Part, SplitTable, Triple, give_each_one, hash_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lstfill.cube.chunk import Chunk

logger = logging.getLogger(__name__)

ALLOWED_MISS = 0.02
_GOOD_ENOUGH = 0.005
_MOST_MOVES = 10_000
_SWAP_CANDIDATES = 300
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class BlockCounts:
    """Usable cells of the blocks that one window touches.

    Attributes:
        origin: index of the first block ``(time_block, lat_block, lon_block)``.
        values: cells ``(time_block, lat_block, lon_block, band)``, int64.
    """

    origin: Triple
    values: NDArray[np.int64]


def usable(chunk: Chunk, missing: str = "drop") -> NDArray[np.bool_]:
    """Cells a sample can be made of ``(time, lat, lon)``: land, observed, not held out, features there or imputed."""
    return chunk.visible() & chunk.features_complete() if missing == "drop" else chunk.visible()


def count_usable(chunk: Chunk, table: SplitTable, missing: str = "drop") -> BlockCounts:
    """Counts usable cells by block and latitude band; held-out gaps must be marked in the chunk before.

    Args:
        chunk: any window of the cube; windows may cut blocks.
        table: gives the size of the blocks.
        missing: what is done with missing features (``Preprocess.missing``).
    """
    start, stop, block = chunk.window.start, chunk.window.stop, table.block
    origin = (start[0] // block[0], start[1] // block[1], start[2] // block[2])
    of_cell = [np.arange(a, b) // step - first for a, b, step, first in zip(start, stop, block, origin, strict=True)]
    by_time = np.add.reduceat(usable(chunk, missing), _starts(of_cell[0]), axis=0, dtype=np.int32)
    by_lon = np.add.reduceat(by_time, _starts(of_cell[2]), axis=2)
    grid = [int(index[-1]) + 1 for index in of_cell]
    values = np.zeros((*grid, len(LATITUDE_BANDS_DEG) - 1), np.int64)
    for row, (block_row, band) in enumerate(zip(of_cell[1], latitude_band(chunk.lat), strict=True)):
        values[:, block_row, :, band] += by_lon[:, row]
    return BlockCounts(origin, values)


def sum_counts(table: SplitTable, counts: Iterable[BlockCounts]) -> NDArray[np.int64]:
    """Adds up the counts of all windows ``(time_block, lat_block, lon_block, band)``, in any order.

    Args:
        table: gives the number of blocks.
        counts: one of each window.
    """
    total = np.zeros((*table.grid, len(LATITUDE_BANDS_DEG) - 1), np.int64)
    for one in counts:
        place = tuple(slice(a, a + n) for a, n in zip(one.origin, one.values.shape[:3], strict=True))
        total[place] += one.values
    return total


def count_parts(chunk: Chunk, table: SplitTable, missing: str = "drop") -> NDArray[np.int64]:
    """Counts usable cells by part and latitude band ``(part, band)``, after buffers; sum over all windows.

    Args:
        chunk: any window of the cube.
        table: the split.
        missing: what is done with missing features (``Preprocess.missing``).
    """
    cells, parts, bands = usable(chunk, missing), table.part_in(chunk.window), latitude_band(chunk.lat)
    counts = np.zeros((len(Part), len(LATITUDE_BANDS_DEG) - 1), np.int64)
    for part in Part:
        np.add.at(counts[part], bands, np.count_nonzero(cells & (parts == part), axis=(0, 2)))
    return counts


def parts_of_blocks(table: SplitTable, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Adds up counts by block to ``(part, band)``, before buffers: saves ``count_parts`` where ``table.whole_blocks``.

    Args:
        table: the split.
        counts: usable cells ``(time_block, lat_block, lon_block, band)``.
    """
    return np.stack([counts[table.parts == part].sum(axis=0) for part in Part])


def balance(table: SplitTable, counts: NDArray[np.int64]) -> SplitTable:
    """Moves whole blocks until every part has its share of usable cells in every latitude band, where blocks allow it.

    Steepest descent on the sum of squared misses over parts and bands: the move of one block that lowers it most, the
    exchange of two where no move does, until no part misses its share of any band by more than half a point. Sums of
    integers and element-wise arithmetic in a fixed order make it the same on every machine; ties go to the block that
    the hash puts first. A random split comes back as it is, and buffers are not considered.

    Args:
        table: the split as drawn.
        counts: usable cells ``(time_block, lat_block, lon_block, band)``, from ``sum_counts``.
    """
    if table.parts is None:
        return table
    order = hash_order(table.grid, table.seed)
    load = counts.reshape(-1, counts.shape[-1])[order]
    in_use = load.any(axis=1)
    blocks, load = order[in_use], load[in_use][:, load.any(axis=0)]
    parts = table.parts.copy().reshape(-1)
    if blocks.size:
        parts[blocks] = _descend(load, give_each_one(parts[blocks]), np.array(table.fractions))
    moved = int(np.count_nonzero(parts != table.parts.reshape(-1)))
    logger.info("balance moved %d of %d blocks with usable cells", moved, blocks.size)
    return dataclasses.replace(table, parts=parts.reshape(table.grid), report={**table.report, "moved_blocks": moved})


def reached(table: SplitTable, counts: NDArray[np.int64]) -> SplitTable:
    """Notes in the table's report which share of the usable cells each part has, altogether and by latitude band.

    Args:
        table: the final split.
        counts: usable cells ``(part, band)``, from ``count_parts`` or ``parts_of_blocks``.
    """
    bands = {label: _shares(column) for label, column in zip(band_labels(), counts.T, strict=True) if column[:3].any()}
    asked = {_name(part): table.fractions[part] for part in PARTS}
    misses = [abs(shares[name] - share) for shares in bands.values() for name, share in asked.items()]
    report = {
        "asked": asked,
        "reached": _shares(counts.sum(axis=1)),
        "bands": bands,
        "largest_miss": max(misses, default=0.0),
        "within_2_points": max(misses, default=0.0) <= ALLOWED_MISS,
    }
    return dataclasses.replace(table, report={**table.report, **report, "blocks": _blocks(table)})


def assert_no_empty(table: SplitTable, counts: NDArray[np.int64]) -> None:
    """Refuses a split with a part that holds no usable cell.

    Args:
        table: the final split.
        counts: usable cells ``(part, band)``, from ``count_parts`` or ``parts_of_blocks``.

    Raises:
        DataError: with the usable cells and blocks of every part.
    """
    cells, blocks = counts.sum(axis=1), _blocks(table)
    empty = [_name(part) for part in PARTS if not cells[part]]
    if not empty:
        return
    held = [f"{_name(p)} {cells[p]}" + (f" in {blocks[_name(p)]} blocks" if blocks else "") for p in PARTS]
    held.append(f"left out by the buffer {cells[Part.NONE]}")
    size = dict(zip(DIMS, table.block, strict=True))
    remedy = f"make split.block smaller than {size}, split.buffer smaller, or set split.balance to true"
    if not cells.any():
        remedy = "check the mask, source.valid_range_k and the features' range of time: no sample can be made at all"
    raise DataError("split", [f"no usable cell for {' and '.join(empty)} (usable cells: {', '.join(held)}): {remedy}"])


def _starts(index: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.flatnonzero(np.diff(index, prepend=-1))


def _descend(load: NDArray[np.int64], drawn: NDArray[np.int8], fractions: NDArray[np.float64]) -> NDArray[np.int8]:
    parts, share = drawn.copy(), load / load.sum(axis=0)
    for _ in range(_MOST_MOVES):
        held = np.stack([load[parts == part].sum(axis=0) for part in PARTS])
        miss = held / load.sum(axis=0) - fractions[:, None]
        if np.abs(miss).max() <= _GOOD_ENOUGH or not (_move(share, parts, miss) or _swap(share, parts, miss)):
            break
    return parts


def _move(share: NDArray[np.float64], parts: NDArray[np.int8], miss: NDArray[np.float64]) -> bool:
    """Moves the one block that lowers the squared misses most.

    Moving a block with shares v from part q to p changes their sum by 2 (v·v + v·(miss[p] - miss[q])).
    """
    pull = np.stack([_dot(share, miss[part]) for part in PARTS], axis=1)
    change = _dot(share, share)[:, None] + pull - np.take_along_axis(pull, parts[:, None].astype(np.intp), axis=1)
    change[np.bincount(parts, minlength=len(PARTS))[parts] == 1] = np.inf
    block, part = np.unravel_index(change.argmin(), change.shape)
    if change[block, part] >= -_ROUNDING:
        return False
    parts[block] = part
    return True


def _swap(share: NDArray[np.float64], parts: NDArray[np.int8], miss: NDArray[np.float64]) -> bool:
    """Exchanges two blocks of a latitude band, the one that misses most first, if that lowers the squared misses."""
    for band in np.argsort(-np.abs(miss).max(axis=0), kind="stable"):
        for one, other in itertools.combinations(PARTS, 2):
            here, there = (np.flatnonzero((parts == p) & (share[:, band] > 0))[:_SWAP_CANDIDATES] for p in (one, other))
            if here.size and there.size and _swap_best(share, parts, (here, there), miss[other] - miss[one]):
                return True
    return False


def _swap_best(
    share: NDArray[np.float64],
    parts: NDArray[np.int8],
    blocks: tuple[NDArray[np.intp], NDArray[np.intp]],
    pull: NDArray[np.float64],
) -> bool:
    """Exchanges the best pair: as a move of the difference of the two blocks, with the formula of ``_move``."""
    differs = share[blocks[0]][:, None] - share[blocks[1]][None]
    change = _dot(differs, differs) + _dot(differs, pull)
    here, there = np.unravel_index(change.argmin(), change.shape)
    if change[here, there] >= -_ROUNDING:
        return False
    one, other = blocks[0][here], blocks[1][there]
    parts[one], parts[other] = parts[other], parts[one]
    return True


def _dot(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scalar products over the last axis, one band after the other: BLAS adds in an order that differs by machine."""
    total = np.zeros(values.shape[:-1])
    for band in range(values.shape[-1]):
        total += values[..., band] * others[..., band]
    return total


def _shares(cells: NDArray[np.int64]) -> dict[str, Any]:
    used = int(cells[list(PARTS)].sum())
    shares = {_name(part): float(cells[part] / used) if used else 0.0 for part in PARTS}
    return {"cells": used, "left_out_by_buffer": int(cells[Part.NONE]), **shares}


def _blocks(table: SplitTable) -> dict[str, int]:
    if table.parts is None:
        return {}
    return {_name(part): int(np.count_nonzero(table.parts == part)) for part in PARTS}


def _name(part: Part) -> str:
    return part.name.lower()
