"""Calibrates fitted models on artificial gaps, tile by tile on any engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lstfill.gaps import PARTS
from lstfill.model import (
    Calibration,
    Model,
    Residuals,
    calibration_gaps,
    fit_calibration,
    predict_dates,
    residuals_of,
    without_part,
)
from lstfill.model.residuals import residuals_of_samples

if TYPE_CHECKING:
    from lstfill.model import Tile, TrainingView
    from lstfill.modelconfig import Calibration as Options
    from lstfill.steps.learning import WorkedTiles


def on_samples(model: Any, view: TrainingView) -> Calibration:
    """How far a model of features alone is off on the validation part.

    Args:
        model: of reach CELL, fitted.
        view: what it was fitted to, with the coordinates of the cube.
    """
    return fit_calibration(_residuals(model, view), model.reach, "values of the validation part")


def _residuals(model: Any, view: TrainingView) -> Iterator[Residuals]:
    if view.axes is None:
        raise ValueError("the view has no coordinates")
    for number in range(len(view.validation)):
        x, y = view.validation.read(number)
        columns = dict(zip(model.card.features, x.T, strict=True))
        yield residuals_of_samples(model.predict_columns(columns) - y, view.validation.cells(number), view.axes)


def on_tiles(model: Model, tiles: WorkedTiles, options: Options) -> Calibration:
    """How far a model is off where gaps are cut into tiles; each tile is filled several times.

    Args:
        model: fitted.
        tiles: to cut gaps into, and the workers that fill them.
        options: how often each is filled, and the seed of the gaps.

    Raises:
        DataError: no gap shows an error.
    """
    items = itertools.product(range(len(tiles)), range(options.rounds))
    residuals = tiles.map(_Filling(model, tiles.tiles.numbers, options.seed), items)
    part = "the validation part" if model.fits_samples else "the train and validation parts"
    return fit_calibration(residuals, model.reach, f"artificial gaps in {part}")


@dataclass(frozen=True)
class _Filling:
    """What a worker needs to fill a tile whose values are known."""

    model: Model
    numbers: Sequence[int]
    seed: int

    def __call__(self, tile: Tile, number: int, turn: int) -> Residuals:
        """Errors of one tile and turn."""
        gaps = calibration_gaps(tile.chunk, self.seed, self.numbers[number], turn)
        dates = np.asarray(gaps.any(axis=(1, 2)))
        # A date that a model learned from would look better than others will.
        model = without_part(self.model, turn % PARTS)
        prediction = predict_dates(model, tile.chunk.hiding(gaps), dates)
        return residuals_of(prediction, tile, gaps, self.model)
