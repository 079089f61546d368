"""Model directories of the workspace and of the registry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from lstfill.config import Tracking
from lstfill.errors import DataError
from lstfill.steps.provenance import refuse_foreign
from lstfill.storage import objects
from lstfill.storage.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lstfill.model import Card, Model

REGISTRY = "models:/"


def fetch(address: str, tracking: Tracking, into: Path) -> Path:
    """Brings a model directory to this machine.

    Args:
        address: of a model directory, or ``models:/name@alias`` in the registry.
        tracking: where the registry is.
        into: local directory to put it under.

    Raises:
        StoreError: if there is no model at the address.
        TrackingError: if the registry or the model in it cannot be found.
    """
    if address.startswith(REGISTRY):
        from lstfill.tracking import fetch_model, resolve_uri

        return fetch_model(address, resolve_uri(tracking, None), into)
    directory = into / "model"
    objects.get_tree(address, directory)
    return directory


def load(address: str, tracking: Tracking, target: str, features: Sequence[str]) -> Model:
    """A fitted model, wherever it is; see ``fetch``.

    Args:
        address: of what step ``train`` wrote, or ``models:/name@alias`` in the registry.
        tracking: where the registry is.
        target: name of the cube's target.
        features: names of the cube's features.

    Raises:
        StoreError: if there is no whole model at the address.
        TrackingError: if the registry or the model in it cannot be found.
        DataError: if the model was made for other variables.
    """
    from lstfill import model

    if not address.startswith(REGISTRY):
        refuse_foreign(address, "train", "the model")
    with scratch_directory() as scratch:
        fitted = model.load(fetch(address, tracking, scratch))
    refuse_other_variables(address, fitted.card, target, features)
    return fitted


def refuse_other_variables(address: str, card: Card, target: str, features: Sequence[str]) -> None:
    """Refuses a model whose target or features are not those of the cube.

    Raises:
        DataError: naming both.
    """
    if (card.target, *card.features) != (target, *features):
        fact = f"made for {card.target} from {', '.join(card.features)}"
        found = f"the cube has {target} from {', '.join(features)}"
        raise DataError(address, [f"{fact}, {found}: name the variables alike, or train a model"])


def digest(model: Model) -> str:
    """What tells a fitted model from another, wherever it is kept."""
    text = json.dumps(model.card.to_dict(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
