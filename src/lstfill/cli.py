"""``python -m lstfill``: one step alone, from addresses to an address; and what a new object store needs."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from lstfill.errors import LstfillError

if TYPE_CHECKING:
    from lstfill.artifacts import Pointer

# What each step takes from the configuration, and which addresses it reads; all write --output.
_STEPS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "ingest": ("cut the source into a work cube", ("source", "cluster"), ()),
    "mask": ("make the land mask of a work cube", ("mask",), ("cube",)),
    "split": ("assign cells to train, validation and test", ("split", "cluster"), ("cube", "land")),
    "preprocess": ("draw the samples of each part", ("preprocess", "cluster"), ("cube", "land", "parts")),
    "train": (
        "fit the models",
        ("train", "tracking", "cluster"),
        ("samples", "cube", "land", "parts"),
    ),
    "evaluate": (
        "score a model and draw the report",
        ("evaluate", "tracking", "cluster"),
        ("cube", "land", "parts", "model"),
    ),
    "predict": ("fill a work cube", ("predict", "tracking", "cluster"), ("cube", "land", "model")),
}
_MEANING = {
    "cube": "address of the work cube, from ingest",
    "land": "address of the mask, from mask",
    "parts": "address of the split, from split",
    "samples": "address of the samples, from preprocess",
    "model": "address of the model directory, from train; predict also takes models:/name@alias",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0, or 1 after a message that says what is wrong."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    # What it repeats either works or ends in a message of ours.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        options.function(options)
    except LstfillError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _failed(message: str) -> int:
    _say(f"error: {message}", stderr=True)
    return 1


def _say(text: str, *, stderr: bool = False) -> None:
    from rich.console import Console

    Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False).print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lstfill", description="Run one step of lstfill.")
    parser.add_argument("--version", action="version", version=_version())
    steps = parser.add_subparsers(required=True, metavar="STEP")
    for name, (meaning, _, inputs) in _STEPS.items():
        command = steps.add_parser(name, help=meaning, description=meaning)
        command.add_argument("--config", required=True, help="configuration file (YAML)")
        for key in inputs:
            command.add_argument(f"--{key}", required=True, help=_MEANING[key])
        command.set_defaults(function=_run_step, step=name)
    synthetic = steps.add_parser("synthetic", help="write a synthetic cube like the Earth System Data Cube")
    synthetic.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    synthetic.set_defaults(function=_run_synthetic)
    for command in steps.choices.values():
        command.add_argument("--output", required=True, help="address to write to: s3://bucket/key or a path")
    buckets = steps.add_parser("buckets", help="make buckets of the workspace's object store, where they are missing")
    buckets.add_argument("names", nargs="+", metavar="NAME", help="name of a bucket")
    buckets.set_defaults(function=_make_buckets)
    for command in steps.choices.values():
        command.add_argument("--verbose", action="store_true", help="say what is done")
    return parser


def _version() -> str:
    from importlib.metadata import version

    return f"lstfill {version('lstfill')}"


def _run_step(options: argparse.Namespace) -> None:
    from lstfill.configfile import load
    from lstfill.steps import process

    process.settle()
    config = load(options.config)
    _, sections, inputs = _STEPS[options.step]
    given: dict[str, Any] = {name: getattr(config, name) for name in sections}
    if options.step == "ingest":
        given["source"] = config.source.model_copy(update={"extras": config.carried_extras()})
    given |= {key: getattr(options, key) for key in inputs}
    _tell(importlib.import_module(f"lstfill.steps.{options.step}").run(**given, output=options.output))


def _run_synthetic(options: argparse.Namespace) -> None:
    from lstfill.steps.synthetic import run

    _tell(run(output=options.output, seed=options.seed))


def _make_buckets(options: argparse.Namespace) -> None:
    from lstfill.storage.buckets import ensure_bucket

    for name in options.names:
        ensure_bucket(f"s3://{name}")
        _say(f"bucket: s3://{name}")


def _tell(pointer: Pointer) -> None:
    _say(f"{pointer.step}: {pointer.uri}")
    logging.getLogger(__name__).info("%s", json.dumps(pointer.facts, default=str))


if __name__ == "__main__":
    sys.exit(main())
