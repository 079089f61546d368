"""The figures of the report, each a function from data to a matplotlib figure; nothing global, no screen needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lstfill.cube.flags import SourceFlag
from lstfill.evaluate import maps
from lstfill.evaluate.maps import FONT, INK, Grid
from lstfill.model.base import History
from lstfill.split.blocks import Part
from lstfill.train.figure import loss_figure

SETS = {"test": "test cells", "held_out_gaps": "held-out gaps"}
# Even steps of lightness, readable with any colour vision; 128 steps keep the pictures small.
VALUES, SPREADS, ERRORS, COUNTS = (
    colormaps[name].resampled(128) for name in ("inferno", "viridis", "RdBu_r", "viridis")
)
# Okabe and Ito (2008): colours that differ with any colour vision.
PART_COLOURS = {
    Part.TRAIN: "#56b4e9", Part.VALIDATION: "#f0e442", Part.TEST: "#d55e00", Part.NONE: "#d9d9d9"
}  # fmt: skip
HELD_OUT_COLOUR = "#1b1b1b"
FLAG_COLOURS = {
    SourceFlag.OBSERVED: "#3b528b",
    SourceFlag.FILLED: "#56b4e9",
    SourceFlag.EXTRAPOLATED: "#e69f00",
    SourceFlag.NOT_FILLABLE: maps.OFF_LAND,
}
LINE, SECOND_LINE, BAR = "#0072b2", "#d55e00", "#8da0b6"


@dataclass(frozen=True)
class FigureData:
    """All that the figures show: the maps of one date, and distributions over all scored cells.

    Attributes:
        date: of the maps.
        lat: latitudes ``(lat,)`` in degrees north, in either direction.
        lon: longitudes ``(lon,)`` in degrees east.
        land: cells with a meaning ``(lat, lon)``.
        feature_name: the first feature.
        feature: its values ``(lat, lon)``.
        target: observed values ``(lat, lon)`` in K, NaN in gaps.
        part: code of the split ``(lat, lon)``, ``lstfill.split.blocks.Part``.
        held_out: observed values that were hidden ``(lat, lon)``; None where none were.
        filled: the filled target ``(lat, lon)`` in K.
        flag: ``SourceFlag`` of each filled value ``(lat, lon)``.
        uncertainty: of the filled target ``(lat, lon)`` in K.
        error_lat: latitudes of the error map, of either direction.
        error_lon: longitudes of the error map.
        error_mean: mean of predicted minus observed in K over all dates, NaN where nothing was scored.
        error_n: number of residuals behind each mean.
        density: number of scored cells ``(observed, predicted)``.
        density_edges: borders of both axes of ``density`` in K.
        residual_counts: number of scored cells by predicted minus observed.
        residual_edges: borders of ``residual_counts`` in K.
        history: of the fit, from ``History.to_dict``; None for a model that was not trained in this run.
        feature_unit: of the feature.
        target_name: name of the variable.
    """

    date: np.datetime64
    lat: NDArray[np.floating]
    lon: NDArray[np.floating]
    land: NDArray[np.bool_]
    feature_name: str
    feature: NDArray[np.floating]
    target: NDArray[np.floating]
    part: NDArray[np.int8]
    held_out: NDArray[np.bool_] | None
    filled: NDArray[np.floating]
    flag: NDArray[np.uint8]
    uncertainty: NDArray[np.floating]
    error_lat: NDArray[np.floating]
    error_lon: NDArray[np.floating]
    error_mean: NDArray[np.floating]
    error_n: NDArray[np.integer]
    density: NDArray[np.integer]
    density_edges: NDArray[np.floating]
    residual_counts: NDArray[np.integer]
    residual_edges: NDArray[np.floating]
    history: Mapping[str, Any] | None = None
    feature_unit: str = "K"
    target_name: str = "land_surface_temperature"


class Drawings(Mapping[str, Figure]):
    """Figures by name, each drawn when it is asked for and kept by nobody else: together they would fill the memory."""

    def __init__(self, drawings: Mapping[str, Callable[[], Figure]]) -> None:
        """Takes what draws each figure."""
        self._drawings = drawings

    def __getitem__(self, name: str) -> Figure:
        """Draws a figure."""
        return self._drawings[name]()

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of their appearance."""
        return iter(self._drawings)

    def __len__(self) -> int:
        """Number of figures."""
        return len(self._drawings)


