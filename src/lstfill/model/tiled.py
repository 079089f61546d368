"""What models of reach TILE share: a card, weight files, and where a tile has nothing to go by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.model.base import Fitter, History, Model, Prediction, Reach, TrainingView
from lstfill.model.card import Card, Carded
from lstfill.model.directory import read_model, write_model

if TYPE_CHECKING:
    from lstfill.config import Train
    from lstfill.cube import Chunk
    from lstfill.model.calibration import Calibration


def predict_dates(model: Model, chunk: Chunk, dates: NDArray[np.bool_]) -> Prediction:
    """Predicts some dates of a tile; others may be NaN.

    Args:
        model: fitted.
        chunk: all dates of a tile.
        dates: those that are asked for ``(time,)``.
    """
    return model.predict(chunk, dates) if isinstance(model, TileModel) else model.predict(chunk)


def without_part(model: Model, part: int) -> Model:
    """The model as it is had it not learned from every ``PARTS``-th date, for errors on gaps in those dates.

    Args:
        model: fitted; the same is given back if it learned from no date.
        part: the first of those dates.
    """
    return model.folds[part] if isinstance(model, TileModel) and model.folds else model


@dataclass
class TileModel(Carded):
    """A model that sees all dates of a tile. A subclass sets ``name`` and writes ``predict``.

    Attributes:
        learns: whether ``fit`` learns from tiles.
        weights: contents of its weight files by name.
        folds: the model without each part of the dates, from ``fit`` until it is calibrated; none if it learns nothing.
    """

    name: ClassVar[str]
    learns: ClassVar[bool] = False
    reach: ClassVar[Reach] = Reach.TILE
    weights: dict[str, bytes] = field(default_factory=dict)
    folds: tuple[Model, ...] = ()

    @property
    def fits_samples(self) -> bool:
        """Whether its errors on the train part say nothing: not if it has folds, nor if it learns nothing."""
        return False

    def fit(self, view: TrainingView, config: Train, fitter: Fitter) -> History | None:  # noqa: ARG002 - of the protocol
        """Keeps its options; a model that learns beforehand does so here."""
        self._keep(view, config, {})
        return None

    def predict(self, chunk: Chunk, dates: NDArray[np.bool_] | None = None) -> Prediction:
        """Predicts the land cells of a tile that are not visible.

        Args:
            chunk: all dates of a tile.
            dates: those that are asked for ``(time,)``, all if not given; others may be left NaN to save their cost.
        """
        raise NotImplementedError

    def extrapolated(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Where a value rests on little ``(time, lat, lon)``.

        That is where a feature lies outside the range trained on, where the cell is not visible on any date, and where
        the date shows nothing of the tile.
        """
        visible = chunk.visible()
        blind = np.logical_not(visible.any(axis=0, keepdims=True) & visible.any(axis=(1, 2), keepdims=True))
        for name in self.card.features:
            low, high = self.card.ranges[name]
            blind |= (chunk.features[name] < low) | (chunk.features[name] > high)
        return np.asarray(blind, np.bool_)

    def calibrate(self, calibration: Calibration) -> Self:
        """The same model with that calibration."""
        return replace(self, fitted=self.card.with_calibration(calibration), folds=())

    def save(self, directory: Path) -> None:
        """Writes the weight files and ``model.json``."""
        write_model(self.card, directory, self.weights)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads what ``save`` wrote.

        Raises:
            StoreError: there is no whole model in the directory.
        """
        return cls(*read_model(directory))

    def options(self) -> dict[str, Any]:
        """The model's section of the configuration it was fitted with, in plain values."""
        return dict(self.card.parameters["options"])

    def _keep(self, view: TrainingView, config: Train, weights: dict[str, bytes], **parameters: Any) -> None:
        """Makes the card of a model just fitted."""
        options = getattr(config, self.name).model_dump(mode="json")
        kept = {"options": options, "seed": config.seed, **parameters}
        card = Card.of(self.name, view, kept, tiles=config.tiles.model_dump())
        self.fitted, self.weights = card, weights
