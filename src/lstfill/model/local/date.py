"""Fills one date: three ways to predict it from the other dates, weighed on blocks, and a kriged residual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstfill.model.local import kriging, ridge, trees
from lstfill.model.local.additive import within
from lstfill.model.local.blocks import folds_of
from lstfill.model.local.stacking import weights

Array = NDArray[np.float64]

FEW = 40
"""Known cells below which nothing is fitted to a date: what its patterns say is corrected by kriging alone."""
BEYOND = 0.2
"""How far a predictor may lie outside the range of the known cells, as a share of it; a line would run away."""
_TAILS = (0.01, 0.99)
_CHECKED = 600
"""Known cells whose kriged error tells how far the kriging variance is off."""
_FACTOR = (0.5, 3.0)


@dataclass(frozen=True)
class Date:
    """One date of a tile, its known cells and those wanted.

    Attributes:
        known: index of the known cells ``(k,)``.
        wanted: index of the wanted cells ``(m,)``.
        values: of the known cells, less level and features, in K ``(k,)``.
        predictors: of all cells ``(n, p)``.
        guess: what the patterns say ``(n,)`` in K.
        position: row and column of all cells ``(n, 2)``.
    """

    known: NDArray[np.intp]
    wanted: NDArray[np.intp]
    values: Array
    predictors: Array
    guess: Array
    position: Array


@dataclass(frozen=True)
class Options:
    """How a date is filled.

    Attributes:
        neighbours: residuals a cell is kriged from.
        folds: parts of the known cells that models are weighed on.
        robust: whether far residuals are moved nearer before they are kriged.
        seed: of all draws.
    """

    neighbours: int
    folds: int
    robust: bool
    seed: int


def fill_date(date: Date, options: Options) -> tuple[Array, Array]:
    """Values and their standard deviation ``(m,)`` in K of the wanted cells, less level and features.

    Args:
        date: with at least one known cell.
        options: how.
    """
    known, wanted = date.position[date.known], date.position[date.wanted]
    apart, new, fold = _predicted(date, options)
    share = weights(apart, date.values) if apart.shape[1] > 1 else np.ones(1)
    value, disagreement = new @ share, np.sqrt(((new - (new @ share)[:, None]) ** 2) @ share)
    residual = date.values - apart @ share
    if options.robust:
        residual = within(residual[None])[0]
    covariance = kriging.fit_covariance(known, residual, options.seed)
    kriged, variance = kriging.krige(known, residual, wanted, covariance, options.neighbours)
    factor = _honesty(known, residual, fold, covariance, options)
    return value + kriged, np.sqrt(factor**2 * variance + disagreement**2)


def _predicted(date: Date, options: Options) -> tuple[Array, Array, NDArray[np.intp]]:
    """Predictions of known cells by what was not fitted to them ``(k, models)``, of wanted ones, and the folds."""
    guess = date.guess[date.known][:, None], date.guess[date.wanted][:, None]
    known, wanted = date.position[date.known], date.position[date.wanted]
    fold = folds_of(known, wanted, options.folds, options.seed)
    if len(known) < FEW or fold.max() == 0:
        return *guess, fold
    columns = _bounded(date.predictors, date.known)
    telling = np.flatnonzero(_tell(columns[date.known], fold))
    columns = columns[:, telling]
    here, there = columns[date.known], columns[date.wanted]
    line, regression = ridge.cross_fitted(here, date.values, fold)
    grown, new = trees.cross_fitted(here, date.values, fold, there, options.seed)
    return (
        np.column_stack([guess[0], line, grown]),
        np.column_stack([guess[1], regression(there), new]),
        fold,
    )


def _bounded(predictors: Array, known: NDArray[np.intp]) -> Array:
    """Predictors about the mean of the known cells in units of their deviation, held near the range they have there."""
    low, high = np.quantile(predictors[known], _TAILS, axis=0)
    margin = BEYOND * (high - low)
    return ridge.scaled(np.clip(predictors, low - margin, high + margin), known)


def _tell(predictors: Array, fold: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Predictors that vary in the rest of each fold ``(p,)``."""
    rests = [predictors[fold != number] for number in np.unique(fold)]
    vary: NDArray[np.bool_] = np.all([np.ptp(rest, axis=0) > 0 for rest in rests], axis=0)
    return vary


def _honesty(
    known: Array, residual: Array, fold: NDArray[np.intp], covariance: kriging.Covariance, options: Options
) -> float:
    """Kriged errors of known cells over the deviation that kriging gives them, each from other folds."""
    step = -(-len(known) // _CHECKED)
    squares = []
    for number in np.unique(fold):
        out = np.flatnonzero(fold == number)[::step]
        rest = fold != number
        if rest.any():
            kriged, variance = kriging.krige(known[rest], residual[rest], known[out], covariance, options.neighbours)
            squares.append((residual[out] - kriged) ** 2 / variance)
    if not squares:
        return _FACTOR[1]
    return float(np.clip(np.sqrt(np.mean(np.concatenate(squares))), *_FACTOR))
