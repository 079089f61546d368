"""Commands for Kubeflow: compile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lstfill.errors import LstfillError
from pipelines.terminal import console, prepare

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands to a parser."""
    compile_ = commands.add_parser("compile", help="write the pipeline as Kubeflow takes it")
    compile_.add_argument("--out", type=Path, default=Path("lstfill.yaml"), help="file to write (YAML)")
    compile_.set_defaults(command=_compile)


def _compile(options: argparse.Namespace) -> None:
    from kfp import compiler

    from pipelines.pipeline import lstfill

    if options.out.suffix not in (".yaml", ".yml", ".json"):
        raise LstfillError(f"cannot write {options.out}: its name must end in .yaml, .yml or .json")
    prepare(options.out)
    compiler.Compiler().compile(lstfill, str(options.out))
    console.print(f"{options.out}")
