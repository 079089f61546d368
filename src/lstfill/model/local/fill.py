"""Fills the dates of a tile one by one, each by models of its own on the other dates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lstfill.model.base import Prediction
from lstfill.model.local import ridge, trees
from lstfill.model.local.blend import blend_weights
from lstfill.model.local.blind import Blind
from lstfill.model.local.blocks import SIDES, block_side, folds_of
from lstfill.model.local.kriging import fit_covariance, krige
from lstfill.model.local.predictors import Scene

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.modelconfig import Local

Array = NDArray[np.float64]

FEWEST = 12
"""Known cells of a date below which the season must do."""
FEWEST_FOR_TREES = 120
"""Known cells below which a date is predicted by the patterns of other dates alone."""
PRIOR = np.array([0.3, 0.7])
"""Weights of patterns and trees before cross-validation; the best on artificial gaps of three unlike cubes."""


def fill_tile(chunk: Chunk, options: Local, seed: int, dates: NDArray[np.bool_] | None = None) -> Prediction:
    """Predicts the land cells of a tile that are not visible.

    Args:
        chunk: all dates of the tile; uses of the target what is visible, and all features and covariates.
        options: of the model.
        seed: of draws of pairs and predictors.
        dates: those to predict ``(time,)``, all if not given.

    Returns:
        Values and their standard deviation as the residuals of known cells show it, NaN at visible cells, and
        everywhere if no date shows anything.
    """
    asked = np.ones(len(chunk.time), bool) if dates is None else dates
    value, spread = (np.full(chunk.target.shape, np.nan, np.float32) for _ in range(2))
    if not chunk.visible().any():
        return Prediction(value, spread)
    scene = Scene.of(chunk, robust=options.robust)
    blind = Blind(scene)
    flat = value.reshape(len(value), -1), spread.reshape(len(value), -1)
    for step in map(int, np.flatnonzero(asked & ~scene.seen.all(axis=1))):
        wanted = np.flatnonzero(~scene.seen[step])
        few = len(scene.cells) - len(wanted) < FEWEST
        found = blind.fill(step, wanted) if few else _fill_date(scene, step, wanted, options, seed)
        for array, of in zip(flat, found, strict=True):
            array[step, scene.cells[wanted]] = of
    return Prediction(value, spread)


def _fill_date(scene: Scene, step: int, wanted: NDArray[np.intp], options: Local, seed: int) -> tuple[Array, Array]:
    """Values and deviations of the wanted cells of one date ``(m,)`` in K."""
    known = np.flatnonzero(scene.seen[step])
    position, values = scene.position.astype(np.float64), scene.anomaly[step, known]
    fold = _folds(scene, known, wanted, options.folds)
    apart, new = _models(*scene.predictors(step, options.dates), values, known, wanted, fold, seed)
    weights = blend_weights(apart, values, PRIOR) if apart.shape[1] == len(PRIOR) else np.ones(1)
    residual = values - apart @ weights
    covariance = fit_covariance(position[known], residual, seed)
    correction, variance = krige(
        position[known].astype(np.float64),
        residual,
        position[wanted].astype(np.float64),
        covariance,
        options.neighbours,
    )
    mean = new @ weights
    # Where the models disagree, at least one of them is off.
    variance += ((new - mean[:, None]) ** 2) @ weights
    return scene.means.base(step)[wanted] + mean + correction, np.sqrt(variance)


def _folds(scene: Scene, known: NDArray[np.intp], wanted: NDArray[np.intp], folds: int) -> NDArray[np.intp]:
    """Blocks as wide as the gaps; narrower where hardly a known cell lies outside of one of them."""
    place = [np.zeros(scene.chunk.land.shape, bool) for _ in range(2)]
    for cells, on in zip((known, wanted), place, strict=True):
        on.flat[scene.cells[cells]] = True
    fold = folds_of(scene.position[known], block_side(*place), folds)
    enough = len(fold) - np.bincount(fold).max() >= FEWEST
    return fold if enough else folds_of(scene.position[known], SIDES[0], folds)


def _models(
    patterns: Array,
    everything: Array,
    values: Array,
    known: NDArray[np.intp],
    wanted: NDArray[np.intp],
    fold: NDArray[np.intp],
    seed: int,
) -> tuple[Array, Array]:
    """What each model says of the known cells without their block ``(n, models)``, and of the wanted ones."""
    scaled = ridge.scaled(patterns, known)
    apart, regression = ridge.cross_fitted(scaled[known], values, fold)
    columns, new = [apart], [regression(scaled[wanted])]
    if len(known) >= FEWEST_FOR_TREES and len(np.unique(fold)) > 1:
        apart, found = trees.cross_fitted(everything[known], values, fold, everything[wanted], seed)
        columns.append(apart)
        new.append(found)
    return np.stack(columns, axis=1), np.stack(new, axis=1)
