"""What a run stands on, as MLflow's datasets and tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

# Longest digest of a dataset (mlflow.utils.validation: MAX_DATASET_DIGEST_SIZE); the profile and a tag have it whole.
_LONGEST_DIGEST = 36
_CONTEXT = "mlflow.data.context"


def lineage_inputs(source: str, digests: Mapping[str, str | None]) -> list[Any]:
    """The cube as one dataset input; the same cube logged twice is one entry.

    Args:
        source: address of the cube, without secrets.
        digests: ``cube_identity`` and those of the mask and the split, None where there is none.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    kind, address = _source(source)
    dataset = Dataset(
        name=(urlsplit(source).path.rstrip("/").rsplit("/", 1)[-1] or "cube")[:500],
        digest=str(digests["cube_identity"])[:_LONGEST_DIGEST],
        source_type=kind,
        source=json.dumps(address),
        profile=json.dumps(_given(digests)),
    )
    return [DatasetInput(dataset, tags=[InputTag(_CONTEXT, "training")])]


def lineage_tags(source: str, digests: Mapping[str, str | None]) -> dict[str, str]:
    """Tags that a run can be searched by."""
    return {f"lstfill.{key}": value for key, value in {"source": source, **_given(digests)}.items()}


def _given(digests: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in digests.items() if value is not None}


def _source(uri: str) -> tuple[str, dict[str, str]]:
    """MLflow's name for the kind of source, and the JSON that its interface expects of that kind."""
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        return "http", {"url": uri}
    return ("s3" if scheme == "s3" else "local"), {"uri": uri}
