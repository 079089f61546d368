"""Programs that are no part of this project: the maker of the published cube, the reference floor, the peer's workflow.

They are named by a directory; whoever has none still gets every other figure.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import BenchError, run

MAKE_CUBE, FLOOR, WORKFLOW = "make_cube.py", "least_squares_floor.py", "peer_seed_workflow.py"
PEER_PACKAGES = (
    "tensorflow-cpu==2.21.*", "tensorboard", "xarray", "zarr==3.1.*", "numcodecs", "dask", "tqdm", "pandas",
    "matplotlib", "scikit-learn", "global-land-mask", "scipy", "bokeh", "mypy-extensions",
)  # fmt: skip
# It imports rechunker, which asks for an older Zarr than today's xarray needs, and does without here.
PEER = ("--no-deps", "ml4xcube==1.1.0", "rechunker==0.5.*")
SEED_CUBE = "--faithful --time 10 --lat 2160 --lon 4320 --chunks 10,270,270 --gap .25"
# The peer's stages that sample and train, and those that fill one date; its own scoring and drawing are left out.
_TRAINS = ("1 ", "2 ", "3 ", "4 ", "4b ", "5 ", "6 ")
_FILLS = ("7a ", "7b ")


def tool(tools: Path | None, name: str) -> Path:
    """A program of the directory.

    Raises:
        BenchError: saying why it cannot be run.
    """
    if tools is None:
        raise BenchError(f"no directory of tools was named, which would hold {name}")
    if not (tools / name).is_file():
        raise BenchError(f"there is no {name} in {tools.name}/")
    return tools / name


def make_cube(tools: Path | None, target: Path) -> str:
    """Makes the published use case's cube and its truth; returns the command without its path.

    Raises:
        BenchError: if the program is not there or fails.
    """
    program = tool(tools, MAKE_CUBE)
    run(
        [sys.executable, str(program), *shlex.split(SEED_CUBE), "--out", str(target)], cwd=target.parent, name=MAKE_CUBE
    )
    return f"{MAKE_CUBE} {SEED_CUBE}"


def floor(tools: Path | None, cube: Path) -> dict[str, Any]:
    """What the reference floor says: seconds past imports to fit, and to fill and score; peak memory; errors.

    Raises:
        BenchError: if the program is not there or fails.
    """
    said = json.loads(run([sys.executable, str(tool(tools, FLOOR)), str(cube)], cwd=cube.parent, name=FLOOR))
    return {
        "fit": {"wall_s": said["fit_wall"], "cpu_s": said["fit_cpu"]},
        "fill": {"wall_s": said["total_wall"] - said["fit_wall"], "cpu_s": said["total_cpu"] - said["fit_cpu"]},
        "peak_mb": said["peak_mb"],
        "scores": {"mae_k": said["gap_mae"], "rmse_k": said["gap_rmse"], "bias_k": said["gap_bias"]},
    }


def peer(tools: Path | None, python: Path | None, cube: Path, scratch: Path) -> dict[str, Any]:
    """What the peer takes for the same use case on all chunks: to sample and train, and to fill one date.

    Args:
        tools: directory of its workflow.
        python: interpreter of its environment.
        cube: the cube, with its truth beside it.
        scratch: where it works.

    Raises:
        BenchError: if workflow or interpreter are not there, or a stage fails.
    """
    program = tool(tools, WORKFLOW)
    if python is None:
        raise BenchError("no interpreter with the peer's packages was named")
    said = scratch / "peer.json"
    options = ["--num-chunks", "0", "--work", str(scratch / "peer"), "--json", str(said)]
    began = time.perf_counter()
    run([str(python), "-W", "ignore", str(program), str(cube), *options], cwd=scratch, name=WORKFLOW)
    wall = time.perf_counter() - began
    found = peer_figures(json.loads(said.read_text(encoding="utf-8")))
    return {**found, "whole_wall_s": wall, "versions": _versions(python, scratch)}


def _versions(python: Path, cwd: Path) -> dict[str, str]:
    """Versions of what does the peer's work; a package that is not there is left out."""
    code = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    there = json.loads(run([str(python), "-c", code], cwd=cwd, name="the peer's versions"))
    names = ("ml4xcube", "numpy", "zarr", "xarray", "tensorflow", "tensorflow-cpu", "tensorflow_cpu", "keras")
    return {name: there[name] for name in names if name in there}


def peer_figures(said: dict[str, Any]) -> dict[str, Any]:
    """The peer's figures from what its workflow wrote.

    Raises:
        BenchError: if a stage failed.
    """
    failed = [f"{stage['stage']}: {stage.get('error')}" for stage in said["stages"] if not stage["ok"]]
    if failed:
        raise BenchError(f"the peer failed in {'; '.join(failed)}")
    stages = {stage["stage"]: stage for stage in said["stages"]}
    scored = next(stage for name, stage in stages.items() if name.startswith("7c "))
    return {
        "train": _sum(stages, _TRAINS),
        "fill_one_date": _sum(stages, _FILLS),
        "peak_mb": max(stage["peak_rss_mb"] for stage in stages.values()),
        "scores": {name.lower(): scored[f"gap_{name}"] for name in ("mae_K", "rmse_K", "bias_K")},
    }


def _sum(stages: dict[str, Any], prefixes: tuple[str, ...]) -> dict[str, float]:
    chosen = [stage for name, stage in stages.items() if name.startswith(prefixes)]
    return {key: sum(stage[key] for stage in chosen) for key in ("wall_s", "cpu_s")}


def make_peer(place: Path) -> Path:
    """Makes the peer's environment and returns its interpreter; takes a download of some hundred MB.

    Raises:
        BenchError: if it cannot be made.
    """
    python = place / "bin" / "python"
    if not python.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        run([sys.executable, "-m", "venv", str(place)], cwd=place.parent, name="venv")
        for packages in (PEER_PACKAGES, PEER):
            run([str(python), "-m", "pip", "install", "--quiet", *packages], cwd=place.parent, name="pip")
    return python
