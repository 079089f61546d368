"""The card of a model: everything about it that is not a weight file, as ``model.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from lstfill.errors import StoreError
from lstfill.model.base import TrainingView
from lstfill.model.spread import Spread
from lstfill.preprocess import Scaling

FILE = "model.json"
_VERSION = 1


@dataclass(frozen=True)
class Card:
    """A fitted model in plain values.

    Attributes:
        model: name in the registry.
        target: name of the target.
        features: names of the features, in the order of the network's columns.
        units: unit of target and features as stored.
        scaling: offset and scale of target and features, inside the saved network.
        ranges: smallest and largest value of each feature that was trained on.
        impute: what takes the place of a missing feature; empty where such cells are not predicted.
        parameters: what the model predicts with, its own.
        spread: residual spread by latitude band; None before calibration.
        provenance: where the model comes from.
    """

    model: str
    target: str
    features: tuple[str, ...]
    units: Mapping[str, str]
    scaling: Scaling
    ranges: Mapping[str, tuple[float, float]]
    impute: Mapping[str, float]
    parameters: Mapping[str, Any]
    spread: Spread | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: str, view: TrainingView, parameters: Mapping[str, Any]) -> Self:
        """The card of a model just fitted to a view."""
        return cls(
            model=model,
            target=view.target,
            features=view.features,
            units=dict(view.units),
            scaling=view.scaling,
            ranges=dict(view.ranges),
            impute=dict(view.impute),
            parameters=parameters,
            provenance=dict(view.provenance),
        )

    def with_spread(self, spread: Spread) -> Self:
        """The same card with that spread."""
        return replace(self, spread=spread)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, in the order one reads them."""
        return {
            "lstfill_model": _VERSION,
            "model": self.model,
            "target": {"name": self.target, "units": self.units[self.target]},
            "features": [self._feature(name) for name in self.features],
            "parameters": dict(self.parameters),
            "spread": None if self.spread is None else self.spread.to_dict(),
            "scaling": self.scaling.to_dict(),
            "provenance": dict(self.provenance),
        }

    def _feature(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "units": self.units[name],
            "range": list(self.ranges[name]),
            "imputed_with": self.impute.get(name),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what ``to_dict`` wrote.

        Raises:
            KeyError, TypeError, ValueError: the values are not a card.
        """
        features, target = values["features"], values["target"]
        return cls(
            model=values["model"],
            target=target["name"],
            features=tuple(of["name"] for of in features),
            units={of["name"]: of["units"] for of in [target, *features]},
            scaling=Scaling.from_dict(values["scaling"]),
            ranges={of["name"]: (float(of["range"][0]), float(of["range"][1])) for of in features},
            impute={of["name"]: float(of["imputed_with"]) for of in features if of["imputed_with"] is not None},
            parameters=values["parameters"],
            spread=None if values["spread"] is None else Spread.from_dict(values["spread"]),
            provenance=values["provenance"],
        )


def write_card(card: Card, directory: Path, keras_sha256: str) -> None:
    """Writes ``model.json``, last of all files of the directory.

    Args:
        card: the fitted model.
        directory: where the weight file is already.
        keras_sha256: digest of ``model.keras``, so that the two cannot be mixed up.
    """
    text = json.dumps({**card.to_dict(), "keras_sha256": keras_sha256}, indent=2, allow_nan=False)
    partial = directory / (FILE + ".partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(directory / FILE)


def read_card(directory: Path) -> tuple[Card, str]:
    """Reads ``model.json``: the card, and the digest that ``model.keras`` must have.

    Raises:
        StoreError: the directory or the file is not there, or not a model's, or of a later version.
    """
    file = directory / FILE
    values = _read_json(file)
    version = values.get("lstfill_model") if isinstance(values, dict) else None
    if version is None:
        raise StoreError(f"{file} is not a model of lstfill: it has no key 'lstfill_model'; give a directory of train")
    if version != _VERSION:
        raise StoreError(f"{file} is of format {version}, this lstfill reads {_VERSION}: use the lstfill that wrote it")
    try:
        return Card.from_dict(values), str(values["keras_sha256"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{file} is damaged ({type(error).__name__}: {error}): train again, or take a copy") from error


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = sorted(path.name for path in file.parent.iterdir()) if file.parent.is_dir() else None
        found = "the directory does not exist" if there is None else f"there is only {there}"
        raise StoreError(f"no model in {file.parent}: {FILE} is missing, {found}; train first") from None
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error}") from error
    except ValueError as error:
        raise StoreError(f"{file} is damaged, it is not JSON ({error}): train again, or take a copy") from error
