"""Groups that scores are broken down by: latitude band, season, and what surrounds a cell of a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lstfill import gaps
from lstfill.gaps.surroundings import days_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lstfill.cube.chunk import Chunk
    from lstfill.evaluate.land import LandCells
    from lstfill.evaluate.series import Beyond
    from lstfill.evaluate.visible import ScoredSet

    Codes = NDArray[np.integer]

OF_GAPS = ("gap_size", "distance", "days")
"""Groups that say nothing of test cells: whole blocks of these are hidden for their score, which are no gaps."""
# One axis of the grid of groups each, with the labels in natural order.
LABELS = {name: gaps.LABELS[name] for name in ("latitude", "season", *OF_GAPS)}


def labels_of(scored: ScoredSet, groups: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Labels of the break-downs, of those asked for, that a set is broken down by."""
    return {name: of for name, of in LABELS.items() if name in groups and (scored != "test" or name not in OF_GAPS)}


def group_codes(
    scored: ScoredSet,
    chunk: Chunk,
    land: LandCells,
    at_land: NDArray[np.intp],
    groups: Sequence[str],
    beyond: Beyond | None = None,
) -> dict[str, tuple[Codes, int]]:
    """Group of some cells ``(n,)`` in each break-down that is asked for, and its number of groups.

    Args:
        scored: the set that the cells are of; test cells all count in the first group of those of gaps.
        chunk: the window that the cells belong to.
        land: its land cells.
        at_land: flat index of the cells among them, ascending ``(n,)``.
        groups: names of ``LABELS``.
        beyond: what the series of the land cells show outside of the window.
    """
    steps, place = np.divmod(at_land, max(len(land.rows), 1))
    cells = np.ravel_multi_index((steps, land.rows[place], land.columns[place]), chunk.window.shape)
    found: dict[str, Codes] = {}
    for name in (name for name in LABELS if name in groups):
        if not at_land.size or name not in labels_of(scored, groups):
            found[name] = np.zeros(at_land.size, np.int8)
        elif name == "days":
            seen = (np.nan, np.nan) if beyond is None else (beyond.before.day, beyond.after.day)
            found[name] = days_class(land.chunk.visible(), land.chunk.time, at_land, *seen)
        else:
            found |= gaps.surroundings(chunk, cells, [name])
    return {name: (codes, len(LABELS[name])) for name, codes in found.items()}
