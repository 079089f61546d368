"""Results as a page of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.chain import STEPS
from benchmarks.limits import judged
from benchmarks.parts import MEANING

Found = Mapping[str, Any]
Rows = Iterable[Sequence[Any]]
_STEP_HEADER = ("", "CPU s", "wall s", "peak MB", "imports CPU s", "imports wall s")
_STEP_KEYS = ("cpu_s", "wall_s", "peak_mb", "imports_cpu_s", "imports_wall_s")


def page(results: Mapping[str, Found]) -> str:
    """The page that ``make bench`` writes, in Markdown.

    Args:
        results: of each bench that ever ran, by name.
    """
    parts = ["# What a run costs", _INTRODUCTION, _where(results), "## Limits", _limits(results)]
    for name, (title, body) in _SECTIONS.items():
        if name in results:
            parts += [f"## {title}", _when(results[name]), *body(results[name])]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Rows) -> str:
    """A table in Markdown; the first column is text, the others are set to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(text(cell) for cell in line)} |" for line in lines)


def text(value: Any) -> str:
    """A cell: three digits or so of a number, a dash for what is not there."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return f"{value:.1g}" if 0 < abs(value) < 0.05 else f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


_INTRODUCTION = (
    "Written by `make bench`; `benchmarks/README.md` says how to repeat and to read it. Seconds are past imports, CPU "
    "includes children, a peak is the largest resident memory of a process with its imports (MB are 2^20 bytes). "
    "The tracking database was made before."
)


def _where(results: Mapping[str, Found]) -> str:
    latest = max((of["surroundings"] for of in results.values()), key=lambda of: of["date"])
    machine = latest["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in latest["versions"].items())
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {text(machine['memory_gb'])} GB, {machine['system']}. "
        f"Versions: {versions}.\n\n![CPU seconds of the job, and growth](results.svg)"
    )


def _when(found: Found) -> str:
    about = found["surroundings"]
    cube = found.get("cube")
    of = f" Cube: {cube['name']}, {' x '.join(map(str, cube['shape']))}, {cube['bytes'] / 1e6:,.0f} MB." if cube else ""
    made = f" Made {found['made']}." if found.get("made") else ""
    return f"{about['date']}, commit {about['commit']}, load {about['load']} at the start.{of}{made}"


def _limits(results: Mapping[str, Found]) -> str:
    rows = [
        (
            limit.what,
            value if value is None else float(value),
            f"{'≥' if limit.at_least else '≤'} {limit.bound:g} {limit.unit}".strip(),
            "not run" if value is None else limit.verdict(value),
        )
        for limit, value in judged(results)
    ]
    return table(("figure", "found", "limit", "verdict"), rows)


def _job(found: Found) -> list[str]:
    totals, peer = found["totals"], found.get("peer")
    ours = [(name, *(row[key] for key in _STEP_KEYS)) for name, row in found["ours"].items()]
    ours.append(("**whole job**", totals["job_cpu_s"], totals["job_wall_s"], None, None, None))
    rows = [("ours, plain calls", totals["job_cpu_s"], 1.0)]
    floors = {"own floor (no split, no record)": found["own_floor"], "reference floor": found.get("floor")}
    costs = {name: of["fit"]["cpu_s"] + of["fill"]["cpu_s"] for name, of in floors.items() if of}
    costs["bare Zarr, as ingest and predict"] = totals["traffic_cpu_s"]
    if peer:
        costs["peer, train and all dates"] = totals["peer_cpu_s"]
    rows += [(name, cost, cost / totals["job_cpu_s"]) for name, cost in costs.items()]
    said = [
        f"Ours by plain calls, medians of {found['repeats']}:",
        table(_STEP_HEADER, ours),
        "Beside the others:",
        table(("", "CPU s", "over ours"), rows),
        *([_peer(peer)] if peer else []),
        "Errors in the gaps of land, against the truth:",
        table(("", "MAE K", "RMSE K", "bias K"), _errors(found)),
        _fit(found["fit"]),
        *_missing(found["not_run"]),
    ]
    return said + ([_pipeline(found["pipeline"])] if "pipeline" in found else [])


def _peer(peer: Found) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in peer["versions"].items())
    return (
        f"The peer ({versions}) takes {text(peer['train']['cpu_s'])} CPU s to sample and train on all chunks and "
        f"{text(peer['fill_one_date']['cpu_s'])} CPU s to fill one date; its peak is {text(peer['peak_mb'])} MB."
    )


def _errors(found: Found) -> Rows:
    scores = {**found["scores"], "own floor": found["own_floor"]["scores"]}
    return [(name, *(of[key] for key in ("mae_k", "rmse_k", "bias_k"))) for name, of in scores.items()]


def _fit(fit: Found) -> str:
    return (
        f"The line's MSE on its {fit['samples']:,} training samples is {fit['mse']:.5f} K², the least possible "
        f"{fit['least_mse']:.5f} K²: {100 * fit['excess']:.4f} % above. Keras took {fit['samples_s'] / 1e6:.1f} "
        f"million samples a second over {fit['epochs']} epochs; the best was epoch {fit['best_epoch']}."
    )


def _missing(not_run: Mapping[str, str]) -> list[str]:
    return [f"Not run: {name}: {_short(reason)}." for name, reason in not_run.items()]


def _short(reason: str) -> str:
    """The first line, and what a failed program said last."""
    first, *more = reason.splitlines()
    return f"{first} {more[-1]}" if more else first


def _pipeline(found: Found) -> str:
    keys = ("cpu_s", "wall_s", "inside_s", "overhead_s", "peak_mb")
    rows = [(name, *(row[key] for key in keys)) for name, row in found["steps"].items()]
    header = ("in kfp.local", "CPU s, imports too", "wall s", "inside the step s", "overhead s", "peak MB")
    return (
        f"{table(header, rows)}\n\nThe run took {text(found['wall_s'])} s, opening and closing the workspace "
        f"{text(found['around_s'])} s; the object store took {text(found['store_cpu_s'])} CPU s."
    )


def _growth(found: Found) -> list[str]:
    said, slopes = [], found["slopes"]
    for axis, unit in (("time", "x "), ("area", "")):
        sizes = found[axis]
        for key, label in (("cpu_s", "CPU s"), ("peak_mb", "peak MB")):
            rows = [(name, *(of[name][key] for of in sizes.values()), _last(found, axis, key, name)) for name in STEPS]
            end = "slope" if key == "cpu_s" else "last over first"
            said.append(table((f"{axis}, {label}", *(f"{unit}{size}" for size in sizes), end), rows))
    whole = " and ".join(f"{slopes[axis]['all steps']:.3f} in {axis}" for axis in ("time", "area"))
    return [*said, f"Slope of the processor time of all steps together: {whole}."]


def _last(found: Found, axis: str, key: str, step: str) -> float:
    if key == "cpu_s":
        return float(found["slopes"][axis][step])
    sizes = list(found[axis].values())
    return float(sizes[-1][step][key] / sizes[0][step][key])


def _workers(found: Found) -> list[str]:
    rows = [
        (
            name,
            *(found[name][count]["map_s"] for count in ("1", "2")),
            found[name]["faster"],
            found[name]["apart"],
            found[name]["same_values"],
            max(found[name][count]["worker_peak_mb"] for count in ("1", "2")),
        )
        for name in ("preprocess", "predict")
    ]
    times = ("one s", "two s", "faster", "two processes apart")
    return [table(("wall past the start of the workers", *times, "same values", "a worker's peak MB"), rows)]


def _parts(found: Found) -> list[str]:
    rows = [
        (name, MEANING[name][0], row["rate"], row["bound"], row["share"], MEANING[name][1])
        for name, row in found["rows"].items()
    ]
    return [
        "Rates a CPU second, one core; of the Keras step a second of wall.",
        table(("part", "unit", "ours a s", "bound a s", "share", "bound is"), rows),
    ]


def _remote(found: Found) -> list[str]:
    rows = [(f"{1000 * found['delay_s']:.0f} ms a request", found["direct_s"], found["delayed_s"], found["ratio"])]
    return [table(("ingest, wall", "direct s", "delayed s", "ratio"), rows)]


def _tiles(found: Found) -> list[str]:
    rows = [
        (
            name,
            of["tile_cpu_s"],
            of["predict"]["peak_mb"],
            of["train"]["cpu_s"],
            of["train"]["peak_mb"],
            of["seams"]["core"],
            of["seams"]["outer"],
            found["long"][name]["tile_cpu_s"],
            max(found["long"][name][step]["peak_mb"] for step in ("train", "predict")),
            found["year_cpu_h"][name],
        )
        for name, of in found["models"].items()
    ]
    header = ("predict", "CPU s a tile", "peak MB", "train CPU s", "peak MB", "seam", "at margins")
    first, long = next(iter(found["models"].values())), next(iter(found["long"].values()))
    header += (f"{long['dates']} dates: CPU s a tile", "peak MB", "a year of all land, CPU h")
    west, south, east, north = found["box"]
    about = (
        f"{west} to {east} degrees east, {south} to {north} degrees north, {first['tiles']:.1f} tiles of land, "
        f"{first['dates']} dates; all land is {found['globe']:.0f} tiles. Imports that the line does not need are in "
        "the seconds. A seam is the mean jump across edges over that inside."
    )
    return [about, table(header, rows)]


def _globe(found: Found) -> list[str]:
    rows = [
        (
            name,
            of["predict"]["map_s"],
            of["predict"]["cpu_s"],
            of["predict"]["cpu_s"] / of["tiles"],
            of["predict"]["worker_peak_mb"],
            of["predict"]["peak_mb"],
            of["seams"]["core"],
            of["seams"]["outer"],
        )
        for name, of in found["models"].items()
    ]
    header = (
        "predict",
        "wall s",
        "CPU s",
        "CPU s a tile",
        "a worker's peak MB",
        "the step's peak MB",
        "seam",
        "at margins",
    )
    first = next(iter(found["models"].values()))
    about = f"All land, {first['tiles']:.0f} tiles, {first['dates']} dates; {found['workers']} Dask workers."
    return [about, table(header, rows)]


def _start(found: Found) -> list[str]:
    rows = [(name, row["wall_s"], row["cpu_s"], row["peak_mb"]) for name, row in found["imports"].items()]
    return [f"`python -m lstfill --help`: {found['help_s']:.2f} s.", table(("imports", "wall s", "CPU s", "MB"), rows)]


_SECTIONS: dict[str, tuple[str, Callable[[Found], list[str]]]] = {
    "job": ("The whole job", _job),
    "growth": ("Growth", _growth),
    "workers": ("Workers", _workers),
    "tiles": ("Models of neighbours", _tiles),
    "globe": ("Models of neighbours on the whole cube", _globe),
    "parts": ("Parts", _parts),
    "remote": ("A remote source", _remote),
    "start": ("Start", _start),
}
