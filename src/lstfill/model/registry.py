"""The models there are, by name."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast, get_args

from lstfill.errors import ConfigError, StoreError
from lstfill.model.base import Model
from lstfill.model.directory import read_card
from lstfill.modelconfig import ModelName

# Imported when one is asked for: a line needs no scikit-learn.
_CLASSES: dict[ModelName, tuple[str, str]] = {
    "linear": ("lstfill.model.linear", "LinearModel"),
    "mlp": ("lstfill.model.mlp", "MlpModel"),
    "harmonic": ("lstfill.model.harmonic", "HarmonicModel"),
    "boosting": ("lstfill.model.boosting", "BoostingModel"),
    "local": ("lstfill.model.local", "LocalModel"),
    "ensemble": ("lstfill.model.ensemble", "EnsembleModel"),
}


def names() -> list[str]:
    """Names that ``create`` knows."""
    return sorted(get_args(ModelName))


def create(name: str) -> Model:
    """An unfitted model.

    Raises:
        ConfigError: there is no model of that name.
    """
    if name not in _CLASSES:
        raise ConfigError(f"no model {name!r}, known: {', '.join(names())}")
    return cast("Model", _class_of(name)())


def load(directory: Path) -> Model:
    """A fitted model from its directory, whichever it is.

    Raises:
        StoreError: there is no whole model in the directory, or one that this version does not know.
    """
    card = read_card(directory)
    if card.model not in _CLASSES:
        raise StoreError(f"{directory} holds a model {card.model!r}, this lstfill knows: {', '.join(names())}")
    return cast("Model", _class_of(card.model).load(directory))


def _class_of(name: str) -> Any:
    module, attribute = _CLASSES[cast("ModelName", name)]
    return getattr(importlib.import_module(module), attribute)
