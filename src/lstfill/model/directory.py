"""The directory of a model: weight files, and beside them its card with their digests as ``model.json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstfill.errors import StoreError
from lstfill.model.card import VERSION, Card

FILE = "model.json"
_OLD_DIGEST = "keras_sha256"


def write_model(card: Card, directory: Path, weights: Mapping[str, bytes]) -> None:
    """Writes the weight files, then ``model.json``, last of all files of the directory.

    Args:
        card: the fitted model.
        directory: made if needed.
        weights: contents by name; their digests are kept, so that files of two models cannot be mixed up.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in weights.items():
        (directory / name).write_bytes(content)
    files = {name: _digest(content) for name, content in weights.items()}
    text = json.dumps({**card.to_dict(), "files": files}, indent=2, allow_nan=False)
    partial = directory / (FILE + ".partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(directory / FILE)


def read_model(directory: Path) -> tuple[Card, dict[str, bytes]]:
    """Reads the card and the weight files that it speaks of, by name.

    Raises:
        StoreError: the directory or a file is not there, or not a model's, or of a later version, or another one.
    """
    card, digests = _read(directory)
    return card, {name: _read_weights(directory / name, expected) for name, expected in digests.items()}


def read_card(directory: Path) -> Card:
    """Reads the card alone.

    Raises:
        StoreError: the directory or the file is not there, or not a model's, or of a later version.
    """
    return _read(directory)[0]


def _read(directory: Path) -> tuple[Card, dict[str, str]]:
    file = directory / FILE
    values = _read_json(file)
    version = values.get("lstfill_model") if isinstance(values, dict) else None
    if version is None:
        raise StoreError(f"{file} is not a model of lstfill: it has no key 'lstfill_model'; give a directory of train")
    if version != VERSION:
        raise StoreError(f"{file} is of format {version}, this lstfill reads {VERSION}: use the lstfill that wrote it")
    try:
        return Card.from_dict(values), _digests(values)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{file} is damaged ({type(error).__name__}: {error}): train again, or take a copy") from error


def _digests(values: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the weight files by name; the first models had one file and one key for it."""
    if _OLD_DIGEST in values:
        return {"model.keras": str(values[_OLD_DIGEST])}
    return {str(name): str(digest) for name, digest in values["files"].items()}


def _read_weights(file: Path, expected: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({error.strerror}): the model is not whole, train again") from error
    if _digest(content) != expected:
        raise StoreError(
            f"{file} has SHA-256 {_digest(content)[:12]}…, model.json says {expected[:12]}…: "
            "the file was damaged or exchanged; train again, or take a copy"
        )
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
