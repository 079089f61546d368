"""From a configuration to the pipeline's flat parameters and back, and their types."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from lstfill.config import Config, Section, build
from lstfill.errors import ConfigError

FLAT = {
    "source": (
        "uri",
        "target",
        "features",
        "covariates",
        "select",
        "time",
        "bbox_deg",
        "endpoint_url",
        "anonymous",
    ),
    "mask": ("kind",),
    "split": ("kind", "block", "fractions", "buffer", "balance", "seed", "held_out_gaps"),
    "preprocess": ("missing", "scaling", "max_samples"),
    "train": (
        "model",
        "compare",
        "pretrained",
        "epochs",
        "batch_size",
        "learning_rate",
        "patience",
        "seed",
        "register_as",
        "alias",
    ),
    "evaluate": ("baselines", "groups", "map_date"),
    "predict": ("zarr_format", "write"),
    "tracking": ("uri", "experiment"),
}
"""What a person varies in a form, by section; the rest of a section travels in its ``_options``."""

_EMPTY: dict[str, Any] = {"time": [], "bbox_deg": []}


def arguments(config: Config, workspace: str) -> dict[str, Any]:
    """The pipeline's arguments for a configuration.

    Kubeflow knows no null: what is not given becomes an empty string or list, which the configuration reads back as
    not given.

    Args:
        config: the checked configuration.
        workspace: where the steps write their stores.
    """
    values: dict[str, Any] = {"workspace": workspace}
    for name, fields in FLAT.items():
        section: Section = getattr(config, name)
        values |= {f"{name}_{field}": _plain(section, field) for field in fields}
        options = section.model_dump(mode="json", exclude=set(fields), exclude_defaults=True)
        if name == "source":
            options |= {"extras": config.carried_extras()}
        if set(type(section).model_fields) - set(fields):
            values[f"{name}_options"] = options
    return values | {"cluster": config.cluster.model_dump(mode="json", exclude_none=True)}


def _plain(section: Section, field: str) -> Any:
    value = section.model_dump(mode="json", exclude_none=True).get(field)
    if value is None:
        return _EMPTY.get(field, "")
    return str(value) if field == "zarr_format" else value


def configuration(values: Mapping[str, Any]) -> Config:
    """The configuration that arguments stand for: what ``arguments`` made, overrides included, checked anew.

    Args:
        values: arguments of the pipeline by name; what is missing takes the configuration's default.

    Raises:
        ConfigError: listing each key that does not fit.
    """
    sections = {name: _section(name, fields, values) for name, fields in FLAT.items()}
    return build(Config, {**sections, "cluster": values.get("cluster", {})}, "parameters")


def _section(name: str, fields: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    flat = {field: values[f"{name}_{field}"] for field in fields if f"{name}_{field}" in values}
    return {**flat, **values.get(f"{name}_options", {})}


def typed(overrides: Mapping[str, str]) -> dict[str, Any]:
    """Texts of a command line as the pipeline's own types; lists and mappings are JSON.

    Args:
        overrides: texts by name of a parameter of the pipeline.

    Raises:
        ConfigError: if there is no such parameter, or a text is not of its type.
    """
    from pipelines.pipeline import lstfill

    inputs = lstfill.component_spec.inputs
    return {name: _as_type(name, text, _type_of(name, inputs)) for name, text in overrides.items()}


def _type_of(name: str, inputs: Mapping[str, Any]) -> str:
    if name not in inputs:
        close = difflib.get_close_matches(name, inputs, n=3, cutoff=0.5)
        raise ConfigError(
            f"the pipeline has no parameter {name!r}; "
            + (f"close to it: {', '.join(close)}" if close else f"it has: {', '.join(inputs)}")
        )
    return str(inputs[name].type)


def _as_type(name: str, text: str, kind: str) -> Any:
    expected, read = _READERS[kind]
    try:
        return read(text)
    except ValueError:
        raise ConfigError(f"parameter {name} takes {expected}, got {text!r}") from None


def _boolean(text: str) -> bool:
    values = {"true": True, "false": False}
    if text.strip().lower() not in values:
        raise ValueError(text)
    return values[text.strip().lower()]


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _json_of(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = json.loads(text, parse_constant=_number, parse_float=_number)
        if not isinstance(value, kind):
            raise ValueError(text)  # noqa: TRY004  # one kind of error for a text that does not fit
        return value

    return read


_READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "String": ("a text", str),
    "Integer": ("a whole number", int),
    "Float": ("a finite number", _number),
    "Boolean": ("true or false", _boolean),
    "List": ('a list in JSON, like \'["a", "b"]\'', _json_of(list)),
    "Dict": ("a mapping in JSON, like '{\"lat\": 2}'", _json_of(dict)),
}
