"""The card of a model: everything about it that is not a weight file, as ``model.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from lstfill.model.base import TrainingView
from lstfill.model.calibration import Calibration
from lstfill.preprocess import Scaling

VERSION = 1


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
        calibration: how far off it is; None before calibration.
        provenance: where the model comes from.
        covariates: names of the further variables that explain the target.
        tiles: ``side`` and ``overlap`` in cells of the tiles that a model of reach TILE is asked for; None for others.
    """

    model: str
    target: str
    features: tuple[str, ...]
    units: Mapping[str, str]
    scaling: Scaling
    ranges: Mapping[str, tuple[float, float]]
    impute: Mapping[str, float]
    parameters: Mapping[str, Any]
    calibration: Calibration | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    covariates: tuple[str, ...] = ()
    tiles: Mapping[str, int] | None = None

    @classmethod
    def of(
        cls, model: str, view: TrainingView, parameters: Mapping[str, Any], tiles: Mapping[str, int] | None = None
    ) -> Self:
        """The card of a model just fitted to a view; covariates are for models that see tiles."""
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
            covariates=view.covariates if tiles else (),
            tiles=tiles,
        )

    def with_calibration(self, calibration: Calibration) -> Self:
        """The same card with that calibration."""
        return replace(self, calibration=calibration)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, in the order one reads them."""
        return {
            "lstfill_model": VERSION,
            "model": self.model,
            "target": {"name": self.target, "units": self.units[self.target]},
            "features": [self._feature(name) for name in self.features],
            "covariates": list(self.covariates),
            "tiles": None if self.tiles is None else dict(self.tiles),
            "parameters": dict(self.parameters),
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
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
            calibration=None if values["calibration"] is None else Calibration.from_dict(values["calibration"]),
            provenance=values["provenance"],
            covariates=tuple(values.get("covariates", ())),
            tiles=values.get("tiles"),
        )


@dataclass
class Carded:
    """A model as far as its card goes.

    Attributes:
        fitted: the card, None before ``fit``.
    """

    fitted: Card | None = None

    @property
    def card(self) -> Card:
        """All that is known of the fitted model, in plain values.

        Raises:
            RuntimeError: before ``fit`` or ``load``.
        """
        if self.fitted is None:
            raise RuntimeError("the model is not fitted: call fit, or load one")
        return self.fitted
