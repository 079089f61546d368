"""Spatial blocks that models are weighed on, about as wide as what is to be filled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIDES = (4.0, 40.0)
"""Narrowest and widest block in cells."""
_DEPTHS = 4.0
"""Side of a block over the median distance from a gap's cell to the nearest known one."""
_A_FOLD = 3
"""Blocks that a fold has at least; where there are fewer, they are made smaller."""
_SMALLER = 1.4


def folds_of(known: Array, wanted: Array, folds: int, seed: int) -> NDArray[np.intp]:
    """Fold of each known cell ``(n,)``: square blocks, shared out at random so that folds are about equally large.

    Random cells as folds would have neighbours in other folds, and a gap's cells have none (Roberts et al. 2017,
    doi:10.1111/ecog.02881).

    Args:
        known: row and column of the known cells ``(n, 2)``.
        wanted: of the cells to fill ``(m, 2)``.
        folds: most folds.
        seed: of the order in which blocks are shared out.
    """
    side = block_side(known, wanted)
    while True:
        _, block, size = np.unique(known // side, axis=0, return_inverse=True, return_counts=True)
        if len(size) >= _A_FOLD * folds or side < 2:
            break
        side /= _SMALLER
    fold, total = np.zeros(len(size), np.intp), np.zeros(folds)
    for number in np.random.default_rng(seed).permutation(len(size)):
        fold[number] = total.argmin()
        total[fold[number]] += size[number]
    fold_of_cell: NDArray[np.intp] = np.unique(fold[block.ravel()], return_inverse=True)[1].astype(np.intp)
    return fold_of_cell


def block_side(known: Array, wanted: Array) -> float:
    """Side in cells of the blocks that suit these gaps."""
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(known).query(wanted)
    return float(np.clip(_DEPTHS * np.median(distance), *SIDES))
