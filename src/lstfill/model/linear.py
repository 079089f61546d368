"""The published use case: one Dense(1) on the features, with its scaling inside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.config import Train
from lstfill.errors import ConfigError
from lstfill.model import network as networks
from lstfill.model.base import Fitter, History, Prediction, Reach, TrainingView
from lstfill.model.card import Card, Carded
from lstfill.model.columns import Columns, column, outside
from lstfill.model.directory import read_model, write_model

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.model.calibration import Calibration

ENOUGH_TRAVEL = 200.0
"""Sum of learning rates, over all steps, after which a line has its best weights: 2000 steps at 0.1.

Adam moves a weight by about one learning rate a step, and scaled weights are about 1. The rest lets the rate decay, on
which the last tenth of a per cent depends, and not on passes: one over a thousand batches is enough too.
"""


@dataclass
class LinearModel(Carded):
    """A line in the features: fitted by Keras, predicted by numpy with coefficients folded to stored units.

    Attributes:
        archive: the ``.keras`` file of the network.
    """

    name: ClassVar[str] = "linear"
    reach: ClassVar[Reach] = Reach.CELL
    fits_samples: ClassVar[bool] = True
    archive: bytes = b""

    def fit(self, view: TrainingView, config: Train, fitter: Fitter) -> History:
        """Fits one Dense(1) to the samples of the view.

        Args:
            view: what to learn from.
            config: learning rate, epochs, seed and so on; where the samples are many, fewer epochs are enough.
            fitter: how weights are fitted, ``lstfill.train.KerasFitter``.

        Raises:
            ConfigError: the view has no features.
            DataError: the view has no samples to train or to validate on.
        """
        if not view.features:
            raise ConfigError("train.model 'linear' needs a feature: name at least one in source.features")
        network = build(view, config.seed)
        history = fitter(network, view, config.model_copy(update={"epochs": enough_epochs(view, config)}))
        self.fitted = Card.of(self.name, view, fold(network, view))
        self.archive = networks.to_bytes(network)
        return history

    def predict(self, chunk: Chunk) -> Prediction:
        """Predicts every cell of a chunk, observed ones too, in K.

        Computed in float64 from float32 features and rounded to float32, operation by operation in numpy, so that the
        bits are the same on every machine.

        Args:
            chunk: cells of any window, with at least the features of the model.

        Raises:
            DataError: the chunk lacks a feature.
        """
        return Prediction(self.predict_columns(chunk.features), None)

    def predict_columns(self, columns: Columns) -> NDArray[np.float32]:
        """Predicts from features alone, arrays of one shape by name; NaN where one is missing and not imputed."""
        card = self.card
        value = np.asarray(card.parameters["intercept"], np.float64)
        for name in card.features:
            feature, _ = column(columns, name, card)
            value = value + card.parameters["slope"][name] * feature.astype(np.float64)
        return np.asarray(value, np.float32)

    def extrapolated(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Where a feature lies outside the range trained on, or is imputed ``(time, lat, lon)``.

        A cell that cannot be predicted for a missing feature is not extrapolated.
        """
        return outside(chunk.features, self.card, chunk.target.shape)

    def calibrate(self, calibration: Calibration) -> LinearModel:
        """The same model with that calibration."""
        return LinearModel(self.card.with_calibration(calibration), self.archive)

    def network(self) -> Any:
        """The Keras network: features ``(n, f)`` in stored units to the target ``(n, 1)`` in K."""
        return networks.from_bytes(self.archive)

    def example(self, rows: int = 5) -> dict[str, NDArray[np.float32]]:
        """Features to try the model on, by name ``(rows,)``: spread over the range trained on."""
        return {name: np.linspace(*self.card.ranges[name], rows, dtype=np.float32) for name in self.card.features}

    def save(self, directory: Path) -> None:
        """Writes ``model.keras``, then ``model.json``."""
        write_model(self.card, directory, {networks.FILE: self.archive})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads what ``save`` wrote, without importing Keras.

        Raises:
            StoreError: there is no whole model in the directory.
        """
        card, weights = read_model(directory)
        return cls(card, weights[networks.FILE])


def enough_epochs(view: TrainingView, config: Train) -> int:
    """Passes over the training samples that a line needs, at most as many as asked for.

    Args:
        view: how many samples there are.
        config: most epochs, batch size and learning rate.
    """
    steps = math.ceil(sum(view.train.sizes) / config.batch_size)
    return min(config.epochs, math.ceil(ENOUGH_TRAVEL / config.learning_rate / max(1, steps)))


def build(view: TrainingView, seed: int) -> Any:
    """The network, unfitted: scaling, one Dense(1), scaling back; built-in layers only, so that plain Keras loads it.

    Args:
        view: features and scaling.
        seed: seed of the initial weights.
    """
    keras = networks.import_keras()
    offset, scale = view.scaling.arrays(view.features)
    (target_offset,), (target_scale,) = view.scaling.arrays([view.target])
    layers = keras.layers
    inputs, scaled = networks.scaled_input(keras, offset, scale)
    initializer = keras.initializers.GlorotUniform(seed=seed % 2**32)
    line = layers.Dense(1, kernel_initializer=initializer, name="line")(scaled)
    outputs = layers.Rescaling(float(target_scale), float(target_offset), name="unscale")(line)
    return keras.Model(inputs, outputs, name="linear")


def fold(network: Any, view: TrainingView) -> dict[str, Any]:
    """Slope of each feature and intercept in stored units, with scaling and weights multiplied out in float64.

    With scaled values ``(x - o) / s``: ``y = o_y + s_y (b + sum w (x - o) / s)``, solved for the factor of each ``x``.
    """
    kernel, bias = (np.asarray(values, np.float64) for values in network.get_layer("line").get_weights())
    offset, scale = view.scaling.arrays(view.features)
    (target_offset,), (target_scale,) = view.scaling.arrays([view.target])
    slope = kernel[:, 0] * target_scale / scale
    intercept = target_offset + target_scale * bias[0] - float((slope * offset).sum())
    return {"slope": dict(zip(view.features, slope.tolist(), strict=True)), "intercept": float(intercept)}
