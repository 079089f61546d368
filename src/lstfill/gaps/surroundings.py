"""What surrounds the cells of a gap: how large it is, how far the next visible value lies in space and in time.

Classes, not amounts: errors are counted and uncertainties are calibrated by them. All hold within the arrays given: a
border cuts a gap, and what lies beyond it is not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lstfill.cube.geometry import SEASONS, band_labels, latitude_band, season

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import EllipsisType

    from numpy.typing import NDArray

    from lstfill.cube.chunk import Chunk

    Codes = NDArray[np.int8]

# Cells a date: one magnitude a class, from scattered pixels to whole cloud fields.
GAP_SIZE_EDGES = (10, 100, 1000, 10000)
# Cells to the nearest visible one of the date, the larger of rows and columns.
DISTANCE_EDGES = (2, 4, 8, 16, 32)
# Days to the nearest date on which the cell is visible; a class holds its upper edge: eight days are 5-8.
DAYS_EDGES = (1, 4, 8, 16, 32)
# Share of the date's land that is not visible.
MISSING_EDGES = (0.1, 0.25, 0.5, 0.75, 0.9)

LABELS: dict[str, tuple[str, ...]] = {
    "latitude": band_labels(),
    "season": SEASONS,
    "gap_size": ("1-9", "10-99", "100-999", "1000-9999", ">=10000"),
    "distance": ("1", "2-3", "4-7", "8-15", "16-31", ">=32"),
    "days": ("<=1", ">1-4", ">4-8", ">8-16", ">16-32", ">32"),
    "missing": ("<10 %", "10-25 %", "25-50 %", "50-75 %", "75-90 %", ">=90 %"),
}
"""Names of the classes in natural order."""


def surroundings(chunk: Chunk, cells: NDArray[np.intp], names: Iterable[str] = tuple(LABELS)) -> dict[str, Codes]:
    """Classes of some cells, each an index of ``LABELS``; what is visible in the chunk counts, and nothing else.

    Args:
        chunk: the window.
        cells: flat index of the cells, ascending ``(n,)``.
        names: the classes wanted.
    """
    return {name: _CLASSES[name](chunk, cells) for name in names}


def gap_size(gap: NDArray[np.bool_], at: tuple[NDArray[np.intp], ...] | EllipsisType = ...) -> NDArray[np.int64]:
    """Number of cells of the gap that each cell lies in.

    A gap is a region of cells of one date that touch each other along lat or lon (not at corners). Sizes hold within
    the array: a region that its border cuts counts with the part inside, and the sides of the date line do not meet.

    Args:
        gap: cells without a visible value ``(time, lat, lon)``.
        at: index along time, lat and lon of the cells that are asked for, each ``(n,)``; all of them by default.

    Returns:
        Sizes in cells ``(n,)``, or ``(time, lat, lon)`` of all; 0 where there is no gap.
    """
    from scipy import ndimage

    touching = np.zeros((3, 3, 3), bool)  # nothing touches along time, a cross touches in space
    touching[1] = [[False, True, False], [True, True, True], [False, True, False]]
    region, _ = ndimage.label(gap, touching)
    cells = np.bincount(region.ravel())
    cells[0] = 0
    sizes: NDArray[np.int64] = cells[region[at]]
    return sizes


def gap_size_class(sizes: NDArray[np.integer]) -> Codes:
    """Index of the class of sizes in cells, any shape; cells without a gap fall in the first."""
    return np.searchsorted(GAP_SIZE_EDGES, sizes, side="right").astype(np.int8)


def distance_class(visible: NDArray[np.bool_], cells: NDArray[np.intp]) -> Codes:
    """Class of the distance to the nearest visible cell of the date, in cells along lat or lon, the larger of both.

    From sums over boxes: no value within a box of radius ``edge - 1`` means at least ``edge`` cells to the nearest.

    Args:
        visible: ``(time, lat, lon)``.
        cells: flat index of the cells asked for, ascending ``(n,)``.

    Returns:
        ``(n,)``; the last class where nothing of the date is visible.
    """
    classes = np.zeros(len(cells), np.int8)
    for date, here in _by_date(visible, cells):
        sums = np.zeros((visible.shape[1] + 1, visible.shape[2] + 1), np.int32)
        np.cumsum(visible[date], axis=0, out=sums[1:, 1:])
        np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
        far = np.arange(here.start, here.stop)
        for edge in DISTANCE_EDGES:
            row, column = np.divmod(cells[far] % visible[0].size, visible.shape[2])
            far = far[_box(sums, row, column, edge - 1) == 0]
            classes[far] += 1
    return classes


def days_class(
    visible: NDArray[np.bool_],
    time: NDArray[np.datetime64],
    cells: NDArray[np.intp],
    before: NDArray[np.floating] | float = np.nan,
    after: NDArray[np.floating] | float = np.nan,
) -> Codes:
    """Class of the days to the nearest other date on which the cell is visible.

    Args:
        visible: ``(time, lat, lon)``.
        time: dates ``(time,)``.
        cells: flat index of the cells asked for, ascending ``(n,)``.
        before: days since 1970-01-01 of the last visible value before the first date ``(lat, lon)``, NaN without one.
        after: of the first one after the last date.

    Returns:
        ``(n,)``; the last class for cells that are never visible.
    """
    day = (time - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    nearest = np.full(len(cells), np.inf)
    groups, plane = list(_by_date(visible, cells)), visible[0].size
    for order, seen in ((groups, before), (groups[::-1], after)):
        last = np.broadcast_to(np.asarray(seen, np.float64), visible.shape[1:]).flatten()
        last[np.isnan(last)] = np.inf
        for date, here in order:
            away = np.abs(day[date] - last[cells[here] % plane])
            nearest[here] = np.minimum(nearest[here], away)
            last[visible[date].ravel()] = day[date]
    return np.searchsorted(DAYS_EDGES, nearest, side="left").astype(np.int8)


def missing_class(visible: NDArray[np.bool_], land: NDArray[np.bool_], cells: NDArray[np.intp]) -> Codes:
    """Class of the share of the date's land ``(lat, lon)`` that is not visible ``(time, lat, lon)``, of some cells."""
    seen = np.count_nonzero(visible & land, axis=(1, 2))
    share = 1 - seen / max(1, np.count_nonzero(land))
    classes: Codes = np.searchsorted(MISSING_EDGES, share, side="right").astype(np.int8)[cells // land.size]
    return classes


def _by_date(visible: NDArray[np.bool_], cells: NDArray[np.intp]) -> Iterable[tuple[int, slice]]:
    """Each date with its part of the ascending cells."""
    ends = np.searchsorted(cells, np.arange(len(visible) + 1) * visible[0].size)
    return [(date, slice(ends[date], ends[date + 1])) for date in range(len(visible))]


def _box(sums: NDArray[np.int32], row: NDArray[np.intp], column: NDArray[np.intp], radius: int) -> NDArray[np.int32]:
    """Sum over the box around each cell, from sums over all rows and columns before."""
    rows, columns = sums.shape
    top, left = np.maximum(row - radius, 0), np.maximum(column - radius, 0)
    bottom, right = np.minimum(row + radius + 1, rows - 1), np.minimum(column + radius + 1, columns - 1)
    total: NDArray[np.int32] = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return total


def _latitude(chunk: Chunk, cells: NDArray[np.intp]) -> Codes:
    bands: Codes = latitude_band(chunk.lat)[cells // chunk.land.shape[1] % len(chunk.lat)]
    return bands


def _season(chunk: Chunk, cells: NDArray[np.intp]) -> Codes:
    seasons: Codes = season(chunk.time, chunk.lat[:1])[cells // chunk.land.size, 0]
    return seasons


def _gap_size(chunk: Chunk, cells: NDArray[np.intp]) -> Codes:
    gap = chunk.land[None] & ~chunk.visible()
    return gap_size_class(gap_size(gap, np.unravel_index(cells, gap.shape)))


_CLASSES: dict[str, Callable[[Chunk, NDArray[np.intp]], Codes]] = {
    "latitude": _latitude,
    "season": _season,
    "gap_size": _gap_size,
    "distance": lambda chunk, cells: distance_class(chunk.visible(), cells),
    "days": lambda chunk, cells: days_class(chunk.visible(), chunk.time, cells),
    "missing": lambda chunk, cells: missing_class(chunk.visible(), chunk.land, cells),
}
