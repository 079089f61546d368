"""``python -m pipelines``: runs the pipeline and shows how it went."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings

from rich.console import Console

from lstfill.errors import LstfillError
from pipelines import kubeflow_commands, local_commands
from pipelines.terminal import console


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0, or 1 after a message that says what is wrong."""
    options = _parser().parse_args(arguments)
    # KFP warns of its own future at import; nothing a user can do about it.
    warnings.filterwarnings("ignore", category=FutureWarning, module="kfp")
    _log_warnings()
    try:
        options.command(options)
    except LstfillError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/] {_escaped(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    return 0


def _log_warnings() -> None:
    # The level stands at the handler: a run lowers the root logger's to fill its own log.
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    logging.basicConfig(handlers=[handler], format="%(levelname)s %(name)s: %(message)s")
    # What it repeats either works or ends in a message of ours.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines", description="Run the lstfill pipeline.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    local_commands.add(commands)
    kubeflow_commands.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
