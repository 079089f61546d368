"""The models there are, by name."""

from __future__ import annotations

from pathlib import Path

from lstfill.errors import ConfigError, StoreError
from lstfill.model.base import Model
from lstfill.model.card import read_card
from lstfill.model.linear import LinearModel

_MODELS: dict[str, type[Model]] = {LinearModel.name: LinearModel}


def names() -> list[str]:
    """Names that ``create`` knows."""
    return sorted(_MODELS)


def create(name: str) -> Model:
    """An unfitted model.

    Raises:
        ConfigError: there is no model of that name.
    """
    if name not in _MODELS:
        raise ConfigError(f"no model {name!r}, known: {', '.join(names())}")
    return _MODELS[name]()


def load(directory: Path) -> Model:
    """A fitted model from its directory, whichever it is.

    Raises:
        StoreError: there is no whole model in the directory, or one that this version does not know.
    """
    card, _ = read_card(directory)
    if card.model not in _MODELS:
        raise StoreError(f"{directory} holds a model {card.model!r}, this lstfill knows: {', '.join(names())}")
    return _MODELS[card.model].load(directory)