def figures(data: FigureData, evaluation: Mapping[str, Any]) -> Drawings:
    """All figures of a report by name, in the order of their appearance.

    Args:
        data: what they show.
        evaluation: the scores that stand in them; ``spread.source`` names the cells that were scored.
    """
    scored = str(evaluation["spread"]["source"])
    scores = evaluation["scores"].get(scored) or evaluation["scores"]["test"]
    cells = SETS.get(scored, scored)
    drawn: dict[str, Callable[[], Figure]] = {
        "feature": partial(feature_map, data),
        "target": partial(target_map, data),
        "split": partial(split_map, data),
        "filled": partial(filled_map, data),
        "source": partial(source_map, data),
        "uncertainty": partial(uncertainty_map, data),
        "error": partial(error_map, data, cells),
        "comparison": partial(comparison_figure, evaluation),
        "scatter": partial(scatter_figure, data, scores, cells),
        "residuals": partial(residual_figure, data, scores, cells),
    }
    if data.history is not None:
        drawn["loss"] = partial(loss_figure, History.from_dict(data.history))
    return Drawings(drawn)


def feature_map(data: FigureData) -> Figure:
    """The first feature on the date of the maps."""
    title = f"{words(data.feature_name)}, {day(data)}"
    return _value_map(data, data.feature, title, value_range(data.feature), data.feature_unit)


def target_map(data: FigureData) -> Figure:
    """The target as observed; land without a value is grey."""
    title = f"{words(data.target_name)}, observed, {day(data)}"
    return _value_map(data, data.target, title, target_range(data))


def filled_map(data: FigureData) -> Figure:
    """The filled target, in the colours of the observed one."""
    title = f"{words(data.target_name)}, filled, {day(data)}"
    return _value_map(data, data.filled, title, target_range(data))


def uncertainty_map(data: FigureData) -> Figure:
    """The uncertainty of the filled target, where there was no observation."""
    added = (data.flag == SourceFlag.FILLED) | (data.flag == SourceFlag.EXTRAPOLATED)
    known = np.where(added, data.uncertainty, np.nan)
    title = f"Uncertainty of the filled values, {day(data)}"
    largest = float(np.nanmax(known)) if np.isfinite(known).any() else 0.0
    return _value_map(data, known, title, (0.0, largest or 1.0), colours=SPREADS)


def split_map(data: FigureData) -> Figure:
    """The parts of the split on land, with the values that were held out."""
    names = {part: part.name.lower() for part in PART_COLOURS}
    labels = [*names.values(), "held-out gap"]
    code = np.where(data.land, data.part, np.nan)
    if data.held_out is None:
        labels.pop()
    else:
        code = np.where(data.held_out, len(names), code)
    return _class_map(data, code, f"Split, {day(data)}", labels, [*PART_COLOURS.values(), HELD_OUT_COLOUR])


def source_map(data: FigureData) -> Figure:
    """Where each value of the filled cube comes from."""
    labels = [flag.name.lower().replace("_", " ") for flag in FLAG_COLOURS]
    title = f"Source of each value, {day(data)}"
    return _class_map(data, data.flag.astype(float), title, labels, list(FLAG_COLOURS.values()))


def error_map(data: FigureData, scored: str = "scored cells") -> Figure:
    """The mean residual over all dates; zero is white."""
    limit = symmetric_limit(data.error_mean)
    grid, land_grid = Grid.of(data.error_lat, data.error_lon), Grid.of(data.lat, data.lon)
    figure, axes, bar = maps.map_figure(land_grid.extent, f"Mean error, {scored}, all dates")
    maps.paint_where(axes, data.land, land_grid, maps.NO_VALUE)
    drawn = maps.paint(axes, data.error_mean, grid, ERRORS, Normalize(-limit, limit))
    maps.coast(axes, data.land, land_grid)
    maps.value_bar(bar, drawn, "predicted − observed (K)", _clipped(data.error_mean, (-limit, limit)))
    return figure


