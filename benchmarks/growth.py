"""How cost and memory grow with the cube: its dates again and again, then more and more of its area."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import cubes
from benchmarks.chain import STEPS
from benchmarks.setting import Setting

TIMES = (1, 2, 4, 8, 16)
# West, south, east, north: about as much land a degree in each.
AREAS = {"quarter": (-90, -90, 0, 90), "half": (-90, -90, 90, 90), "whole": (-180, -90, 180, 90)}
_SHARES = {"quarter": 0.25, "half": 0.5, "whole": 1.0}


def run(setting: Setting, times: Sequence[int] = TIMES) -> dict[str, Any]:
    """Measures every step on cubes of growing length, then of growing area; each once.

    Args:
        setting: the cube to start from.
        times: how often its dates come in each of the long cubes.
    """
    longer = {str(n): _in_time(setting, n) for n in times}
    wider = {name: _steps(setting, f"area-{name}", bbox_deg=box) for name, box in AREAS.items()}
    return {
        "cube": cubes.describe(setting.cube),
        "time": longer,
        "area": wider,
        "slopes": {
            "time": slopes({float(n): rows for n, rows in longer.items()}),
            "area": slopes({_SHARES[name]: rows for name, rows in wider.items()}),
        },
        "peaks": ratios(longer[str(max(times))], longer[str(min(times))], "peak_mb"),
        "factor": max(times) / min(times),
    }


def _in_time(setting: Setting, n: int) -> dict[str, dict[str, float]]:
    longer = cubes.repeat(setting.cube, setting.scratch / f"times-{n}.zarr", n)
    rows = _steps(setting, f"times-{n}", uri=str(longer))
    shutil.rmtree(longer)
    return rows


def _steps(setting: Setting, name: str, **source: Any) -> dict[str, dict[str, float]]:
    chain = setting.chain(name, **source)
    rows = {step: one.row() for step, one in chain.run_all().items()}
    shutil.rmtree(chain.root)
    return rows


def slopes(sizes: Mapping[float, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """For each step, and for all together, the slope of log processor time on log size: 1 is proportional.

    Args:
        sizes: rows of the steps by relative size of the cube.
    """
    rows = {
        step: [of[step]["cpu_s"] for of in sizes.values()] for step in STEPS if all(step in of for of in sizes.values())
    }
    rows["all steps"] = [sum(row["cpu_s"] for row in of.values()) for of in sizes.values()]
    return {step: slope(list(sizes), seconds) for step, seconds in rows.items()}


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of the line of least squares through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def ratios(
    large: Mapping[str, Mapping[str, float]], small: Mapping[str, Mapping[str, float]], name: str
) -> dict[str, float]:
    """A figure on the large cube over the same on the small one, by step."""
    return {step: row[name] / small[step][name] for step, row in large.items() if step in small}
