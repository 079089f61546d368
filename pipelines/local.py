"""Runs the pipeline on this machine: the real Kubeflow definition, an embedded object store, MLflow on SQLite."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lstfill import artifacts
from lstfill.config import Config
from lstfill.errors import LstfillError
from lstfill.storage.buckets import ensure_bucket, probe
from lstfill.storage.embedded import embedded_store
from lstfill.storage.options import source_environment
from pipelines import containers
from pipelines.parameters import arguments
from pipelines.progress import RunLog, StepRecord

BUCKET = "lstfill"
DEFAULT_DIRECTORY = Path("workspace")

OnStep = Callable[[str, StepRecord], None]


class RunFailedError(LstfillError):
    """A run that did not succeed: which step, its message, and the steps until then."""

    def __init__(self, step: str, message: str, log: Path, steps: list[dict[str, Any]]) -> None:
        self.step = step
        self.message = message
        self.log = log
        self.steps = steps
        super().__init__(f"{step} failed: {message}\nThe whole log is in {log}")


@dataclass(frozen=True)
class Workspace:
    """Where a run puts things: a directory of this machine for logs and tracking, and a root for the stores.

    Attributes:
        directory: logs, KFP's outputs, MLflow's database, the report.
        root: prefix of all stores, an address in an object store.
        source_environment: what leads to the user's own store while an embedded one has the workspace's names.
    """

    directory: Path
    root: str
    source_environment: dict[str, str] = field(default_factory=dict)

    def environment_for(self, uri: str) -> dict[str, str]:
        """Variables with which a step finds a source, which may lie in this workspace or elsewhere."""
        return {} if uri.startswith(f"{self.root}/") else self.source_environment


@dataclass
class Summary:
    """What a run ends with."""

    status: str
    steps: list[dict[str, Any]]
    results: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON holds it."""
        return {"status": self.status, "steps": self.steps, **self.results}


@contextlib.contextmanager
def workspace(place: str) -> Iterator[Workspace]:
    """Opens a workspace: an object store of yours, or a directory with an embedded one that runs meanwhile.

    Args:
        place: ``s3://bucket/prefix``, or a directory.

    Raises:
        StoreError: if the store cannot be reached or written, or the embedded one does not start.
    """
    if "://" in place:
        directory = _made(DEFAULT_DIRECTORY)
        ensure_bucket(place)
        probe(place)
        with _environment(_tracking(directory)):
            yield Workspace(directory, place.rstrip("/"))
        return
    directory = _made(Path(place))
    outside = source_environment()
    with embedded_store(directory / "store", BUCKET) as store, _environment(store.env | _tracking(directory)):
        yield Workspace(directory, f"s3://{BUCKET}", outside)


def _made(directory: Path) -> Path:
    directory = directory.absolute()
    probe(str(directory))
    return directory


def _tracking(directory: Path) -> dict[str, str]:
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{directory / 'mlflow.db'}"
    return {"MLFLOW_TRACKING_URI": uri}


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets variables for the steps' processes, which inherit them, and takes them back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run(config: Config, place: Workspace, *, cache: bool, on_step: OnStep, in_containers: bool = False) -> Summary:
    """Runs the whole pipeline and waits for it.

    Args:
        config: the checked configuration.
        place: an open workspace.
        cache: reuse the results of steps whose inputs and options did not change.
        on_step: called with "started", "done", "cached" or "failed" and the step.
        in_containers: run each step in its image instead of in a process.

    Raises:
        RunFailedError: with the failing step and its message.
        LstfillError: if Docker ends meanwhile.
    """
    path = place.directory / "logs" / time.strftime("run-%Y%m%d-%H%M%S.log")
    path.parent.mkdir(parents=True, exist_ok=True)
    values = arguments(config, place.root)
    if in_containers:
        values |= containers.tracking_uri(config)
    with (
        contextlib.closing(RunLog(path, on_step)) as log,
        _environment(place.environment_for(config.source.uri)),
        _runner(config, in_containers) as runner,
    ):
        outputs = _execute(values, place.directory, log, runner, cache)
    report = place.directory / "reports" / f"{path.stem}.html"
    return Summary("succeeded", _records(log), _results(outputs, report))


def _records(log: RunLog) -> list[dict[str, Any]]:
    return [record.to_dict() for record in log.steps.values()]


@contextlib.contextmanager
def _runner(config: Config, in_containers: bool) -> Iterator[Any]:
    from kfp import local

    if not in_containers:
        yield local.SubprocessRunner(use_venv=False)
        return
    with containers.runner(config) as runner:
        yield runner


def _execute(values: dict[str, Any], directory: Path, log: RunLog, runner: Any, cache: bool) -> dict[str, Any]:
    from kfp import local

    from pipelines.pipeline import lstfill

    handler = logging.StreamHandler(log)
    local.init(
        runner,
        pipeline_root=str(directory / "kfp"),
        enable_caching=cache,
        cache_root=str(directory / "kfp-cache"),
    )
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(log), warnings.catch_warnings():
            # Of names and limits that only a cluster shows and keeps.
            warnings.filterwarnings("ignore", ".* no effect in the current local runner", UserWarning)
            outputs: dict[str, Any] = lstfill(**values).outputs
    except RuntimeError as error:
        step, message = log.failure or ("the pipeline", str(error))
        raise RunFailedError(step, message, log.path, _records(log)) from None
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return outputs


def _results(outputs: dict[str, Any], report: Path) -> dict[str, Any]:
    """The summary's entries, from the pointers that the pipeline puts out; the report is copied to its place."""
    evaluation = artifacts.read(outputs["evaluation"].path)
    model = artifacts.read(outputs["model"].path)
    report.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(outputs["report"].path, report)
    return {
        "scores": _scores(evaluation.facts),
        "filled": artifacts.read(outputs["filled"].path).uri,
        "report": str(report),
        "model": model.uri,
        "mlflow": {"tracking_uri": model.facts["tracking_uri"], "run_id": model.facts["run_id"]},
    }


def _scores(facts: dict[str, Any]) -> dict[str, Any]:
    """The scores as the summary has them: of the test part and the held-out gaps, and the baselines' on the gaps."""
    parts = {name: _shown(facts["scores"].get(name)) for name in ("test", "held_out_gaps")}
    baselines = {name: {"held_out_gaps": _shown(of.get("held_out_gaps"))} for name, of in facts["baselines"].items()}
    return {**parts, "baselines": baselines}


def _shown(scores: dict[str, Any] | None) -> dict[str, Any] | None:
    # A pointer leaves out what is not defined; whoever reads the summary finds the same keys always.
    return None if scores is None else {key: scores.get(key) for key in ("mae_k", "rmse_k", "bias_k", "r2", "n")}
