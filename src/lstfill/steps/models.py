"""Model directories of the workspace and of the registry."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lstfill.config import Tracking
from lstfill.storage import objects

if TYPE_CHECKING:
    from lstfill.model import Model

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


def load(address: str, tracking: Tracking) -> Model:
    """A fitted model, wherever it is; see ``fetch``."""
    from lstfill import model

    with tempfile.TemporaryDirectory(prefix="lstfill-") as scratch:
        return model.load(fetch(address, tracking, Path(scratch)))
