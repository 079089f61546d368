"""Keras networks as bytes, and Keras itself on its TensorFlow backend, imported only when needed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstfill.errors import LstfillError

if TYPE_CHECKING:
    from types import ModuleType

FILE = "model.keras"


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
