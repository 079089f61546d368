"""The report of a run: one HTML file that needs nothing else, for people and for a sandboxed frame."""

from __future__ import annotations

import base64
import gc
import importlib.resources
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lstfill.cube.flags import SourceFlag
from lstfill.evaluate.charts import SETS, words
from lstfill.evaluate.figures import FigureData, day, figures
from lstfill.model.calibration import LEVELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Kubeflow shows a report from one string: pictures are drawn coarser until the whole stays below this.
LARGEST = 2_000_000
_FOR_TEXT = 250_000
_DPI = (160, 120, 90, 60)
GROUP_TITLES = {
    "latitude": "latitude band",
    "season": "season (calendar months)",
    "gap_size": "size of the gap in cells",
    "distance": "distance to the nearest observation of the date, in cells",
    "days": "days to the nearest observation of the cell",
}

_CLEAR_SKY = (
    "Filled values are clear-sky equivalents: what the surface would have without the cloud above it. The surface "
    "under a real cloud is often cooler by day and warmer by night."
)
_UNCERTAINTY = (
    "The uncertainty is that of a single filled value. Neighbouring errors go together, so the error of an average "
    "does not fall with the root of the number of cells. It contains neither the difference between clear and cloudy "
    "sky nor what extrapolation adds."
)
_OUTLIERS = (
    "The largest errors are not always the model's: an observation far below the prediction, often with others near "
    "it, is what an undetected cloud looks like. Such values are scored like all others, and spoil RMSE more than MAE."
)
_IN_TABLE = ("asked", "reached", "bands")


@dataclass(frozen=True)
class Picture:
    """A figure as it is encoded once, for the page and for whoever else shows it.

    Attributes:
        png: the file.
        width: on the page, in CSS pixels.
        height: on the page, in CSS pixels.
    """

    png: bytes
    width: int
    height: int

    @property
    def data(self) -> str:
        """The file as the page holds it, in base64."""
        return base64.b64encode(self.png).decode()


