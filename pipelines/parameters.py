"""From a configuration to the pipeline's flat parameters and their types."""

from __future__ import annotations

from typing import Any

from lstfill.config import Config, Section

FLAT = {
    "source": ("uri", "target", "features", "time", "bbox_deg", "endpoint_url", "anonymous"),
    "mask": ("kind",),
    "split": ("kind", "block", "fractions", "buffer", "balance", "seed", "held_out_gaps"),
    "preprocess": ("missing", "scaling", "max_samples"),
    "train": (
        "model",
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
