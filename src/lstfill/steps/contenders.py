"""The models that an evaluation scores, and where their values come from."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lstfill.config import Cluster, Tracking
from lstfill.evaluate.estimates import Estimate
from lstfill.evaluate.visible import ScoredSet, as_seen_for, sets_of
from lstfill.model import Reach
from lstfill.steps import models
from lstfill.steps.provenance import refuse_foreign
from lstfill.steps.sampling import waiting_place
from lstfill.storage.address import join
from lstfill.storage.scratch import scratch_directory

if TYPE_CHECKING:
    from lstfill.compute.engine import Engine
    from lstfill.cube import Chunk
    from lstfill.evaluate.land import LandCells
    from lstfill.model import Model, Prediction
    from lstfill.steps.reader import Reader
    from lstfill.steps.tiling import Blended

COMPARED = "compared"
"""Where in a model directory those lie that were fitted beside the one that fills."""


def fitted(address: str, tracking: Tracking, reader: Reader) -> dict[str, Model]:
    """The models of a directory of step train: the one that fills first, then its members and those compared with it.

    Args:
        address: of the directory.
        tracking: where the registry is.
        reader: of the cube to score on.

    Raises:
        StoreError: if there is no whole model.
        DataError: if a model was made for other variables.
    """
    from lstfill import model as models_of

    refuse_foreign(address, "train", "the model")
    with scratch_directory() as scratch:
        directory = models.fetch(address, tracking, scratch)
        main = models_of.load(directory)
        beside = sorted((directory / COMPARED).iterdir()) if (directory / COMPARED).is_dir() else []
        rivals = {place.name: models_of.load(place) for place in beside}
    found = {main.name: main, **_members(main), **rivals}
    for model in found.values():
        models.refuse_other_variables(address, model.card, reader.target, reader.features)
    return found


def _members(model: Model) -> Mapping[str, Model]:
    from lstfill.model.ensemble import EnsembleModel

    return model.members() if isinstance(model, EnsembleModel) else {}


@contextmanager
def entered(
    engine: Engine, reader: Reader, fitted_models: Mapping[str, Model], output: str, cluster: Cluster
) -> Iterator[dict[str, Contender]]:
    """The models ready to be scored; those of neighbours fill the cube once for each scored set.

    Args:
        engine: where tiles are filled.
        reader: of cube, mask and split.
        fitted_models: by name, the one that fills first.
        output: address beside which filled tiles wait where workers share no disk.
        cluster: where the workers are.
    """
    with ExitStack() as stack:
        contenders = {}
        for name, model in fitted_models.items():
            filled: dict[ScoredSet, Blended] = {}
            if model.reach is Reach.TILE:
                place = stack.enter_context(waiting_place(join(output, name), cluster))
                filled = {scored: _fill(engine, reader, model, scored, place) for scored in sets_of(reader.held_out)}
            contenders[name] = Contender(model, filled)
        yield contenders


def _fill(engine: Engine, reader: Reader, model: Model, scored: ScoredSet, place: str) -> Blended:
    from lstfill.steps.tiling import fill_tiles

    return fill_tiles(engine, reader, model, scored, join(place, scored))


@dataclass(frozen=True)
class Contender:
    """A model to score.

    Attributes:
        model: the fitted model.
        filled: for a model of reach TILE its blended tiles by scored set, which differ with what was hidden.
    """

    model: Model
    filled: Mapping[ScoredSet, Blended] = field(default_factory=dict)

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
