"""Keras networks as bytes, and Keras itself on its TensorFlow backend, imported only when needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.errors import LstfillError

if TYPE_CHECKING:
    from types import ModuleType

FILE = "model.keras"
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Kernel ``(inputs, units)`` and bias ``(units,)`` of a dense layer."""
_AT_ONCE = 1024
"""Cells whose layers are computed together: what is on the way stays in a core's cache."""


def import_keras() -> ModuleType:
    """Keras on TensorFlow; takes some seconds the first time.

    Raises:
        LstfillError: the process has chosen another backend.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Its kernels round differently from machine to machine, and a small network gains nothing from them.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    # Nor from several threads for one small operation, which wait for each other by spinning.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise LstfillError(f"Keras runs on {backend}, models are fitted on tensorflow: set KERAS_BACKEND=tensorflow")
    module: ModuleType = keras
    return module


def to_bytes(network: Any) -> bytes:
    """The ``.keras`` file of a network, without its optimizer."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / FILE
        import_keras().saving.save_model(network, file, include_optimizer=False)
        return file.read_bytes()


def from_bytes(archive: bytes) -> Any:
    """The network of a ``.keras`` file."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / FILE
        file.write_bytes(archive)
        return import_keras().saving.load_model(file, compile=False)


def scaled_input(keras: ModuleType, offset: NDArray[np.float64], scale: NDArray[np.float64]) -> tuple[Any, Any]:
    """Input of features in stored units ``(n, f)``, and what scales them; built-in layers only.

    Args:
        keras: from ``import_keras``.
        offset: of each feature ``(f,)``.
        scale: of each feature ``(f,)``.
    """
    inputs = keras.Input((len(offset),), name="features")
    # Centred before it is divided: 280 K minus the mean is exact in float32, a difference of two quotients is not.
    centred = keras.layers.Normalization(mean=offset, variance=np.ones_like(scale), name="centre")(inputs)
    return inputs, keras.layers.Rescaling((1 / scale).tolist(), name="scale")(centred)


def dense_layers(network: Any) -> tuple[Layer, ...]:
    """Weights of the dense layers of a network, from the input on."""
    dense = [layer for layer in network.layers if isinstance(layer, import_keras().layers.Dense)]
    return tuple((kernel, bias) for kernel, bias in (layer.get_weights() for layer in dense))


def forward(layers: Sequence[Layer], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """What dense layers with ReLU, and a last one without, make of scaled inputs.

    Products are added one input after the other, number by number: a matrix product would round differently with the
    number of cells and with the machine.

    Args:
        layers: the last one of one unit.
        inputs: ``(f, n)``.

    Returns:
        Scaled outputs ``(n,)``.
    """
    value = np.empty(inputs.shape[1], np.float32)
    for start in range(0, len(value), _AT_ONCE):
        rows = inputs[:, start : start + _AT_ONCE]
        for number, layer in enumerate(layers):
            rows = _dense(layer, rows)
            if number < len(layers) - 1:
                np.maximum(rows, 0, out=rows)
        value[start : start + _AT_ONCE] = rows[0]
    return value


def _dense(layer: Layer, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """A dense layer of inputs ``(f, n)``, as ``(units, n)``."""
    kernel, bias = layer
    total = np.repeat(bias[:, None], rows.shape[1], axis=1)
    product = np.empty_like(total)
    for weights, row in zip(kernel, rows, strict=True):
        np.multiply(weights[:, None], row[None], out=product)
        total += product
    return total