def render(
    run: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    data: FigureData,
    drawn: Mapping[str, Picture] | None = None,
) -> str:
    """Makes the page.

    Args:
        run: what was run on which data: ``title``, ``source``, ``identity``, ``time``, ``grid``, ``bbox_deg``,
            ``config``, ``mask_digest``, ``split_report``, ``model``, ``versions``, ``created``.
        evaluation: the scores.
        data: what the figures show.
        drawn: the figures, if they are encoded already (``pictures``).

    Returns:
        HTML below ``LARGEST`` bytes, with its pictures inside, without a script or an address outside.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters.update(words=words, count_of=count_of)
    template = importlib.resources.files("lstfill.evaluate").joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        run=run,
        evaluation=evaluation,
        date=day(data),
        sets={name: words(title) for name, title in SETS.items()},
        group_titles=GROUP_TITLES,
        verdict=verdict(evaluation),
        equation=equation(run["model"], str(evaluation["target"])),
        ranges=_ranges(run["model"]),
        box=_box(run["bbox_deg"]),
        captions=_captions(data, evaluation),
        pictures=pictures(figures(data, evaluation)) if drawn is None else drawn,
        coverage=coverage(evaluation["flags"]),
        compared={name: side_by_side(evaluation, name) for name in SETS},
        rivals=list(evaluation["rivals"]),
        levels=LEVELS,
        outlier_note=_OUTLIERS,
        shares=_shares(run["split_report"]),
        share_parts=list(run["split_report"].get("asked", {})),
        split_facts=list(_facts({key: of for key, of in run["split_report"].items() if key not in _IN_TABLE})),
        configuration=list(_facts(run["config"])),
        notes=notes(run, evaluation),
    )


def verdict(evaluation: Mapping[str, Any]) -> str:
    """The result in one sentence: the error behind gaps beside that of the best baseline."""
    name, where = _best_set(evaluation)
    scores = evaluation["scores"].get(name)
    if not scores or scores["mae_k"] is None:
        return "Nothing could be scored."
    rivals = {key: (both.get(name) or {}).get("mae_k") for key, both in evaluation["baselines"].items()}
    errors = {key: error for key, error in rivals.items() if error is not None}
    start = f"{where} the model is off by {scores['mae_k']:.2f} K in the mean (MAE)"
    if not errors:
        return f"{start}; no baseline was scored beside it."
    best = min(errors, key=lambda key: errors[key])
    beside = f"the best baseline, {words(best).lower()} ({errors[best]:.2f} K)"
    return f"{start}, {_compared(scores['mae_k'], errors[best])} {beside}.{_held(evaluation, name)}"


def _held(evaluation: Mapping[str, Any], scored: str) -> str:
    """How many values the intervals hold, where there are intervals."""
    intervals = evaluation["intervals"].get(scored)
    return f" Its 90 % intervals hold {100 * intervals['coverage_90']:.0f} % of the values." if intervals else ""


def side_by_side(evaluation: Mapping[str, Any], scored: str) -> list[dict[str, Any]]:
    """Rows of the comparison: the model that fills, the other models, the baselines.

    Args:
        evaluation: the scores.
        scored: the set of cells; no rows if it was not scored.
    """
    if not evaluation["scores"].get(scored):
        return []
    models = {evaluation["model"]: evaluation, **evaluation["rivals"]}
    rows = [
        {"name": name, "scores": of["scores"][scored], "intervals": of["intervals"].get(scored)}
        for name, of in models.items()
    ]
    rows += [{"name": n, "scores": of.get(scored), "intervals": None} for n, of in evaluation["baselines"].items()]
    tests = evaluation["paired"].get(scored) or {}
    return [{**row, "test": tests.get(row["name"]), "main": row["name"] == evaluation["model"]} for row in rows]


def _best_set(evaluation: Mapping[str, Any]) -> tuple[str, str]:
    if evaluation["scores"].get("held_out_gaps"):
        return "held_out_gaps", "Behind held-out gaps"
    return "test", "On test cells (no gaps were held out)"


def _compared(error: float, best: float) -> str:
    if f"{error:.2f}" == f"{best:.2f}":
        return "no better and no worse than"
    change = f"{100 * abs(1 - error / best):.0f} %" if best else f"{error - best:.2f} K"
    return f"{change} less than" if error < best else f"{change} more than"


def equation(model: Mapping[str, Any], target: str) -> str:
    """The model as a formula in the stored units, K for temperatures; its name where it has no coefficients."""
    parameters = model.get("parameters") or model.get("coefficients") or {}
    slopes = parameters.get("slope") or {}
    if not slopes:
        return f"{target} = {model.get('model', 'model')}({', '.join(_features(model))})"
    terms = " ".join(f"{_sign(slope)} {abs(slope):.4f} · {name}" for name, slope in slopes.items())
    intercept = float(parameters["intercept"])
    return f"{target} = {terms.removeprefix('+ ')} {_sign(intercept)} {abs(intercept):.2f} K"


def _sign(number: float) -> str:
    return "−" if number < 0 else "+"


def _features(model: Mapping[str, Any]) -> list[str]:
    return [str(feature["name"]) for feature in model.get("features", [])]


def _ranges(model: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{of['name']} {of['range'][0]:.1f} to {of['range'][1]:.1f} {of['units']}" for of in model.get("features", [])
    )


def _box(bbox_deg: Any) -> str:
    west, south, east, north = (f"{float(value):g}" for value in bbox_deg)
    return f"longitude {west} to {east}, latitude {south} to {north} degrees"


def pictures(drawn: Mapping[str, Figure]) -> dict[str, Picture]:
    """Encodes figures, coarser if need be, so that all together leave room for the text."""
    encoded: dict[str, Picture] = {}
    for dpi in _DPI:
        with _collecting() as collect:
            for name, figure in drawn.items():
                encoded[name] = _picture(figure, dpi)
                collect()
        if sum(len(picture.data) for picture in encoded.values()) <= LARGEST - _FOR_TEXT:
            break
    return encoded


@contextmanager
def _collecting() -> Iterator[Callable[[], int]]:
    """Frees what is drawn from now on when told to: figures hang together in circles, a dozen hold 150 MB.

    What is there already is set aside meanwhile, so that collecting costs nothing to speak of.
    """
    gc.freeze()
    try:
        yield gc.collect
    finally:
        gc.unfreeze()


def _picture(figure: Figure, dpi: int) -> Picture:
    width, height = (round(inches * 88) for inches in figure.get_size_inches())
    return Picture(png(figure, dpi), width, height)


def png(figure: Figure, dpi: int = 160) -> bytes:
    """A figure as PNG with a palette: a third of the bytes, and no visible difference with 128-step colour maps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    small, canvas = io.BytesIO(), cast("Any", FigureCanvasAgg(figure))
    figure.set_dpi(dpi)
    canvas.draw()
    # The smallest file takes six times as long to pack as one that is 5 % larger.
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(small, format="png")
    return small.getvalue()


