"""Groups that scores are broken down by: latitude band, season, and size of the gap a cell lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lstfill.cube.geometry import SEASONS, band_labels, latitude_band, season

if TYPE_CHECKING:
    from types import EllipsisType

    from numpy.typing import NDArray

    from lstfill.cube.chunk import Chunk

# Cells a date: one magnitude a class, from scattered pixels to whole cloud fields.
GAP_SIZE_EDGES = (10, 100, 1000, 10000)
GAP_SIZE_LABELS = ("1-9", "10-99", "100-999", "1000-9999", ">=10000")
# One axis of the grid of groups each, with the labels in natural order.
LABELS: dict[str, tuple[str, ...]] = {"latitude": band_labels(), "season": SEASONS, "gap_size": GAP_SIZE_LABELS}
SIZES = tuple(len(labels) for labels in LABELS.values())


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


def gap_size_class(sizes: NDArray[np.integer]) -> NDArray[np.int8]:
    """Index of the class in ``GAP_SIZE_LABELS``; cells without a gap fall in the first.

    Args:
        sizes: cells of a gap, any shape.
    """
    return np.searchsorted(GAP_SIZE_EDGES, sizes, side="right").astype(np.int8)


def group_codes(
    chunk: Chunk, cells: tuple[NDArray[np.intp], ...], gap_classes: NDArray[np.int8] | None
) -> tuple[NDArray[np.integer], ...]:
    """Position of some cells on each axis of the grid of groups ``SIZES``.

    Args:
        chunk: the window that the cells belong to.
        cells: index of the cells along time, lat and lon, each ``(n,)``, as ``numpy.nonzero`` gives it.
        gap_classes: class of the gap of each cell ``(n,)``; None where no gap is meant, all then count in the first.
    """
    steps, rows, _ = cells
    if gap_classes is None:
        gap_classes = np.zeros(len(rows), np.int8)
    return latitude_band(chunk.lat)[rows], season(chunk.time, chunk.lat)[steps, rows], gap_classes
