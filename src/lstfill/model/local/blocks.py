"""Spatial blocks to weigh models on: as wide as the gaps that are to be filled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDES = (3, 24)
"""Narrowest and widest block in cells."""
_DEPTHS = 6
"""Side of a square over the mean distance of its cells to its edge."""


def block_side(known: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> int:
    """Side of a square in cells whose cells are as far from its edge as those of the gaps from known ones.

    Args:
        known: cells with a value ``(lat, lon)``, at least one.
        wanted: cells to fill ``(lat, lon)``, at least one.
    """
    from scipy import ndimage

    depth = ndimage.distance_transform_cdt(~known, "chessboard")[wanted]
    return int(np.clip(round(_DEPTHS * float(np.median(depth))), *SIDES))


def folds_of(position: NDArray[np.intp], side: int, folds: int) -> NDArray[np.intp]:
    """Fold of each cell ``(n,)``: squares of that side, a knight's move from the next of the same fold.

    Args:
        position: row and column ``(n, 2)``.
        side: of a square in cells.
        folds: number of folds.
    """
    row, column = (position // side).T
    fold: NDArray[np.intp] = (row * 2 + column) % folds
    return fold
