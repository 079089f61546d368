"""A measured process: it loads the modules that the work will need, does the work, and says what each of both took.

What is measured leaves Python's imports out, as they cost the same for any cube; but they are measured too.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(place: str) -> None:
    """Reads ``task.json`` in a directory, does what it says and writes ``done.json`` beside it.

    Args:
        place: the directory.
    """
    task = json.loads((Path(place) / "task.json").read_text(encoding="utf-8"))
    began = time.perf_counter()
    work = preload(task["work"], task["modules"])
    loaded = time.perf_counter()
    cpu_loaded, mb_loaded = cpu_s(), peak_mb()
    value = work(**task["arguments"])
    done = {
        "imports": {"wall_s": loaded - began, "cpu_s": cpu_loaded, "peak_mb": mb_loaded},
        "wall_s": time.perf_counter() - loaded,
        "cpu_s": cpu_s() - cpu_loaded,
        "peak_mb": peak_mb(),
        "value": value,
        "modules": [name for name in sys.modules if name != "__main__"],
    }
    (Path(place) / "done.json").write_text(json.dumps(done, default=float), encoding="utf-8")


def preload(work: str, modules: Sequence[str]) -> Any:
    """Imports what an earlier process of the same work had loaded at its end, and returns the work.

    Args:
        work: ``module:function``.
        modules: names in the order in which they were loaded; what cannot be imported by its name is left out.
    """
    from lstfill.steps.process import settle

    settle()  # before threads start, as the command line does it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001, S112 - some modules only exist while their parent makes them
                continue
    module, function = work.split(":")
    return getattr(importlib.import_module(module), function)


def cpu_s() -> float:
    """Processor time of this process and of its children that ended, user and system, in s."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_mb() -> float:
    """Largest resident memory of this process so far, imports included, in MB (2**20 bytes)."""
    from lstfill.steps.task import peak_rss_mb

    return peak_rss_mb()


if __name__ == "__main__":
    main(sys.argv[1])