def lead_figure(data: FigureData) -> Figure:
    """Before and after, side by side under one colour bar: the picture that says what the package does."""
    grid = Grid.of(data.lat, data.lon)
    figure = Figure(figsize=_lead_size(grid), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    titles = (f"Observed, {day(data)}: {_missing_share(data)} of the land has no value", f"Filled, {day(data)}")
    for axes, field, title in zip((left, right), (data.target, data.filled), titles, strict=True):
        maps.frame(axes, grid.extent, title)
        drawn = _paint_values(axes, data, field, grid, target_range(data), VALUES)
    label = f"{words(data.target_name)} (K)"
    colour_bar = figure.colorbar(drawn, ax=[left, right], shrink=0.8, aspect=25, pad=0.01, extend="both")
    colour_bar.set_label(label, fontsize=FONT, color=INK)
    colour_bar.ax.tick_params(labelsize=FONT - 1, colors=INK)
    return figure


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
    """Mean absolute error of the model and of each baseline, on both sets of cells."""
    rows = {"model": evaluation["scores"], **evaluation["baselines"]}
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


def words(name: str) -> str:
    """A variable's name as a title."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def day(data: FigureData) -> str:
    """The date of the maps."""
    return str(data.date.astype("datetime64[D]"))


def value_range(field: NDArray[np.floating]) -> tuple[float, float]:
    """Colour range from the 1st to the 99th percentile, never empty."""
    finite = field[np.isfinite(field)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (1, 99))
    return (float(low), float(high)) if high - low > 1e-6 else (float(low) - 0.5, float(high) + 0.5)


def target_range(data: FigureData) -> tuple[float, float]:
    """One colour range for the observed and the filled target, so that their maps can be compared."""
    return value_range(np.concatenate([data.target.ravel(), data.filled.ravel()]))


def symmetric_limit(field: NDArray[np.floating]) -> float:
    """Half the width of a colour range about zero: the 98th percentile of the magnitudes."""
    finite = np.abs(field[np.isfinite(field)])
    return max(float(np.percentile(finite, 98)), 1e-3) if finite.size else 1.0


def _value_map(
    data: FigureData,
    field: NDArray[np.floating],
    title: str,
    limits: tuple[float, float],
    unit: str = "K",
    colours: Colormap = VALUES,
) -> Figure:
    grid = Grid.of(data.lat, data.lon)
    figure, axes, bar = maps.map_figure(grid.extent, title)
    drawn = _paint_values(axes, data, field, grid, limits, colours)
    maps.value_bar(bar, drawn, unit, _clipped(field, limits))
    return figure


def _paint_values(
    axes: Axes,
    data: FigureData,
    field: NDArray[np.floating],
    grid: Grid,
    limits: tuple[float, float],
    colours: Colormap,
) -> Any:
    maps.paint_where(axes, data.land & ~np.isfinite(field), grid, maps.NO_VALUE)
    drawn = maps.paint(axes, field, grid, colours, Normalize(*limits))
    maps.coast(axes, data.land, grid)
    return drawn


def _class_map(
    data: FigureData, code: NDArray[np.floating], title: str, labels: list[str], colours: list[str]
) -> Figure:
    grid = Grid.of(data.lat, data.lon)
    figure, axes, bar = maps.map_figure(grid.extent, title)
    drawn = maps.paint(axes, code, grid, *maps.classes(colours[: len(labels)]))
    maps.coast(axes, data.land, grid)
    maps.class_bar(bar, drawn, labels)
    return figure


def _clipped(field: NDArray[np.floating], limits: tuple[float, float]) -> tuple[bool, bool]:
    finite = field[np.isfinite(field)]
    return bool((finite < limits[0]).any()), bool((finite > limits[1]).any())


def _lead_size(grid: Grid) -> tuple[float, float]:
    west, east, south, north = grid.extent
    ratio = (north - south) / (east - west) / max(float(np.cos(np.deg2rad((north + south) / 2))), 0.2)
    return 11.0, min(4.9 * ratio, 6.0) + 0.55


def _missing_share(data: FigureData) -> str:
    return f"{100 * np.mean(~np.isfinite(data.target[data.land])):.0f} %" if data.land.any() else "none"


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
