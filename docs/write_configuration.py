"""Writes docs/configuration.md from the schema, so that the page cannot fall behind the code."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lstfill.config import Config

PAGE = Path(__file__).with_name("configuration.md")

HEAD = """# Configuration

One YAML file describes a run; `pipelines/configs/` has five to start from. Unknown keys are refused, and every key but
`source.uri` has a default. `${LSTFILL_NAME:-default}` in a text is taken from the environment. Credentials never stand
here: they come from `LSTFILL_S3_ACCESS_KEY_ID`, `LSTFILL_S3_SECRET_ACCESS_KEY`, `LSTFILL_S3_ENDPOINT_URL` and
`LSTFILL_S3_REGION`, or from the `AWS_` variables of the same names. A source in another store than the workspace takes
`LSTFILL_SOURCE_S3_` variables before them.

In the pipeline's parameters a key is `section_key`, for instance `train_epochs`; the rarer keys of a section travel in
its `section_options`.

This page is written by `make docs` from the schema in `src/lstfill/config.py` and the modules of its sections.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_section(name, field) for name, field in Config.model_fields.items())


def _section(name: str, field: FieldInfo) -> str:
    model = _model(field)
    lines = [
        f"| `{key}` | {kind} | {unit} | {default} | {text} |" for key, kind, unit, default, text in _rows(model, "")
    ]
    head = f"\n## {name}\n\n{model.__doc__}\n\n| key | type | unit | default | meaning |\n|---|---|---|---|---|\n"
    return head + "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str, str]]:
    for name, field in model.model_fields.items():
        if _model(field):
            yield from _rows(_model(field), f"{prefix}{name}.")
        else:
            unit = _unit(name, f"{prefix}{name}", field)
            yield f"{prefix}{name}", _kind(field.annotation), unit, _default(field), field.description or ""


def _model(field: FieldInfo) -> Any:
    is_model = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    return field.annotation if is_model else None


def _kind(annotation: Any) -> str:
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
    if annotation in names:
        return names[annotation]
    origin, inner = getattr(annotation, "__origin__", None), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _kind(inner[0])
    if origin is list:
        return f"list of: {_kind(inner[0])}"
    if origin is tuple:
        return f"list of {len(inner)}: {_kind(inner[0])}"
    if origin is dict:
        return f"mapping of {_kind(inner[0])} to {_kind(inner[1])}"
    choices = [_kind(item) if _is_type(item) else f"`{item}`" for item in inner]
    return " or ".join(choices)


def _is_type(item: Any) -> bool:
    return isinstance(item, type) or hasattr(item, "__args__")


def _unit(name: str, path: str, field: FieldInfo) -> str:
    if path.startswith(("block.", "buffer.", "chunks.")):
        return "cells"
    for suffix, unit in {"_deg": "degree", "_k": "K", "_s": "s"}.items():
        if name.endswith(suffix):
            return unit
    if field.annotation is float and "share" in (field.description or ""):
        return "1"
    return ""


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "null"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return f"`{text}`".replace("'", "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
