"""Commands for Kubeflow: compile, submit, upload, schedule, status."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from lstfill.errors import LstfillError
from pipelines import kubeflow_options as given
from pipelines.terminal import console, prepare

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from pipelines.pods import Cluster, Obstacle
    from pipelines.runs import State, Task
    from pipelines.service import Service

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # argparse has no other name for it

_MARKS = {"SUCCEEDED": "[green]✓[/]", "SKIPPED": "[green]✓[/]", "FAILED": "[red]✗[/]", "CANCELED": "[red]✗[/]"}


def add(commands: Commands) -> None:
    """Adds the commands to a parser."""
    compile_ = _command(commands, "compile", "write the pipeline as Kubeflow takes it")
    compile_.add_argument("--out", type=Path, default=Path("lstfill.yaml"), help="file to write (YAML)")
    given.add_platform_options(compile_)
    compile_.set_defaults(command=_compile)
    _add_submit(commands)
    _add_upload(commands)
    _add_schedule(commands)
    status = _command(commands, "status", "show how a run on Kubeflow is")
    status.add_argument("run", help="its identifier or its address")
    given.add_access_options(status)
    status.set_defaults(command=_status)


def _command(commands: Commands, name: str, help_: str) -> argparse.ArgumentParser:
    # Shortened, --token would be read as the name of a file, and a token in its place would be shown as one.
    return commands.add_parser(name, help=help_, allow_abbrev=False)


def _add_submit(commands: Commands) -> None:
    submit = _command(commands, "submit", "run the pipeline on Kubeflow")
    given.add_run_options(submit)
    submit.add_argument("--run-name", metavar="NAME", help="name of the run (default: with the time)")
    submit.add_argument("--no-cache", action="store_true", help="run every step, even if its result is there already")
    submit.add_argument("--wait", action="store_true", help="wait for the end; status 1 if the run does not succeed")
    submit.add_argument(
        "--timeout", metavar="SECONDS", type=given.seconds, default=24 * 3600.0, help="longest wait (a day)"
    )
    submit.add_argument(
        "--grace",
        metavar="SECONDS",
        type=given.seconds,
        default=120.0,
        help="something may keep a step from starting for (120)",
    )
    submit.add_argument("--poll", metavar="SECONDS", type=given.seconds, default=5.0, help="between two looks (5)")
    _add_shared(submit)
    submit.set_defaults(command=_submit)


def _add_upload(commands: Commands) -> None:
    upload = _command(commands, "upload", "put the pipeline on Kubeflow, or a version of it")
    upload.add_argument("--name", default=given.NAME, help="name of the pipeline")
    upload.add_argument("--version-name", metavar="NAME", help="name of the version (default: version and content)")
    _add_shared(upload)
    upload.set_defaults(command=_upload)


def _add_schedule(commands: Commands) -> None:
    schedule = _command(commands, "schedule", "run the pipeline on Kubeflow again and again")
    given.add_run_options(schedule)
    when = schedule.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", help="six fields, seconds first: '0 0 3 * * 1' is Mondays at 03:00 UTC")
    when.add_argument("--interval", type=given.count, metavar="SECONDS", help="seconds between two starts")
    schedule.add_argument("--name", default=given.NAME, help="name of the schedule")
    schedule.add_argument("--max-concurrency", type=given.count, default=1, help="most runs of it at a time (1)")
    schedule.add_argument(
        "--cache", action="store_true", help="reuse results of equal parameters, though the source may have changed"
    )
    _add_shared(schedule)
    schedule.set_defaults(command=_schedule)


def _add_shared(parser: argparse.ArgumentParser) -> None:
    given.add_platform_options(parser)
    given.add_access_options(parser)


def _compile(options: argparse.Namespace) -> None:
    from pipelines.compiling import assert_name, compile_pipeline

    assert_name(options.out)
    platform = given.platform_of(options)
    prepare(options.out)
    compile_pipeline(platform, options.out)
    console.print(f"{options.out}")


def _submit(options: argparse.Namespace) -> None:
    from pipelines.service import connect

    access, values, platform = given.access_of(options), given.arguments_of(options), given.platform_of(options)
    name = options.run_name or given.run_name()
    with given.package(platform) as path:
        service = connect(access)
        caching = False if options.no_cache else None
        run_id = service.submit(given.order_of(options, values, platform, path, name=name, caching=caching))
    _say(f"run      {run_id}  {name}")
    _say(f"address  {service.address(run_id)}")
    if options.wait:
        _wait(service, run_id, options)


def _wait(service: Service, run_id: str, options: argparse.Namespace) -> None:
    from pipelines.runs import Patience, outcome, wait

    patience = Patience(options.timeout, options.grace, options.poll)
    cluster = _cluster(service)
    try:
        state = wait(service, run_id, patience=patience, cluster=cluster, on_change=_reporter())
    except KeyboardInterrupt:
        console.print(f"the run goes on: python -m pipelines status {run_id}")
        raise
    outcome(state, service.address(run_id), cluster)
    console.print(f"[green]{state.state.lower()}[/]")


def _cluster(service: Service) -> Cluster | None:
    from pipelines.pods import cluster

    return cluster(service.access.run_namespace)


def _reporter() -> Callable[[State, list[Obstacle]], None]:
    """Says each thing once: a step that ended, something that keeps one from starting."""
    said: set[tuple[str, str]] = set()

    def report(state: State, obstacles: list[Obstacle]) -> None:
        for task in state.tasks:
            if task.state in _MARKS and (task.step, task.state) not in said:
                said.add((task.step, task.state))
                console.print(_line(task))
        for obstacle in obstacles:
            if (obstacle.step, obstacle.kind) not in said:
                said.add((obstacle.step, obstacle.kind))
                _say(f"  waits: {obstacle}")

    return report


def _say(text: str) -> None:
    console.print(text, markup=False)


def _line(task: Task) -> str:
    took = "" if task.seconds is None else f"{task.seconds:9.1f} s"
    state = "" if task.state == "SUCCEEDED" else f" {task.state}"
    return f"  {_MARKS.get(task.state, '·')} {task.step:<11}{took}{state}"


def _upload(options: argparse.Namespace) -> None:
    from pipelines.service import connect

    access, platform = given.access_of(options), given.platform_of(options)
    with given.package(platform) as path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        name = options.version_name or f"{version('lstfill')}-{digest}"
        address, new = connect(access).upload(path, options.name, name)
    if not new and options.version_name:
        raise LstfillError(
            f"pipeline {options.name!r} has a version {name!r} already: {address}. Give another --version-name"
        )
    _say(f"pipeline {options.name}{'' if new else f': this is there as version {name}'}")
    _say(f"address  {address}")


def _schedule(options: argparse.Namespace) -> None:
    from pipelines import cron
    from pipelines.service import connect

    trigger = {"cron_expression": cron.checked(options.cron)} if options.cron else {"interval_second": options.interval}
    access, values, platform = given.access_of(options), given.arguments_of(options), given.platform_of(options)
    with given.package(platform) as path:
        caching = None if options.cache else False
        order = given.order_of(options, values, platform, path, name=options.name, caching=caching)
        address = connect(access).schedule(order, trigger, options.max_concurrency)
    _say(f"schedule {options.name}")
    _say(f"address  {address}")


def _status(options: argparse.Namespace) -> None:
    from pipelines.runs import outcome, state_of
    from pipelines.service import connect

    service = connect(given.access_of(options))
    run_id = options.run.rstrip("/").rpartition("/")[2]
    state, address, cluster = state_of(service.run(run_id)), service.address(run_id), _cluster(service)
    _say(f"run      {run_id}  {state.name}")
    _say(f"address  {address}")
    _say(f"state    {state.state}")
    for task in state.tasks:
        console.print(_line(task))
    for obstacle in [] if state.finished or cluster is None else cluster.obstacles(run_id):
        _say(f"  waits: {obstacle}")
    outcome(state, address, cluster)
