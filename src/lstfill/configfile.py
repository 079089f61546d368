"""Configuration files: YAML, with a few environment variables in place of what differs from machine to machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from lstfill.config import Config, build
from lstfill.errors import ConfigError

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z0-9_]+)(?::-(?P<default>[^}]*))?\}")
_ALLOWED = re.compile(r"LSTFILL_(?!S3_)[A-Z0-9_]+")


def load(path: Path | str) -> Config:
    """Reads and checks a configuration file.

    ``${LSTFILL_NAME:-default}`` in a text is replaced by the environment variable or its default. Only names that start
    with LSTFILL_ and hold no credentials are taken, because a configuration is recorded with every run.

    Raises:
        ConfigError: if the file is missing, is no YAML mapping, or does not fit the schema.
    """
    values = read_mapping(Path(path), "configuration", "sections: start with 'source:'")
    return build(Config, _expand(values, str(path)), origin=str(path))


def read_mapping(path: Path, name: str, wanted: str) -> dict[str, Any]:
    """Reads a YAML file that holds keys and values.

    Args:
        path: the file.
        name: what it is called in messages.
        wanted: what is expected in it, and how it starts, for messages.

    Raises:
        ConfigError: if the file is missing or is no YAML mapping.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the {name} {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds {type(values).__name__}, not {wanted}")
    return values


def _expand(value: Any, origin: str) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, origin) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, origin) for item in value]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _lookup(match, origin), value)
    return value


def _lookup(match: re.Match[str], origin: str) -> str:
    name, default = match["name"], match["default"]
    if not _ALLOWED.fullmatch(name):
        raise ConfigError(
            f"{origin}: ${{{name}}} is not taken from the environment: only LSTFILL_ names without secrets are"
        )
    found = os.environ.get(name, default)
    if found is None:
        raise ConfigError(f"{origin}: the environment variable {name} is not set and has no default: set it")
    return found
