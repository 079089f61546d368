"""``python -m benchmarks``: runs benches one after the other and writes what they found.

Options come from the command line, or from the environment as ``make bench`` hands them on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import chart, cubes, globe, growth, job, outside, parts, remote, results, start, tables, tiles, workers
from benchmarks.measure import BenchError, measured
from benchmarks.setting import Setting

HERE = Path(__file__).parent
BENCHES: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "start": start.run,
    "job": job.run,
    "parts": parts.run,
    "workers": workers.run,
    "remote": remote.run,
    "growth": growth.run,
    "tiles": tiles.run,
    "globe": globe.run,
}
LONG = ("globe",)
"""Benches of an hour, which run only if they are named."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the benches that were asked for and returns the exit status: 1 if one of them failed."""
    options = _parser().parse_args(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="lstfill-bench-", dir=options.scratch))
    try:
        setting = _setting(options, scratch)
        names = options.benches or [name for name in BENCHES if name not in LONG]
        failed = [name for name in names if not _bench(name, setting, options.results)]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    given = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what a run of lstfill costs.")
    parser.add_argument(
        "benches", nargs="*", type=_name, help=f"of {', '.join(BENCHES)}; all but {LONG[0]} if none is named"
    )
    parser.add_argument("--cube", type=_path, default=given("BENCH_CUBE"), help="a cube, its truth in NAME.truth.zarr")
    parser.add_argument("--tools", type=_path, default=given("BENCH_TOOLS"), help="directory of the other programs")
    parser.add_argument(
        "--peer", default=given("PEER_PYTHON"), help="interpreter of the peer's environment, or 'make' to make one"
    )
    parser.add_argument("--repeats", type=int, default=int(given("BENCH_REPEATS") or 3), help="runs of our own steps")
    parser.add_argument("--scratch", type=_path, default=given("BENCH_SCRATCH"), help="where stores lie meanwhile")
    parser.add_argument("--results", type=_path, default=HERE, help="directory of the results")
    return parser


def _name(text: str) -> str:
    # Choices of argparse do not know an empty list.
    if text not in BENCHES:
        raise argparse.ArgumentTypeError(f"there is no bench {text!r}; there are {', '.join(BENCHES)}")
    return text


def _path(text: str) -> Path | None:
    return Path(text).absolute() if text else None


def _setting(options: argparse.Namespace, scratch: Path) -> Setting:
    """The setting of all benches; a cube is made where none is named."""
    cube, made = options.cube, ""
    if cube is None:
        cube = scratch / "seed.zarr"
        made = _made(options.tools, cube)
    elif not cubes.truth_of(cube).is_dir():
        raise SystemExit(f"there is no truth beside {cube}: {cubes.truth_of(cube)}")
    peer = outside.make_peer(scratch / "peer") if options.peer == "make" else _path(options.peer or "")
    return Setting(cube, scratch, options.tools, peer, options.repeats, made=made)


def _made(tools: Path | None, cube: Path) -> str:
    """Makes the cube of the published use case, or one as large by our own generator; says how."""
    try:
        return f"by {outside.make_cube(tools, cube)}"
    except BenchError as error:
        arguments = {"path": str(cube), "shape": cubes.SHAPE, "chunks": cubes.CHUNKS}
        measured("benchmarks.cubes:make", arguments)
        return f"by lstfill.synthetic, as {error}"


def _bench(name: str, setting: Setting, place: Path) -> bool:
    """Runs one bench and writes the results anew; what others found stays."""
    before, began = results.surroundings(), time.perf_counter()
    _say(f"{name} ...")
    try:
        found = BENCHES[name](setting)
    except BenchError as error:
        _say(f"{name} failed: {error}")
        return False
    whole = results.stored(place / "results.json", name, {**found, "made": setting.made}, before)
    (place / "RESULTS.md").write_text(tables.page(whole), encoding="utf-8")
    chart.draw(whole, place / "results.svg")
    _say(f"{name} took {time.perf_counter() - began:.0f} s")
    return True


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
