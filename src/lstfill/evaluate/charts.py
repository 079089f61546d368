"""Charts of the report: how models and baselines compare, how errors are distributed, whether intervals hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstfill.evaluate import maps
from lstfill.evaluate.maps import FONT, INK

if TYPE_CHECKING:
    from lstfill.evaluate.figures import FigureData

SETS = {"test": "test cells", "held_out_gaps": "held-out gaps"}
COUNTS = colormaps["viridis"].resampled(128)
LINE, SECOND_LINE, BAR = "#0072b2", "#d55e00", "#8da0b6"
# Okabe and Ito (2008): colours that differ with any colour vision; the model that fills comes first.
MODEL_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = "osD^vPX"
BY_GAP = {"gap_size": "size of the gap (cells)", "distance": "distance to an observation (cells)"}


def scatter_figure(data: FigureData, scores: Mapping[str, Any], scored: str = "scored cells") -> Figure:
    """Predicted against observed as a density, with the line of equality and the scores."""
    figure = Figure(figsize=(4.6, 4.1), facecolor="white", layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    maps.style(axes, f"Predicted and observed, {scored}")
    low, high = _occupied(data)
    density = np.ma.masked_equal(data.density, 0)
    norm = LogNorm(1, max(float(data.density.max(initial=1)), 10.0))
    drawn = axes.pcolormesh(data.density_edges, data.density_edges, density.T, cmap=COUNTS, norm=norm)
    axes.plot([low, high], [low, high], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="1:1")
    axes.set(xlim=(low, high), ylim=(low, high))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_xlabel("observed (K)", fontsize=FONT, color=INK)
    axes.set_ylabel("predicted (K)", fontsize=FONT, color=INK)
    axes.text(0.03, 0.97, _numbers(scores), transform=axes.transAxes, va="top", fontsize=FONT, color=INK)
    axes.legend(loc="lower right", fontsize=FONT - 1, frameon=False)
    colour_bar = figure.colorbar(drawn, ax=axes, shrink=0.85, pad=0.02)
    colour_bar.set_label("cells", fontsize=FONT, color=INK)
    colour_bar.ax.tick_params(labelsize=FONT - 1, colors=INK)
    return figure


def residual_figure(data: FigureData, scores: Mapping[str, Any], scored: str = "scored cells") -> Figure:
    """How errors are distributed, with zero and the bias marked."""
    figure = Figure(figsize=(4.6, 3.2), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    maps.style(axes, f"Errors, {scored}")
    total = max(int(data.residual_counts.sum()), 1)
    share = 100 * data.residual_counts / total / np.diff(data.residual_edges)
    axes.stairs(share, data.residual_edges, fill=True, color=BAR)
    axes.axvline(0, color=INK, linewidth=0.8, label="no error")
    if scores["bias_k"] is not None:
        axes.axvline(scores["bias_k"], color=SECOND_LINE, linewidth=1.2, linestyle="--", label=_bias(scores))
    axes.set(xlim=_central(data), ylim=(0, None))
    axes.set_xlabel("predicted − observed (K)", fontsize=FONT, color=INK)
    axes.set_ylabel("cells (% per K)", fontsize=FONT, color=INK)
    axes.legend(fontsize=FONT - 1, frameon=False)
    return figure


def comparison_figure(evaluation: Mapping[str, Any]) -> Figure:
    """Mean absolute error of each model and baseline, the one that fills first, on both sets of cells."""
    rivals = {name: of["scores"] for name, of in evaluation["rivals"].items()}
    rows = {evaluation["model"]: evaluation["scores"], **rivals, **evaluation["baselines"]}
    sets = {name: title for name, title in SETS.items() if any(scores.get(name) for scores in rows.values())}
    figure = Figure(figsize=(4.6, 0.9 + 0.5 * len(rows)), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    maps.style(axes, "Mean absolute error")
    places, height = np.arange(len(rows)), 0.8 / max(len(sets), 1)
    for k, (name, title) in enumerate(sets.items()):
        errors = [(scores.get(name) or {}).get("mae_k") or np.nan for scores in rows.values()]
        bars = axes.barh(
            places + (k - (len(sets) - 1) / 2) * height, errors, height * 0.92, color=(LINE, BAR)[k], label=title
        )
        axes.bar_label(bars, ["" if np.isnan(e) else f"{e:.2f}" for e in errors], fontsize=FONT - 1, padding=2)
    axes.set_yticks(places, [words(name).lower() for name in rows])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("MAE (K)", fontsize=FONT, color=INK)
    axes.legend(fontsize=FONT - 1, frameon=False, loc="lower right")
    return figure


def by_gap_figure(evaluation: Mapping[str, Any], scored: str) -> Figure:
    """Mean absolute error of each model by size of the gap and by distance to the nearest observation."""
    groups = {group: title for group, title in BY_GAP.items() if _by_label(evaluation["groups"], group, scored)}
    figure = Figure(figsize=(4.6, 0.3 + 2.9 * len(groups)), facecolor="white", layout="constrained")
    for axes, (group, title) in zip(np.atleast_1d(figure.subplots(len(groups), 1)), groups.items(), strict=True):
        labels = list(_by_label(evaluation["groups"], group, scored))
        for k, (name, model) in enumerate(_models(evaluation).items()):
            errors = _by_label(model["groups"], group, scored)
            values = [errors.get(label, np.nan) for label in labels]
            axes.plot(labels, values, **_look(k), label=words(name))
        maps.style(axes, f"Error by {title.split(' (')[0]}, {SETS[scored]}")
        axes.set_ylim(0, None)
        axes.set_xlabel(title, fontsize=FONT, color=INK)
        axes.set_ylabel("MAE (K)", fontsize=FONT, color=INK)
        _legend(axes, "best")
    return figure


def has_gap_groups(evaluation: Mapping[str, Any], scored: str) -> bool:
    """Whether there is anything for ``by_gap_figure`` to show."""
    return any(_by_label(evaluation["groups"], group, scored) for group in BY_GAP)


def reliability_figure(evaluation: Mapping[str, Any], scored: str) -> Figure:
    """Share of the observed values inside central intervals against what these promise, for each model.

    Above the diagonal intervals are too wide, below it too narrow (Murphy and Winkler 1977, "Reliability of subjective
    probability forecasts", J. R. Stat. Soc. C 26).
    """
    figure = Figure(figsize=(4.6, 4.1), facecolor="white", layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    maps.style(axes, f"Reliability of the intervals, {SETS[scored]}")
    axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="as promised")
    for k, (name, model) in enumerate(_models(evaluation).items()):
        levels = (model["intervals"].get(scored) or {}).get("levels", {})
        if levels:
            nominal = [100 * float(level) for level in levels]
            axes.plot(nominal, [100 * row["inside"] for row in levels.values()], **_look(k), label=words(name))
    axes.set(xlim=(40, 100), ylim=(40, 100))
    axes.set_xlabel("nominal share (%)", fontsize=FONT, color=INK)
    axes.set_ylabel("share of observed values inside (%)", fontsize=FONT, color=INK)
    _legend(axes, "upper left")
    return figure


def has_intervals(evaluation: Mapping[str, Any], scored: str) -> bool:
    """Whether any model has intervals to draw."""
    return any(model["intervals"].get(scored) for model in _models(evaluation).values())


def words(name: str) -> str:
    """A variable's name as a title."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _models(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Groups and intervals of each model, the one that fills first."""
    return {evaluation["model"]: evaluation, **evaluation["rivals"]}


def _by_label(groups: Mapping[str, Any], group: str, scored: str) -> dict[str, float]:
    rows = {label: row.get(scored) for label, row in groups.get(group, {}).items()}
    return {label: scores["mae_k"] for label, scores in rows.items() if scores}


def _look(number: int) -> dict[str, Any]:
    """Line and marker of a model; the first, which fills, stands above the others."""
    colour, marker = (of[number % len(of)] for of in (MODEL_COLOURS, MARKERS))
    width = 1.8 if number == 0 else 1.1
    return {"color": colour, "marker": marker, "markersize": 4, "linewidth": width, "zorder": 3 - 0.1 * number}


def _legend(axes: Axes, place: Literal["best", "upper left"]) -> None:
    axes.legend(fontsize=FONT - 1, frameon=False, loc=place)


def _occupied(data: FigureData) -> tuple[float, float]:
    """Range in K that holds all but a ten-thousandth of the cells on either axis."""
    cells = data.density.sum(0) + data.density.sum(1)
    if not cells.any():
        return float(data.density_edges[0]), float(data.density_edges[-1])
    below = np.cumsum(cells) / cells.sum()
    first, last = (int(np.searchsorted(below, share)) for share in (1e-4, 1 - 1e-4))
    return float(data.density_edges[first]) - 1, float(data.density_edges[min(last + 1, len(cells))]) + 1


def _central(data: FigureData) -> tuple[float, float]:
    """Range about zero that holds all but 1 % of the errors."""
    counts, edges = data.residual_counts, np.asarray(data.residual_edges, float)
    if not counts.any():
        return float(edges[0]), float(edges[-1])
    below = np.cumsum(counts) / counts.sum()
    first, last = (int(np.searchsorted(below, share)) for share in (0.005, 0.995))
    limit = max(abs(edges[first]), abs(edges[min(last + 1, len(counts))]))
    return -limit, limit


def _numbers(scores: Mapping[str, Any]) -> str:
    names = {"mae_k": "MAE {:.2f} K", "rmse_k": "RMSE {:.2f} K", "bias_k": "bias {:+.2f} K", "r2": "R² {:.3f}"}
    lines = [text.format(scores[name]) for name, text in names.items() if scores[name] is not None]
    return "\n".join([*lines, f"n {scores['n']:,}".replace(",", " ")])


def _bias(scores: Mapping[str, Any]) -> str:
    return f"bias {scores['bias_k']:+.2f} K"
