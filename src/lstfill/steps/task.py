"""A step as a Kubeflow task: pointers in, a pointer out, and one line of what it took or why it failed.

Nothing here knows kfp; an artifact is anything with ``path``, ``uri`` and ``metadata``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from lstfill import artifacts
from lstfill.artifacts import Pointer
from lstfill.config import (
    Cluster,
    Evaluate,
    Mask,
    Predict,
    Preprocess,
    Section,
    Source,
    Split,
    Tracking,
    Train,
    build,
)
from lstfill.errors import LstfillError, StoreError
from lstfill.steps import process
from lstfill.steps.provenance import origin_of
from lstfill.storage import objects

logger = logging.getLogger(__name__)

EVENT = "lstfill-event "
"""Marks the line in which a step reports itself, for whoever reads its log."""

SECTIONS: dict[str, type[Section]] = {
    "source": Source,
    "mask": Mask,
    "split": Split,
    "preprocess": Preprocess,
    "train": Train,
    "evaluate": Evaluate,
    "predict": Predict,
    "cluster": Cluster,
    "tracking": Tracking,
}

_SUFFIX = {"train": "", "evaluate": ""}


class Artifact(Protocol):
    """What a Kubeflow artifact offers to a task."""

    path: str
    uri: str
    metadata: dict[str, Any]


def run_task(
    step: str, workspace: str, *, output: Artifact, inputs: Mapping[str, Artifact] | None = None, **sections: Any
) -> Pointer:
    """Runs one step with what Kubeflow hands it, and publishes a pointer to what the step wrote.

    Args:
        step: name of the step, a module of ``lstfill.steps``.
        workspace: root of all stores; the place below it follows from the output's own address.
        output: artifact that becomes the pointer.
        inputs: artifacts that are pointers of earlier steps, by the name the step knows them by.
        sections: keys and values of the step's sections of the configuration.

    Returns:
        The pointer that was published.

    Raises:
        LstfillError: whatever a user can mend, after one line in the log that says so.
    """
    process.settle()
    with _reported(step):
        checked = {name: build(SECTIONS[name], values, f"section {name}") for name, values in sections.items()}
        addresses = {name: _resolved(artifact) for name, artifact in (inputs or {}).items()}
        place = artifacts.allocate(output.uri, workspace, _SUFFIX.get(step, ".zarr"))
        pointer: Pointer = importlib.import_module(f"lstfill.steps.{step}").run(**checked, **addresses, output=place)
        artifacts.publish(output.path, output.metadata, pointer)
    return pointer


def publish_scores(pointer: Pointer, *, metrics: Artifact, report: Artifact) -> None:
    """Shows an evaluation in Kubeflow: its scores as metrics, its report as a page.

    Args:
        pointer: what the step ``evaluate`` returned.
        metrics: artifact whose metadata is shown as a table; its file is written too, or local caching never hits.
        report: artifact whose file is shown as a page.
    """
    table = {
        f"{part}_{key}": value
        for part, scores in pointer.facts["scores"].items()
        for key, value in (scores or {}).items()
        if isinstance(value, int | float)
    }
    metrics.metadata.update(artifacts.clean(table))
    Path(metrics.path).parent.mkdir(parents=True, exist_ok=True)
    Path(metrics.path).write_text(json.dumps(table), encoding="utf-8")
    Path(report.path).parent.mkdir(parents=True, exist_ok=True)
    Path(report.path).write_bytes(objects.get_bytes(pointer.facts["report"]))


def _resolved(artifact: Artifact) -> str:
    """The address behind a pointer, after a look whether the store is still there and whole."""
    pointer = artifacts.read(artifact.path)
    try:
        origin_of(pointer.uri)
    except StoreError as error:
        raise StoreError(f"{error} (the pointer was made by step {pointer.step})") from error
    return pointer.uri


@contextlib.contextmanager
def _reported(step: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    except Exception as error:
        message = str(error) if isinstance(error, LstfillError) else f"{type(error).__name__}: {error}"
        _log({"step": step, "error": message})
        raise
    _log({"step": step, "seconds": round(time.perf_counter() - started, 2), "peak_rss_mb": round(peak_rss_mb(), 1)})


def _log(event: dict[str, Any]) -> None:
    logger.info("%s%s", EVENT, json.dumps(event))


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB.

    Linux keeps it a program (VmHWM); ``getrusage`` would count the parent's memory at the start of a child too.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
