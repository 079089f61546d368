"""A multilayer perceptron on features, position and season, with its scaling inside."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.config import Train
from lstfill.errors import ConfigError
from lstfill.model import network as networks
from lstfill.model import place
from lstfill.model.base import Axes, Fitter, History, Prediction, Reach, TrainingView
from lstfill.model.card import Card, Carded
from lstfill.model.columns import Columns, column, outside
from lstfill.model.directory import read_model, write_model
from lstfill.model.network import Layer
from lstfill.modelconfig import Mlp

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.model.calibration import Calibration

LAYERS = "layers.npz"


@dataclass
class MlpModel(Carded):
    """A network fitted by Keras, predicted by numpy.

    Attributes:
        archive: the ``.keras`` file of the network.
        layers: kernel and bias of each dense layer.
    """

    name: ClassVar[str] = "mlp"
    fits_samples: ClassVar[bool] = True
    archive: bytes = b""
    layers: tuple[Layer, ...] = field(default=(), compare=False)

    @property
    def reach(self) -> Reach:
        """PLACE with coordinates or season, CELL without; of a model not fitted yet, PLACE."""
        return Reach.PLACE if self.fitted is None or self._place() else Reach.CELL

    def fit(self, view: TrainingView, config: Train, fitter: Fitter) -> History:
        """Fits a network with the hidden layers of ``train.mlp`` to the samples of the view.

        Args:
            view: what to learn from.
            config: epochs, patience and seed; all else is in its section ``mlp``.
            fitter: how weights are fitted, ``lstfill.train.KerasFitter``.

        Raises:
            ConfigError: there is nothing to learn from: neither a feature, nor coordinates, nor season.
            DataError: the view has no samples to train or to validate on.
        """
        placed, scaling = _placed(view, config.mlp)
        network = build(placed, scaling, config.mlp, config.seed)
        own = {"learning_rate": config.mlp.learning_rate, "batch_size": config.mlp.batch_size}
        history = fitter(network, placed, config.model_copy(update=own))
        layers = networks.dense_layers(network)
        parameters = {
            "options": config.mlp.model_dump(mode="json"),
            "place": scaling,
            "layers_sha256": hashlib.sha256(_packed(layers)).hexdigest(),
        }
        self.fitted = Card.of(self.name, view, parameters)
        self.archive, self.layers = networks.to_bytes(network), layers
        return history

    def predict(self, chunk: Chunk) -> Prediction:
        """Predicts the land cells of a chunk, observed ones too, in K; NaN elsewhere, and where a feature is missing.

        The bits do not depend on the window: a cell's value comes from its own columns by operations on each number.

        Args:
            chunk: cells of any window, with at least the features of the model.

        Raises:
            DataError: the chunk lacks a feature.
        """
        value = np.full(chunk.target.shape, np.nan, np.float32)
        cells = np.flatnonzero(np.broadcast_to(chunk.land, value.shape))
        np.put(value, cells, self._at(chunk, cells))
        return Prediction(value, None)

    def _at(self, chunk: Chunk, cells: NDArray[np.intp]) -> NDArray[np.float32]:
        columns = {name: np.take(values, cells) for name, values in chunk.features.items()}
        return self.predict_columns(columns | place.at(_axes(chunk), cells, tuple(self._place())))

    def predict_columns(self, columns: Columns) -> NDArray[np.float32]:
        """Predicts from arrays of one shape by name; NaN where a feature is missing and not imputed.

        Args:
            columns: the features, and ``lat``, ``lon_sine``, ``lon_cosine``, ``day_sine`` and ``day_cosine`` as far as
                the options ask for them.

        Raises:
            DataError: a column is missing.
        """
        names = (*self.card.features, *self._place())
        given = [column(columns, name, self.card)[0] for name in names]
        offset, scale = self._scaling()
        scaled = (
            ((of.astype(np.float64) - o) / s).astype(np.float32) for of, o, s in zip(given, offset, scale, strict=True)
        )
        inputs = np.stack([of.ravel() for of in scaled])
        offset_out, scale_out = self.card.scaling.arrays([self.card.target])
        value = offset_out + scale_out * networks.forward(self.layers, inputs)
        return value.astype(np.float32).reshape(given[0].shape)

    def extrapolated(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Where a feature, the place or the day lies outside the range trained on, or a feature is imputed.

        A cell ``(time, lat, lon)`` that cannot be predicted for a missing feature is not extrapolated.
        """
        beyond = outside(chunk.features, self.card, chunk.target.shape)
        columns = place.along(_axes(chunk))
        for name, of in self._place().items():
            axis, values = columns[name]
            low, high = of["range"]
            shape = [len(values) if axis == number else 1 for number in range(3)]
            beyond |= ((values < low) | (values > high)).reshape(shape)
        return beyond

    def calibrate(self, calibration: Calibration) -> MlpModel:
        """The same model with that calibration."""
        return replace(self, fitted=self.card.with_calibration(calibration))

    def network(self) -> Any:
        """The Keras network: columns ``(n, f)`` in stored units to the target ``(n, 1)`` in K."""
        return networks.from_bytes(self.archive)

    def example(self, rows: int = 5) -> dict[str, NDArray[np.float32]]:
        """Columns to try the model on, by name ``(rows,)``: spread over the range trained on."""
        ranges = {name: self.card.ranges[name] for name in self.card.features}
        ranges |= {name: of["range"] for name, of in self._place().items()}
        return {name: np.linspace(low, high, rows, dtype=np.float32) for name, (low, high) in ranges.items()}

    def save(self, directory: Path) -> None:
        """Writes ``model.keras`` and ``layers.npz``, then ``model.json``."""
        write_model(self.card, directory, {networks.FILE: self.archive, LAYERS: _packed(self.layers)})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads what ``save`` wrote, without importing Keras.

        Raises:
            StoreError: there is no whole model in the directory.
        """
        card, weights = read_model(directory)
        return cls(card, weights[networks.FILE], _unpacked(weights[LAYERS]))

    def _place(self) -> dict[str, dict[str, Any]]:
        place_scaling: dict[str, dict[str, Any]] = self.card.parameters["place"]
        return place_scaling

    def _scaling(self) -> tuple[list[float], list[float]]:
        offset, scale = (of.tolist() for of in self.card.scaling.arrays(self.card.features))
        further = self._place().values()
        return [*offset, *(of["offset"] for of in further)], [*scale, *(of["scale"] for of in further)]


def build(view: TrainingView, scaling: dict[str, dict[str, Any]], options: Mlp, seed: int) -> Any:
    """The network, unfitted: scaling, hidden layers with ReLU, one Dense(1), scaling back; built-in layers only.

    Args:
        view: features with the columns of date and place, and the scaling of the features.
        scaling: of the columns of date and place.
        options: hidden layers.
        seed: seed of the initial weights (He et al. 2015, doi:10.1109/ICCV.2015.123).
    """
    keras = networks.import_keras()
    features = [name for name in view.features if name not in scaling]
    offset, scale = view.scaling.arrays(features)
    offset = np.concatenate([offset, [of["offset"] for of in scaling.values()]])
    scale = np.concatenate([scale, [of["scale"] for of in scaling.values()]])
    inputs, hidden = networks.scaled_input(keras, offset, scale)
    for number, units in enumerate(options.hidden):
        initializer = keras.initializers.HeUniform(seed=(seed + number) % 2**32)
        layer = keras.layers.Dense(units, "relu", kernel_initializer=initializer, name=f"hidden_{number + 1}")
        hidden = layer(hidden)
    initializer = keras.initializers.GlorotUniform(seed=(seed + len(options.hidden)) % 2**32)
    line = keras.layers.Dense(1, kernel_initializer=initializer, name="line")(hidden)
    (target_offset,), (target_scale,) = view.scaling.arrays([view.target])
    outputs = keras.layers.Rescaling(float(target_scale), float(target_offset), name="unscale")(line)
    return keras.Model(inputs, outputs, name="mlp")


def _placed(view: TrainingView, options: Mlp) -> tuple[TrainingView, dict[str, dict[str, Any]]]:
    """The view with columns of date and place as further features, and their scaling."""
    names = place.names_of(options)
    if not (view.features or names):
        raise ConfigError(
            "train.model 'mlp' has nothing to learn from: name a feature in source.features, "
            "or set train.mlp.coordinates or train.mlp.season"
        )
    if not names:
        return view, {}
    if view.axes is None:
        raise ValueError("the view has no axes: coordinates and season are made from them")
    train, validation = (place.PlacedShards(of, view.axes, names) for of in (view.train, view.validation))
    placed = replace(view, train=train, validation=validation, features=(*view.features, *names))
    return placed, place.scaling_of(view.axes, names)


def _axes(chunk: Chunk) -> Axes:
    return Axes(chunk.time, chunk.lat, chunk.lon)


def _packed(layers: tuple[Layer, ...]) -> bytes:
    """Arrays in one file, the same bytes each time."""
    buffer = io.BytesIO()
    arrays = {
        f"{what}_{number}": of for number, layer in enumerate(layers) for what, of in zip("wb", layer, strict=True)
    }
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _unpacked(content: bytes) -> tuple[Layer, ...]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return tuple((arrays[f"w_{number}"], arrays[f"b_{number}"]) for number in range(len(arrays.files) // 2))
