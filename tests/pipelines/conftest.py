"""The real pipeline, run a few times a session through its entry point; every assertion looks at these runs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lstfill import artifacts
from pipelines import local
from pipelines.cli import main
from tests import made

MODEL, ALIAS = "lstfill-test", "champion"
_FOREIGN = ("LSTFILL_", "AWS_", "MLFLOW_")


@dataclass
class Outcome:
    """One run of ``python -m pipelines run``."""

    status: int
    seen: str
    summary: dict[str, Any]

    def pointer(self, directory: Path, task: str, output: str):
        """What a task of this run put out."""
        run = self.summary["filled"].split("/")[3]
        return artifacts.read(directory / "kfp" / run / task / output)


@dataclass
class Ran:
    """Runs in one workspace and with one cache: the second has another learning rate, the third is the first again."""

    directory: Path
    config: Path
    first: Outcome
    second: Outcome
    third: Outcome
    credentials: list[dict[str, str]]
    commands: set[str]

    def address(self, task: str, output: str) -> str:
        """Where a task of the first run put its result."""
        return self.first.pointer(self.directory, task, output).uri


@dataclass
class Watcher:
    """Looks at the arguments of all processes until it is stopped."""

    commands: set[str] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self.stopped.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    self.commands.add(path.read_bytes().decode(errors="replace"))


@contextlib.contextmanager
def watching():
    watcher = Watcher()
    thread = threading.Thread(target=watcher.watch)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.stopped.set()
        thread.join()


def without_foreign(patch):
    """No endpoint, key or tracking server of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            patch.delenv(name)


def run_pipeline(*arguments) -> tuple[int, str]:
    """Runs ``python -m pipelines`` in this process; its status and all it said."""
    seen = io.StringIO()
    with contextlib.redirect_stdout(seen), contextlib.redirect_stderr(seen):
        status = main([str(argument) for argument in arguments])
    return status, seen.getvalue()


@pytest.fixture(scope="session")
def ran(tmp_path_factory):
    directory = tmp_path_factory.mktemp("workspace")
    credentials: list[dict[str, str]] = []
    with pytest.MonkeyPatch.context() as patch, watching() as watcher:
        without_foreign(patch)
        _remember_credentials(patch, credentials)
        with local.workspace(str(directory)) as place:
            made.put(f"{place.root}/sources/cube.zarr", made.cube())
        first, second, third = (_run(directory, number, rate) for number, rate in enumerate((0.1, 0.05, 0.1)))
    return Ran(directory, directory / "run-0.yaml", first, second, third, credentials, watcher.commands)


def _run(directory: Path, number: int, learning_rate: float) -> Outcome:
    train = {"learning_rate": learning_rate, "register_as": MODEL}
    if learning_rate == 0.1:
        train["alias"] = ALIAS
    uri = "s3://lstfill/sources/cube.zarr"
    config = made.write_config(directory / f"run-{number}.yaml", uri, train=train)
    summary = directory / "summaries" / f"{number}.json"
    out = ["--summary", summary, "--filled", directory / "filled" / f"{number}.zarr"]
    status, seen = run_pipeline("run", "--config", config, "--workspace", directory, "--cache", *out)
    return Outcome(status, seen, json.loads(summary.read_text()) if summary.exists() else {})


def _remember_credentials(patch, credentials):
    start = local.embedded_store

    @contextlib.contextmanager
    def remembered(*arguments):
        with start(*arguments) as store:
            credentials.append({**store.env})
            yield store

    patch.setattr(local, "embedded_store", remembered)


@pytest.fixture(scope="module")
def opened(ran):
    """The workspace of the runs, its object store open and found by the environment."""
    assert ran.first.status == 0, ran.first.seen
    assert ran.second.status == 0, ran.second.seen
    assert ran.third.status == 0, ran.third.seen
    with pytest.MonkeyPatch.context() as patch:
        without_foreign(patch)
        with local.workspace(str(ran.directory)) as place:
            yield place
