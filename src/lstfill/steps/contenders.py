"""The models that an evaluation scores, and where their values come from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.evaluate.estimates import Estimate
from lstfill.evaluate.visible import ScoredSet, as_seen_for, sets_of
from lstfill.model import Reach

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.evaluate.land import LandCells
    from lstfill.model import Model, Prediction


@dataclass(frozen=True)
class Contender:
    """A model to score.

    Attributes:
        model: the fitted model.
        filled: for a model of reach TILE its blended tiles by scored set, which differ with what was hidden.
    """

    model: Model
    filled: Mapping[ScoredSet, Any] = field(default_factory=dict)

    def estimates(self, chunk: Chunk, land: LandCells) -> dict[ScoredSet, Estimate]:
        """What the model says of a window's land cells, by scored set."""
        sets = sets_of(chunk.held_out is not None)
        if self.model.reach is Reach.CELL:
            prediction = self.model.predict(land.chunk)
            # Its own spread stands in the order of the land cells: a line has none.
            value, prediction = prediction.value, replace(prediction, spread=None)
            return {name: self._estimate(value, prediction, chunk, name) for name in sets}
        if self.model.reach is Reach.PLACE:
            prediction = self.model.predict(chunk)
            value = land.of_window(prediction.value)
            return {name: self._estimate(value, prediction, chunk, name) for name in sets}
        predictions = {name: self.filled[name].predict(chunk) for name in sets}
        return {name: self._estimate(land.of_window(of.value), of, chunk, name) for name, of in predictions.items()}

    def extrapolated(self, chunk: Chunk, land: LandCells) -> NDArray[np.bool_]:
        """Where the land cells' values are extrapolated ``(time, n, 1)``."""
        if self.model.reach is Reach.CELL:
            return self.model.extrapolated(land.chunk)
        if self.model.reach is Reach.PLACE:
            return land.of_window(self.model.extrapolated(chunk))
        return land.of_window(list(self.filled.values())[-1].extrapolated(chunk))

    def _estimate(
        self, value: NDArray[np.floating], prediction: Prediction, chunk: Chunk, scored: ScoredSet
    ) -> Estimate:
        calibration = self.model.card.calibration
        if calibration is None:
            return Estimate(value)
        seen = as_seen_for(chunk, scored)
        return Estimate(value, functools.partial(calibration.half_widths, seen, prediction))
