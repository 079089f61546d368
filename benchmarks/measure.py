"""Work in a process of its own, and what it took: wall, processor time, peak memory, past imports and of imports."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 1800
OURS = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
"""Environment that leads to this checkout, whatever is installed."""


class BenchError(Exception):
    """Work that did not end well; the message has the end of its log."""


@dataclass(frozen=True)
class Measured:
    """What a piece of work took.

    Attributes:
        wall_s: duration past imports.
        cpu_s: processor time past imports, of the process and of its children that ended.
        peak_mb: largest resident memory of the process, imports included.
        imports_wall_s: duration of the imports alone.
        imports_cpu_s: processor time until the imports were done, the interpreter's start included.
        value: what the work returned.
        modules: what was loaded at the end.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    imports_wall_s: float
    imports_cpu_s: float
    value: Any = None
    modules: list[str] = field(default_factory=list, repr=False)

    def row(self) -> dict[str, float]:
        """The figures alone, as results keep them."""
        names = ("wall_s", "cpu_s", "peak_mb", "imports_wall_s", "imports_cpu_s")
        return {name: getattr(self, name) for name in names}


def measured(
    work: str,
    arguments: Mapping[str, Any],
    *,
    modules: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Measured:
    """Does a piece of work in a process of its own.

    Args:
        work: ``module:function``, which takes and returns what JSON can hold.
        arguments: its arguments by name.
        modules: what to import first; see ``Measured.modules`` of an earlier, smaller run.
        env: further environment variables.
        timeout_s: how long it may take, in s.

    Raises:
        BenchError: if it fails or takes longer.
    """
    with tempfile.TemporaryDirectory(prefix="lstfill-bench-") as place:
        task = {"work": work, "arguments": dict(arguments), "modules": list(modules)}
        (Path(place) / "task.json").write_text(json.dumps(task), encoding="utf-8")
        child = [sys.executable, "-m", "benchmarks.child", place]
        run(child, cwd=Path(place), env={**OURS, **(env or {})}, name=work, timeout_s=timeout_s)
        done = json.loads((Path(place) / "done.json").read_text(encoding="utf-8"))
    imports = done.pop("imports")
    return Measured(**done, imports_wall_s=imports["wall_s"], imports_cpu_s=imports["cpu_s"])


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    name: str = "",
    timeout_s: float = TIMEOUT_S,
) -> str:
    """Runs a program to its end and returns what it wrote to standard output.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
        env: further environment variables.
        name: how a failure names it; the program if not given.
        timeout_s: how long it may take, in s.

    Raises:
        BenchError: if it fails or takes longer.
    """
    surroundings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(env or {})}
    try:
        ended = subprocess.run(
            command, cwd=cwd, env=surroundings, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{name or command[0]} took more than {timeout_s:.0f} s") from None
    if ended.returncode:
        raise BenchError(f"{name or command[0]} failed:\n{(ended.stderr or ended.stdout)[-3000:]}")
    return ended.stdout


def median_row(runs: Sequence[Measured]) -> dict[str, float]:
    """The median of each figure over runs of the same work."""
    rows = [one.row() for one in runs]
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}
