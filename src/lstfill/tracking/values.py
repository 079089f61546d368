"""From nested mappings to the flat names and short values that MLflow takes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lstfill.tracking.uri import redact

# Limits of MLflow 3 (mlflow.utils.validation: MAX_PARAM_VAL_LENGTH, MAX_ENTITY_KEY_LENGTH).
LONGEST_VALUE = 6000
LONGEST_NAME = 250
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]", flags=re.ASCII)


def flatten(values: Mapping[str, Any], separator: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields each leaf of a nested mapping under its joined name, in the order of the mapping."""
    for key, value in values.items():
        name = f"{prefix}{separator}{key}" if prefix else str(key)
        if isinstance(value, Mapping) and value:
            yield from flatten(value, separator, name)
        else:
            yield name, value


def parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """The configuration as parameters: ``section.key`` to text, secrets of addresses removed, long values cut."""
    return {name[:LONGEST_NAME]: _short(_text(value)) for name, value in flatten(config, ".")}


def metrics(values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of a nested mapping under ``a/b`` names; what is None, not finite or no number is left out."""
    numbers = ((name, _number(value)) for name, value in flatten(values, "/"))
    return {_NOT_IN_NAMES.sub("_", name)[:LONGEST_NAME]: number for name, number in numbers if number is not None}


def _number(value: Any) -> float | None:
    if isinstance(value, str) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    return redact(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))


def _short(text: str) -> str:
    if len(text) <= LONGEST_VALUE:
        return text
    note = f" … ({len(text)} characters, in full in config.json)"
    return text[: LONGEST_VALUE - len(note)] + note
