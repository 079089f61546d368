"""Commands of this machine: run, demo, export, serve."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from lstfill.errors import LstfillError
from pipelines.terminal import console, prepare

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lstfill.config import Config
    from pipelines.local import Workspace
    from pipelines.progress import StepRecord

CONFIGS = Path(__file__).parent / "configs"
_ACCESS = ("ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands to a parser."""
    run = commands.add_parser("run", help="run the pipeline on a cube of yours")
    run.add_argument("--config", required=True, type=Path, help="configuration file (YAML)")
    demo = commands.add_parser("demo", help="run it on a synthetic cube like the Earth System Data Cube")
    demo.add_argument("--config", type=Path, default=CONFIGS / "demo.yaml", help="configuration file (YAML)")
    for command in (run, demo):
        command.add_argument("--summary", type=Path, help="write the outcome to this file (JSON)")
        command.add_argument("--filled", type=Path, help="copy the filled cube to this directory, which must not exist")
        command.add_argument("--cache", action="store_true", help="reuse results of steps that did not change")
        command.add_argument("--docker", action="store_true", help="run each step in its image; see make images")
    export = commands.add_parser("export", help="copy a store out of a workspace, the filled cube for instance")
    export.add_argument("address", help="what to copy: s3://...")
    export.add_argument("to", type=Path, help="a directory that does not exist yet")
    serve = commands.add_parser("serve", help="keep a workspace's object store open until Ctrl-C")
    for command, function in ((run, _run), (demo, _demo), (export, _export), (serve, _serve)):
        command.add_argument("--workspace", default="workspace", help="a directory, or s3://bucket/prefix")
        command.set_defaults(command=function)


def _run(options: argparse.Namespace) -> None:
    from pipelines.local import workspace

    with _summarised(options):
        config = _load(options)
        with workspace(options.workspace) as place:
            _run_in(config, place, options)


def _demo(options: argparse.Namespace) -> None:
    from lstfill.steps import synthetic
    from pipelines.local import workspace

    with _summarised(options), workspace(options.workspace) as place:
        os.environ["LSTFILL_DEMO_CUBE"] = f"{place.root}/sources/esdc-like.zarr"
        config = _load(options)
        console.print("[dim]writing a synthetic cube like the Earth System Data Cube[/]")
        synthetic.run(output=config.source.uri)
        _run_in(config, place, options)


def _load(options: argparse.Namespace) -> Config:
    from lstfill.configfile import load

    return load(options.config)


def _run_in(config: Config, place: Workspace, options: argparse.Namespace) -> None:
    from lstfill.steps import process
    from pipelines.local import run

    process.settle()
    # Bound to the stream of now: while the pipeline runs, standard output goes to its log.
    progress = functools.partial(_show_step, Console(file=sys.stdout, highlight=False, soft_wrap=True))
    summary = run(config, place, cache=options.cache, on_step=progress, in_containers=options.docker).to_dict()
    if options.filled:
        _copy_out(summary["filled"], options.filled)
    _write_summary(options.summary, summary)
    _show(summary, options.workspace)


@contextlib.contextmanager
def _summarised(options: argparse.Namespace) -> Iterator[None]:
    """Finds out before the work whether its results can be written, and writes the summary of a failure too."""
    if options.filled:
        _refuse_present(options.filled)
    prepare(options.summary)
    try:
        if options.docker:
            _check_docker()
        yield
    except LstfillError as error:
        _write_summary(options.summary, _failed(error))
        raise


def _check_docker() -> None:
    from pipelines import containers

    containers.check()


def _failed(error: LstfillError) -> dict[str, Any]:
    """The summary of a run that did not succeed, or did not start."""
    from pipelines.local import RunFailedError

    if isinstance(error, RunFailedError):
        reason = {"step": error.step, "message": error.message, "log": str(error.log)}
        return {"status": "failed", "steps": error.steps, "error": reason}
    return {"status": "failed", "steps": [], "error": {"step": None, "message": str(error)}}


