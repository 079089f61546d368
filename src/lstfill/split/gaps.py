"""Held-out gaps: observed values hidden before anything is fitted, in the shapes that clouds and orbits leave."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.errors import DataError
from lstfill.split.draw import order_key, uniform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lstfill.config import Split
    from lstfill.cube.chunk import Chunk
    from lstfill.split.blocks import Triple

logger = logging.getLogger(__name__)

# A gap below 5 % of what a tile shows is a speck; one above 95 % is no cloud but an orbit or a polar night.
SHARE_OF_TILE = (0.05, 0.95)
_MOST_DONORS = 8
_NO_DONOR = -1


@dataclass(frozen=True)
class GapPlan:
    """What the draw of held-out gaps depends on, before any data is read.

    Attributes:
        shape: cells of the cube ``(time, lat, lon)``.
        tile: cells of a tile ``(lat, lon)``, the spatial block of the split.
        fraction: share of all observed land values to hide.
        seed: seed of the draw.
    """

    shape: Triple
    tile: tuple[int, int]
    fraction: float
    seed: int

    @property
    def grid(self) -> Triple:
        """Number of dates, and of tiles along lat and lon."""
        return self.shape[0], -(-self.shape[1] // self.tile[0]), -(-self.shape[2] // self.tile[1])

    def donors(self, row: int, column: int) -> NDArray[np.int32]:
        """The dates whose gaps may be cut out of each date in one tile, in the order they are tried ``(time, donor)``.

        At most 8, all of them different and none the date itself: from a hashed start in steps of about the golden
        section of the series, so that they come from all seasons.
        """
        dates, others = np.arange(self.shape[0], dtype=np.int64), self.shape[0] - 1
        unit = (dates * self.grid[1] + row) * self.grid[2] + column
        start = (uniform(unit, self.seed, "gaps.donor") * others).astype(np.int64)
        after = start[:, None] + np.arange(min(_MOST_DONORS, others)) * _coprime_step(others)
        return ((dates[:, None] + 1 + after % others) % self.shape[0]).astype(np.int32)


@dataclass(frozen=True, eq=False)
class TileCounts:
    """What the tiles of one window hold.

    Attributes:
        origin: index of the first tile ``(lat, lon)``.
        observed: observed land values ``(time, lat_tile, lon_tile)``, int32.
        candidates: those that are missing on the donor date ``(time, lat_tile, lon_tile, donor)``, int32.
    """

    origin: tuple[int, int]
    observed: NDArray[np.int32]
    candidates: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class GapTable:
    """The held-out gaps of a cube: whose date's gaps are cut out where.

    Attributes:
        plan: what was drawn from.
        donor: date whose missing values are cut out ``(time, lat_tile, lon_tile)``, int32; -1 where nothing is.
        report: what was reached, values that JSON can hold.
    """

    plan: GapPlan
    donor: NDArray[np.int32]
    report: dict[str, Any]

    def held_out_in(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Observed land values to hide ``(time, lat, lon)``.

        Args:
            chunk: a window over all times.
        """
        observed = _observed(chunk, self.plan)
        held_out = np.zeros_like(observed)
        for row, column, cells in _tiles(chunk, self.plan):
            date = np.flatnonzero(self.donor[:, row, column] != _NO_DONOR)
            seen = observed[:, cells[0], cells[1]]
            held_out[date, cells[0], cells[1]] = seen[date] & ~seen[self.donor[date, row, column]]
        return held_out


def plan_gaps(shape: Triple, split: Split) -> GapPlan:
    """Plans held-out gaps of kind clouds, from sizes and the configuration alone.

    Args:
        shape: cells of the cube ``(time, lat, lon)``.
        split: its spatial block is the tile; fraction and seed are those of ``held_out_gaps``.

    Raises:
        DataError: if the cube has one date.
    """
    if shape[0] < 2:
        fact = f"{shape[0]} date in the cube: held_out_gaps.kind clouds cuts out the gaps of other dates"
        raise DataError("split", [f"{fact}; widen source.time, or set held_out_gaps.kind to none or given"])
    gaps = split.held_out_gaps
    return GapPlan(shape, (split.block.lat, split.block.lon), gaps.fraction, gaps.seed)


def count_candidates(chunk: Chunk, plan: GapPlan) -> TileCounts:
    """Counts, for each date and tile, the observed values and those each donor date would hide.

    Args:
        chunk: a window over all times; it may cut tiles, their counts add up.
        plan: tiles and donors.
    """
    observed = _observed(chunk, plan)
    tiles = list(_tiles(chunk, plan))
    origin, last = tiles[0][:2], tiles[-1][:2]
    grid = (plan.shape[0], last[0] - origin[0] + 1, last[1] - origin[1] + 1)
    seen_at = np.zeros(grid, np.int32)
    candidates = np.zeros((*grid, min(_MOST_DONORS, plan.shape[0] - 1)), np.int32)
    for row, column, cells in tiles:
        seen = observed[:, cells[0], cells[1]].reshape(plan.shape[0], -1)
        place = (slice(None), row - origin[0], column - origin[1])
        seen_at[place] = np.count_nonzero(seen, axis=1)
        candidates[place] = seen_at[place][:, None] - _seen_twice(seen, plan.donors(row, column))
    return TileCounts(origin, seen_at, candidates)


