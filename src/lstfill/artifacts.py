"""Pointers: the few hundred bytes that travel between steps in place of the data.

Kubeflow downloads every input artifact whole before a step starts. A pointer says where the data lie; the step reads
there what it needs.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lstfill.errors import StoreError

_SCHEMA = "lstfill/1"
_KEPT_PARTS = 3  # of a local output's path: run, task, output


@dataclass(frozen=True)
class Pointer:
    """Where a step put its result, and what it is.

    Attributes:
        uri: address of the store or directory.
        step: the step that wrote it.
        identity: hash of what it was made from and with.
        facts: what a person wants to see of it at a glance: sizes, counts, scores.
    """

    uri: str
    step: str
    identity: str
    facts: dict[str, Any] = field(default_factory=dict)


def allocate(artifact_uri: str, workspace: str, suffix: str) -> str:
    """Where the data of an output artifact go: a place in the workspace, derived from the artifact's own address.

    Kubeflow gives every execution a fresh address, keeps it for a retry, and leaves it out of its cache key; a place
    derived from a run's name would be resolved before the key, and nothing would ever be found in the cache.

    Args:
        artifact_uri: ``s3://bucket/key`` or the like on a cluster, a path in a local run.
        workspace: address under which all data of runs lie.
        suffix: like ``.zarr``; may be empty.
    """
    if "://" in artifact_uri:
        key = artifact_uri.split("://", 1)[1].partition("/")[2]
    else:
        key = "/".join(Path(artifact_uri).parts[-_KEPT_PARTS:])
    return f"{workspace.rstrip('/')}/{key.strip('/')}{suffix}"


def publish(path: str | Path, metadata: MutableMapping[str, Any], pointer: Pointer) -> None:
    """Writes a pointer as JSON, and the same into the artifact's metadata; the last thing a step does.

    Args:
        path: the artifact's file; directories above are made. The address comes first: Kubeflow's UI shows the first
            255 bytes.
        metadata: of the artifact; facts appear there by their own names.
        pointer: what to publish.

    Raises:
        StoreError: if the file cannot be written.
    """
    facts = clean(pointer.facts)
    record = {"uri": pointer.uri, "step": pointer.step, "identity": pointer.identity, "facts": facts, "schema": _SCHEMA}
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise StoreError(
            f"cannot write the pointer {target}: {error.strerror or error}; choose another place"
        ) from error
    metadata.update({**facts, "uri": pointer.uri, "step": pointer.step, "identity": pointer.identity})


def read(path: str | Path) -> Pointer:
    """Reads a pointer.

    Raises:
        StoreError: if there is none, or the file is something else.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"there is no pointer at {path}: the step before did not finish; run it again") from None
    except OSError as error:
        raise StoreError(f"cannot read the pointer {path}: {error.strerror or error}; check its rights") from error
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("schema") != _SCHEMA:
        raise StoreError(f"{path} is not a pointer of lstfill: give the artifact that a step of lstfill wrote")
    return Pointer(record["uri"], record["step"], record["identity"], record["facts"])


def clean(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as Kubeflow can carry it: plain numbers, strings, lists and mappings.

    None, NaN and infinities are left out of mappings (the launcher fails on them after the work is done); in lists,
    where places count, they become strings.
    """
    plain = {str(name): _plain(value) for name, value in mapping.items()}
    return {name: value for name, value in plain.items() if not _is_void(value)}


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without numpy
        value = value.tolist()
    if isinstance(value, Mapping):
        return clean(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [str(item) if _is_void(item) else item for item in map(_plain, value)]
    return value if isinstance(value, str | int | float | None) else str(value)


def _is_void(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))
