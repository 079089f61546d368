"""Fills all dates of a tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lstfill.model.local.additive import fit_additive
from lstfill.model.local.cells import Cells, cells_of
from lstfill.model.local.date import Date, Options, fill_date
from lstfill.model.local.patterns import fit_patterns

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.modelconfig import Local

Array = NDArray[np.float64]

AROUND = (2.0, 6.0)
"""Widths in cells of the neighbourhoods whose mean scores are predictors too."""
LEADING = 4
"""Patterns whose scores are taken from neighbourhoods."""
_HALF = 2.0
"""Values of a cell at which its scores count half as much in its neighbourhood as they could."""


def fill(chunk: Chunk, options: Local, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values and standard deviations of all land cells that are not visible.

    Args:
        chunk: all dates of a tile.
        options: of the model.
        seed: of all draws.

    Returns:
        Values and spread ``(time, lat, lon)`` in K; NaN where the cell is visible or sea, and all over if nothing of
        the tile is visible.
    """
    value = np.full(chunk.target.shape, np.nan, np.float32)
    spread = value.copy()
    if not chunk.visible().any():
        return value, spread
    cells = cells_of(chunk)
    how = Options(options.neighbours, options.folds, options.robust, seed)
    means = fit_additive(cells, robust=options.robust)
    patterns = fit_patterns(means, options.patterns)
    for step in map(int, np.flatnonzero(~cells.seen.all(axis=1))):
        known, wanted = np.flatnonzero(cells.seen[step]), np.flatnonzero(~cells.seen[step])
        scores, covariance = patterns.without(step)
        guess = patterns.value(step, scores)
        if len(known):
            predictors = _predictors(cells, chunk.land, step, scores, guess)
            date = Date(known, wanted, means.left[step, known], predictors, guess, cells.position)
            filled, doubt = fill_date(date, how)
        else:
            filled, doubt = guess[wanted], np.hypot(patterns.doubt(step, covariance)[wanted], means.doubt[step])
        row, column = cells.position[wanted].astype(np.intp).T
        value[step, row, column] = means.base[step, wanted] + filled
        spread[step, row, column] = doubt
    return value, spread


def _predictors(cells: Cells, land: NDArray[np.bool_], step: int, scores: Array, guess: Array) -> Array:
    """What may explain a date ``(n, p)``: place, scores of the cell and around it, features and covariates."""
    telling = np.column_stack([scores[:, :LEADING], guess])
    count = cells.seen.sum(axis=0) - cells.seen[step]
    around = [_around(telling, count / (count + _HALF), land, width) for width in AROUND]
    features = [of[step] for of in cells.features]
    return np.column_stack([cells.position, scores, guess, *around, *features, *cells.covariates])


def _around(values: Array, weight: Array, land: NDArray[np.bool_], width: float) -> Array:
    """Weighted mean ``(n, p)`` around each cell, weights a Gaussian of that width times those of the cells."""
    from scipy.ndimage import gaussian_filter

    planes = np.zeros((values.shape[1] + 1, *land.shape))
    planes[:, land] = np.vstack([(values * weight[:, None]).T, weight])
    near = gaussian_filter(planes, width, mode="constant", truncate=3.0, axes=(1, 2))[:, land]
    mean: Array = (near[:-1] / (near[-1] + 1e-3)).T
    return mean