def choose(plan: GapPlan, counts: Iterable[TileCounts]) -> GapTable:
    """Chooses dates, tiles and donors until the fraction of all observed land values is hidden.

    The donor of a date and tile is the first whose gaps hide between 5 and 95 % of the values observed there; where
    there is none, as in a polar night, nothing is hidden. Dates and tiles are taken in the order of a hash, and the
    last one only if it brings the total closer to what was asked.

    Args:
        plan: tiles, donors, fraction and seed.
        counts: one of each window of the cube, in any order.

    Raises:
        DataError: if there is nothing to hide.
    """
    observed, candidates = _sum_counts(plan, counts)
    low, high = (share * observed[..., None] for share in SHARE_OF_TILE)
    fits = (candidates > 0) & (candidates >= low) & (candidates <= high)
    first = fits.argmax(axis=-1)
    cells = np.where(fits.any(axis=-1), np.take_along_axis(candidates, first[..., None], -1)[..., 0], 0)
    total = int(observed.sum(dtype=np.int64))
    taken = _take(cells, plan, plan.fraction * total)
    if not taken.any():
        raise DataError("split", [_nothing(plan, total)])
    report = _report(plan, total, int(cells[taken].sum(dtype=np.int64)), int(np.count_nonzero(taken)))
    return GapTable(plan, np.where(taken, _donor_dates(plan, first), _NO_DONOR).astype(np.int32), report)


def _observed(chunk: Chunk, plan: GapPlan) -> NDArray[np.bool_]:
    if chunk.target.shape[0] != plan.shape[0]:
        raise ValueError(
            f"held-out gaps need all {plan.shape[0]} dates of a cell, the chunk has {chunk.target.shape[0]}"
        )
    observed: NDArray[np.bool_] = np.isfinite(chunk.target) & chunk.land[None]
    return observed


def _tiles(chunk: Chunk, plan: GapPlan) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
    """The tiles a window touches, each with its cells inside the window."""
    (_, y0, x0), (_, y1, x1) = chunk.window.start, chunk.window.stop
    for row in range(y0 // plan.tile[0], -(-y1 // plan.tile[0])):
        for column in range(x0 // plan.tile[1], -(-x1 // plan.tile[1])):
            yield row, column, (_inside(row, plan.tile[0], y0, y1), _inside(column, plan.tile[1], x0, x1))


def _inside(index: int, step: int, start: int, stop: int) -> slice:
    return slice(max(index * step, start) - start, min((index + 1) * step, stop) - start)


def _seen_twice(seen: NDArray[np.bool_], donors: NDArray[np.int32]) -> NDArray[np.int32]:
    """Cells observed on a date and on each of its donors ``(time, donor)``, from ``seen`` ``(time, cell)``."""
    bits = np.packbits(seen, axis=1)
    both = np.empty(donors.shape, np.int32)
    for number in range(donors.shape[1]):
        both[:, number] = np.bitwise_count(bits & bits[donors[:, number]]).sum(axis=1, dtype=np.int32)
    return both


def _sum_counts(plan: GapPlan, counts: Iterable[TileCounts]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    observed = np.zeros(plan.grid, np.int32)
    candidates = np.zeros((*plan.grid, min(_MOST_DONORS, plan.shape[0] - 1)), np.int32)
    for one in counts:
        rows, columns = (slice(a, a + n) for a, n in zip(one.origin, one.observed.shape[1:], strict=True))
        observed[:, rows, columns] += one.observed
        candidates[:, rows, columns] += one.candidates
    return observed, candidates


def _take(cells: NDArray[np.int32], plan: GapPlan, wanted: float) -> NDArray[np.bool_]:
    """Takes dates and tiles in the order of a hash until their cells come closest to what is wanted; at least one."""
    units = np.flatnonzero(cells)
    units = units[np.argsort(order_key(units, plan.seed, "gaps.unit"))]
    size = cells.reshape(-1)[units].astype(np.int64)
    close = np.cumsum(size) - size / 2 <= wanted
    taken = np.zeros(cells.size, bool)
    taken[units[: max(1, np.count_nonzero(close))]] = True
    return taken.reshape(cells.shape)


def _donor_dates(plan: GapPlan, first: NDArray[np.intp]) -> NDArray[np.int32]:
    donor = np.empty(plan.grid, np.int32)
    for row in range(plan.grid[1]):
        for column in range(plan.grid[2]):
            donors = plan.donors(row, column)
            donor[:, row, column] = donors[np.arange(plan.shape[0]), first[:, row, column]]
    return donor


def _report(plan: GapPlan, total: int, held_out: int, taken: int) -> dict[str, Any]:
    share = held_out / total
    level = logging.INFO if share > 0.9 * plan.fraction else logging.WARNING
    logger.log(
        level, "held-out gaps: %d of %d observed land values, %.4f for %g", held_out, total, share, plan.fraction
    )
    return {"asked": plan.fraction, "reached": share, "observed": total, "held_out": held_out, "tiles": taken}


def _nothing(plan: GapPlan, total: int) -> str:
    if not total:
        return "no observed land value, so no gap can be held out: check the mask and source.valid_range_k"
    low, high = (f"{share:.0%}" for share in SHARE_OF_TILE)
    return (
        f"no date has gaps that hide {low} to {high} of another date's values in a tile of {plan.tile} cells "
        f"({total} observed land values, {plan.shape[0]} dates): widen source.time, change split.block, "
        "or set held_out_gaps.kind to none or given"
    )


def _coprime_step(count: int) -> int:
    """The step nearest above the golden section of a series that visits all its members before it comes back."""
    step = max(1, round(count * 0.618))
    while math.gcd(step, count) != 1:
        step += 1
    return step
