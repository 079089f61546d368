"""The whole job on one cube: ours by plain calls and in ``kfp.local``, the bounds, the floor, the peer, the errors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from benchmarks import cubes, outside
from benchmarks.chain import STEPS, Chain
from benchmarks.measure import BenchError, Measured, measured, median_row
from benchmarks.setting import Setting


def run(setting: Setting, *, pipeline: bool = True) -> dict[str, Any]:
    """Measures the job.

    Args:
        setting: the cube and what else is there.
        pipeline: also by ``kfp.local``.
    """
    runs, chain = _ours(setting)
    found: dict[str, Any] = {
        "cube": cubes.describe(setting.cube),
        "repeats": setting.repeats,
        "ours": {name: median_row(of) for name, of in runs.items()},
        "fit": measured("benchmarks.scores:of_line", _places(chain, "samples", "model")).value,
        "scores": {"ours": _scores(setting, chain)},
        "traffic": _traffic(setting, chain),
        "not_run": {},
    }
    shutil.rmtree(chain.root)
    found["own_floor"] = measured("benchmarks.bare:floor", _cube_and_truth(setting)).value
    if pipeline:
        found["pipeline"] = _pipeline(setting)
    _try(found, "floor", lambda: outside.floor(setting.tools, setting.cube))
    _try(found, "peer", lambda: outside.peer(setting.tools, setting.peer_python, setting.cube, setting.scratch))
    return found | {"totals": totals(found)}


def _ours(setting: Setting) -> tuple[dict[str, list[Measured]], Chain]:
    """The steps, all of them once, and again from nothing; the last run's stores stay."""
    chain = setting.chain("job")
    runs: dict[str, list[Measured]] = {name: [] for name in STEPS}
    for _ in range(setting.repeats):
        shutil.rmtree(chain.root, ignore_errors=True)
        for name, one in chain.run_all().items():
            runs[name].append(one)
    return runs, chain


def _places(chain: Chain, *names: str) -> dict[str, str]:
    return {name: chain.places[name] for name in names}


def _cube_and_truth(setting: Setting) -> dict[str, str]:
    return {"cube": str(setting.cube), "truth": str(setting.truth)}


def _scores(setting: Setting, chain: Chain) -> dict[str, float]:
    arguments = _cube_and_truth(setting) | _places(chain, "filled")
    return dict(measured("benchmarks.scores:of_filled", arguments).value)


def _traffic(setting: Setting, chain: Chain) -> dict[str, dict[str, float]]:
    arguments = _places(chain, "cube", "filled")
    arguments |= {"source": str(setting.cube), "scratch": str(chain.root / "bare")}
    return dict(measured("benchmarks.bare:traffic", arguments).value)


def _pipeline(setting: Setting) -> dict[str, Any]:
    directory = setting.scratch / "workspace"
    arguments = {"config": dict(setting.chain("").config), "directory": str(directory)}
    ran = measured("benchmarks.pipeline:run", arguments, env=setting.env)
    shutil.rmtree(directory)
    return {**ran.value, "cpu_s": ran.cpu_s, "runner_peak_mb": ran.peak_mb}


def _try(found: dict[str, Any], name: str, work: Callable[[], dict[str, Any]]) -> None:
    """Notes what a program says, or why it was not run."""
    try:
        found[name] = work()
        found["scores"][name] = found[name]["scores"]
    except BenchError as error:
        found["not_run"][name] = str(error)


def totals(found: dict[str, Any]) -> dict[str, float]:
    """Sums and ratios of what was found; a ratio to something that was not run is left out.

    Args:
        found: results of the job.
    """
    ours, dates = found["ours"], found["cube"]["shape"][0]
    sums = {
        "job_cpu_s": sum(row["cpu_s"] for row in ours.values()),
        "job_wall_s": sum(row["wall_s"] for row in ours.values()),
        "fit_cpu_s": ours["preprocess"]["cpu_s"] + ours["train"]["cpu_s"],
        "traffic_cpu_s": sum(row["cpu_s"] for row in found["traffic"].values()),
    }
    sums["ingest_and_predict_over_bare"] = (ours["ingest"]["cpu_s"] + ours["predict"]["cpu_s"]) / sums["traffic_cpu_s"]
    if "peer" in found:
        peer = found["peer"]
        sums["peer_cpu_s"] = peer["train"]["cpu_s"] + dates * peer["fill_one_date"]["cpu_s"]
        sums["peer_over_ours"] = sums["peer_cpu_s"] / sums["job_cpu_s"]
    if "pipeline" in found:
        sums["largest_overhead_s"] = max(row["overhead_s"] for row in found["pipeline"]["steps"].values())
    return sums