def _write_summary(path: Path | None, summary: dict[str, Any]) -> None:
    if path:
        path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _show_step(console: Console, event: str, step: StepRecord) -> None:
    if event == "done":
        console.print(f"  [green]✓[/] {step.name:<11}{step.seconds:7.1f} s{step.peak_rss_mb:8.0f} MB")
    elif event == "cached":
        console.print(f"  [green]✓[/] {step.name:<11} from cache")
    elif event == "failed":
        console.print(f"  [red]✗[/] {step.name}")


def _show(summary: dict[str, Any], workspace: str) -> None:
    console.print(_score_table(summary))
    uri = summary["mlflow"]["tracking_uri"]
    where = "" if "://" in workspace else f" --workspace {shlex.quote(workspace)}"
    console.print(f"report       {summary['report']}")
    console.print(f"filled cube  {summary['filled']}")
    console.print(f"MLflow       run {summary['mlflow']['run_id']}")
    console.print("\nNext:")
    if uri.startswith("sqlite:"):
        console.print(f"  {_program('mlflow')} ui --backend-store-uri {shlex.quote(uri)}    # the run in MLflow")
    python = f"{_program('python')} -m pipelines"
    if where:
        console.print(f"  {python} export {summary['filled']} filled.zarr{where}    # the cube as files")
        console.print(f"  {python} serve{where}    # the object store, open to xarray")
    console.print(f"  {python} run --config my.yaml    # your own cube; every key: docs/configuration.md")


def _program(name: str) -> str:
    """How to call a program of this environment from here, whether it is activated or not."""
    beside = Path(sys.executable).with_name(name)
    here = Path.cwd()
    return str(beside.relative_to(here)) if beside.exists() and beside.is_relative_to(here) else name


def _score_table(summary: dict[str, Any]) -> Table:
    table = Table("", "MAE K", "RMSE K", "bias K", "cells", title="Scores", title_justify="left")
    found = summary["scores"]
    rows = {"model, test cells": found["test"], "model, held-out gaps": found["held_out_gaps"]}
    for name, scores in found["baselines"].items():
        rows[f"{name.replace('_', ' ')}, held-out gaps"] = scores["held_out_gaps"]
    for name, scores in rows.items():
        if scores:
            errors = [_number(scores[key]) for key in ("mae_k", "rmse_k", "bias_k")]
            table.add_row(name, *errors, f"{scores['n']:,}")
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _export(options: argparse.Namespace) -> None:
    from pipelines.local import workspace

    _refuse_present(options.to)
    with workspace(options.workspace):
        _copy_out(options.address, options.to)
    console.print(f"{options.address} -> {options.to}")


def _refuse_present(directory: Path) -> None:
    if directory.exists():
        raise LstfillError(f"{directory} exists already: name a directory that does not")


def _copy_out(address: str, directory: Path) -> None:
    from lstfill.storage import objects, stores

    stores.provenance(address)
    objects.get_tree(address, directory)


def _serve(options: argparse.Namespace) -> None:
    from pipelines.local import workspace

    if "://" in options.workspace:
        raise LstfillError(f"{options.workspace} is open already: serve is for a workspace that is a directory")
    with workspace(options.workspace) as place:
        endpoint = os.environ["LSTFILL_S3_ENDPOINT_URL"]
        access = place.directory / "store" / "access.env"
        console.print(f"object store at {endpoint}, stores under {place.root}; Ctrl-C stops it")
        console.print(f"In another shell: set -a; . {shlex.quote(str(access))}; set +a")
        with _access_file(access):
            signal.pause()


@contextlib.contextmanager
def _access_file(path: Path) -> Iterator[None]:
    """Credentials of a serving store, in a file that only its owner reads and that goes when the store does."""
    values = {f"AWS_{name}": os.environ[f"LSTFILL_S3_{name}"] for name in _ACCESS}
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
