"""Groups that scores are broken down by: latitude band, season, and size of the gap a cell lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lstfill import gaps
from lstfill.cube.geometry import latitude_band, season
from lstfill.gaps.surroundings import gap_size, gap_size_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lstfill.cube.chunk import Chunk

__all__ = ["GAP_SIZE_LABELS", "LABELS", "SIZES", "gap_size", "gap_size_class", "group_codes"]

GAP_SIZE_LABELS = gaps.LABELS["gap_size"]
# One axis of the grid of groups each, with the labels in natural order.
LABELS = {name: gaps.LABELS[name] for name in ("latitude", "season", "gap_size")}
SIZES = tuple(len(labels) for labels in LABELS.values())


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