def coverage(flags: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cells and percent of each source flag, on land and altogether."""
    names = SourceFlag.meanings()
    land = flags.get("land") or {}
    totals = [max(sum(of.get(name, 0) for name in names), 1) for of in (land, flags)]
    return [
        {
            "flag": name,
            "land": land.get(name, 0),
            "land_percent": 100 * land.get(name, 0) / totals[0],
            "all": flags[name],
            "all_percent": 100 * flags[name] / totals[1],
        }
        for name in names
    ]


def count_of(number: int) -> str:
    """A count with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u2009")


def _shares(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table of the split: what was asked, what was reached, and each latitude band."""
    rows = {name: report[name] for name in ("asked", "reached") if name in report} | dict(report.get("bands", {}))
    return [
        {"label": label, "percent": {part: None if share is None else 100 * share for part, share in row.items()}}
        for label, row in rows.items()
    ]


def _facts(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _facts(value, f"{prefix}{key}.")
        else:
            yield (
                f"{prefix}{key}",
                value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False),
            )


def _captions(data: FigureData, evaluation: Mapping[str, Any]) -> dict[str, str]:
    scored = SETS[evaluation["scored"]]
    return {
        "feature": "The first feature the target is learned from. The line is the coast of the land mask.",
        "target": "The target as observed. Grey is land without a value.",
        "split": "Which cells train, stop the fit, and test."
        + ("" if data.held_out is None else " Black: observed values hidden from everything before scoring."),
        "filled": "Observed and filled values in the colours of the map of observations. Grey could not be filled.",
        "source": "Where each value comes from. Extrapolated: a feature lies outside the range trained on, or nothing "
        "is seen of the cell or of the date around it.",
        "uncertainty": "Standard uncertainty of filled values only. Grey is observed, or could not be filled.",
        "error": f"Mean of predicted minus observed over all dates on {scored}; white is zero, grey was not scored.",
        "error_uncertainty": "The two should agree by eye: where the map on the right is bright, errors on the left "
        "are large, if not in every cell. Scored cells of the date only.",
        "comparison": "The model that fills first, then the other models and the baselines.",
        "by_gap": "The harder the gap, the larger the error; each model on the cells that it predicts.",
        "reliability": "Below the dashed line intervals are too narrow, above it too wide.",
        "scatter": "Number of cells on a logarithmic scale; the dashed line is equality.",
        "residuals": f"Distribution of predicted minus observed on {scored}.",
        "loss": "The ring marks the epoch whose weights were kept.",
    }


def notes(run: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[str]:
    """What these scores say and what they do not."""
    split = run["config"].get("split", {})
    facts = [_CLEAR_SKY, _note_on_gaps(evaluation), _note_on_split(split), _UNCERTAINTY]
    if evaluation["flags"].get("extrapolated"):
        facts.append(
            "Extrapolated values rest on features outside the range trained on, or on no observation near them: their "
            "uncertainty is that of other values, so treat them with care."
        )
    return facts


def _note_on_gaps(evaluation: Mapping[str, Any]) -> str:
    if not evaluation["scores"].get("held_out_gaps"):
        return "No gaps were held out: the scores are those of observed cells, and real gaps may be filled worse."
    return (
        "Held-out gaps are cut out of clear pixels. They have the shape of real gaps, but say nothing of the bias "
        "under cloud, which no thermal infrared sensor can see."
    )


def _note_on_split(split: Mapping[str, Any]) -> str:
    if split.get("kind") == "random":
        return "The split is random by cell: test cells have training cells beside them, so test scores look too good."
    buffer = split.get("buffer") or {}
    apart = any(buffer.values())
    return "The split is by blocks, so most test cells lie far from training cells; " + (
        "a buffer keeps the parts apart at the borders of blocks."
        if apart
        else "cells at the borders of blocks still have training cells beside them, as no buffer was asked for."
    )
