"""What the figures are held against: limits for the published use case, each with its number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Found = Mapping[str, Any]
LIGHT = ("ingest", "mask", "split", "preprocess", "predict")
"""Steps that need neither TensorFlow nor figures."""
_WITH_TENSORFLOW = "train"
_BESIDE = "mask"  # its memory is that of global-land-mask, for any cube
_MIB_A_GB = 1e9 / 2**20


@dataclass(frozen=True)
class Limit:
    """A figure and its limit.

    Attributes:
        bench: which results hold the figure.
        what: the figure in words.
        bound: the limit.
        unit: of both; may be empty.
        value: takes the figure from the bench's results; KeyError where a part was not run.
        at_least: whether the limit is a lower one.
    """

    bench: str
    what: str
    bound: float
    unit: str
    value: Callable[[Found], float]
    at_least: bool = False

    def verdict(self, value: float) -> str:
        """``holds`` or ``missed``."""
        return "holds" if (value >= self.bound if self.at_least else value <= self.bound) else "missed"


def _total(name: str) -> Callable[[Found], float]:
    return lambda job: float(job["totals"][name])


def _peak_gb(steps: Callable[[str], bool]) -> Callable[[Found], float]:
    return lambda job: max(row["peak_mb"] for name, row in job["ours"].items() if steps(name)) / _MIB_A_GB


def _largest_peak_ratio(growth: Found) -> float:
    return max(ratio for name, ratio in growth["peaks"].items() if name != _BESIDE)


def _largest_slope(axis: str) -> Callable[[Found], float]:
    return lambda growth: max(growth["slopes"][axis].values())


def _largest_seam(tiles: Found) -> float:
    return max(max(of["seams"].values()) for of in tiles["models"].values())


def _largest_tile_peak_gb(tiles: Found) -> float:
    rows = [*tiles["models"].values(), *tiles["long"].values()]
    return max(of[step]["peak_mb"] for of in rows for step in ("train", "predict")) / _MIB_A_GB


def _largest_globe_peak_gb(globe: Found) -> float:
    peaks = ("worker_peak_mb", "peak_mb")
    return max(of["predict"][peak] for of in globe["models"].values() for peak in peaks) / _MIB_A_GB


def _faster(step: str) -> Callable[[Found], float]:
    return lambda workers: float(workers[step]["faster"])


def _light_imports(start: Found) -> float:
    return max(start["imports"][name]["wall_s"] for name in LIGHT)


LIMITS = (
    Limit("job", "preprocess and train", 5, "CPU s", _total("fit_cpu_s")),
    Limit("job", "MSE above the best line's", 0.1, "%", lambda job: 100 * job["fit"]["excess"]),
    Limit("job", "samples a second through Keras", 10, "M", lambda job: job["fit"]["samples_s"] / 1e6, at_least=True),
    Limit("job", "predict: fill, flags, uncertainty", 5, "CPU s", lambda job: job["ours"]["predict"]["cpu_s"]),
    Limit("job", "whole job, report included", 18, "CPU s", _total("job_cpu_s")),
    Limit("job", "peer over ours, same dates", 30, "times", _total("peer_over_ours"), at_least=True),
    Limit("job", "ingest and predict over bare Zarr", 3, "times", _total("ingest_and_predict_over_bare")),
    Limit("job", "peak of train", 1.0, "GB", _peak_gb(lambda name: name == _WITH_TENSORFLOW)),
    Limit("job", "largest other peak, mask aside", 0.5, "GB", _peak_gb(lambda n: n not in (_WITH_TENSORFLOW, _BESIDE))),
    Limit("job", "gap MAE off 2.40 K", 0.02, "K", lambda job: abs(job["scores"]["ours"]["mae_k"] - 2.40)),
    Limit("job", "largest overhead of a kfp.local step", 1, "s", _total("largest_overhead_s")),
    Limit("growth", "largest peak on the longest cube over the shortest", 1.05, "times", _largest_peak_ratio),
    Limit("growth", "largest slope of CPU on time", 1.05, "", _largest_slope("time")),
    Limit("growth", "largest slope of CPU on area", 1.05, "", _largest_slope("area")),
    Limit("workers", "two workers over one, preprocess", 1.7, "times", _faster("preprocess"), at_least=True),
    Limit("workers", "two workers over one, predict", 1.7, "times", _faster("predict"), at_least=True),
    Limit("tiles", "largest peak of a model of tiles", 2.0, "GB", _largest_tile_peak_gb),
    Limit("tiles", "mean jump across tile edges over inside", 1.1, "times", _largest_seam),
    Limit("globe", "largest peak of a worker or of the step", 2.0, "GB", _largest_globe_peak_gb),
    Limit("globe", "mean jump across tile edges over inside, all land", 1.1, "times", _largest_seam),
    Limit("remote", "ingest with 20 ms a request over without", 1.5, "times", lambda remote: remote["ratio"]),
    Limit("start", "python -m lstfill --help", 0.3, "s", lambda start: start["help_s"]),
    Limit("start", "largest imports of a light step", 2, "s", _light_imports),
)


def judged(results: Mapping[str, Found]) -> list[tuple[Limit, float | None]]:
    """Each limit with its figure; None where that was not measured."""
    return [(limit, _value(limit, results)) for limit in LIMITS]


def _value(limit: Limit, results: Mapping[str, Found]) -> float | None:
    try:
        return limit.value(results[limit.bench])
    except KeyError:
        return None
