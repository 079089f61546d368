"""The results in one picture: where the job's time goes beside its bounds, and how it grows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.chain import STEPS

Found = Mapping[str, Any]


def draw(results: Mapping[str, Found], path: Path) -> None:
    """Draws what there is of job and growth.

    Args:
        results: of each bench that ever ran, by name.
        path: of the picture; its suffix says the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    job, time, memory = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    if "job" in results:
        _draw_job(job, results["job"])
    if "growth" in results:
        _draw_growth(time, results["growth"], "cpu_s", "CPU s")
        _draw_growth(memory, results["growth"], "peak_mb", "peak MB")
        memory.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path)


def _draw_job(axes: Any, found: Found) -> None:
    """A bar for ours, cut by step, and one for each of the others; the axis is logarithmic, so only ends compare."""
    costs = {f"ours: {name}": row["cpu_s"] for name, row in found["ours"].items()}
    costs["ours: whole job"] = found["totals"]["job_cpu_s"]
    costs["bare Zarr read and write"] = found["totals"]["traffic_cpu_s"]
    for name in ("floor", "own_floor"):
        if name in found:
            costs[name.replace("_", " ")] = found[name]["fit"]["cpu_s"] + found[name]["fill"]["cpu_s"]
    if "peer" in found:
        costs["peer, same dates"] = found["totals"]["peer_cpu_s"]
    names = list(costs)[::-1]
    colors = ["tab:blue" if name.startswith("ours") else "tab:gray" for name in names]
    bars = axes.barh(names, [costs[name] for name in names], color=colors)
    axes.bar_label(bars, fmt="%.3g", padding=3, fontsize=8)
    axes.set(xscale="log", xlabel="CPU s past imports", title="the job")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_growth(axes: Any, found: Found, key: str, label: str) -> None:
    sizes = [float(n) for n in found["time"]]
    for name in STEPS:
        axes.plot(sizes, [of[name][key] for of in found["time"].values()], marker=".", label=name)
    axes.set_xscale("log", base=2)
    axes.set(xlabel="times as many dates", ylabel=label, title=f"growth: {label}")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    if key == "cpu_s":
        first = sum(of[key] for of in next(iter(found["time"].values())).values()) / len(STEPS)
        (line,) = axes.plot(sizes, [first * size / sizes[0] for size in sizes], ":", color="black")
        axes.legend([line], ["proportional"], fontsize=7, frameon=False)
        axes.set_yscale("log")
    else:
        axes.set_ylim(0)
    axes.spines[["top", "right"]].set_visible(False)
