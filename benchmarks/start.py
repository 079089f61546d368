"""What is there before any work: the command line's help, and the imports of each step."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from benchmarks.chain import STEPS
from benchmarks.measure import OURS, measured
from benchmarks.measure import run as run_program
from benchmarks.setting import Setting

HELP = ("-m", "lstfill", "--help")


def nothing() -> None:
    """Work that is none: its measure is that of the imports."""


def run(setting: Setting) -> dict[str, Any]:
    """Measures the wall of the help and the imports of the steps; medians.

    Args:
        setting: what modules a step loads comes from its runs on a small cube.
    """
    helps = [_wall(setting) for _ in range(max(5, setting.repeats))]
    found: dict[str, Any] = {"help_s": statistics.median(helps), "imports": {}}
    for name in STEPS:
        # The table of land that global-land-mask loads at its import is the mask's work.
        modules = [module for module in setting.modules.get(name, ()) if not module.startswith("global_land_mask")]
        runs = [measured("benchmarks.start:nothing", {}, modules=modules) for _ in range(setting.repeats)]
        found["imports"][name] = {
            "wall_s": statistics.median(one.imports_wall_s for one in runs),
            "cpu_s": statistics.median(one.imports_cpu_s for one in runs),
            "peak_mb": statistics.median(one.peak_mb for one in runs),
        }
    return found


def _wall(setting: Setting) -> float:
    began = time.perf_counter()
    run_program([sys.executable, *HELP], cwd=setting.scratch, env=OURS)
    return time.perf_counter() - began
