"""The figures of the report, each a function from data to a matplotlib figure; nothing global, no screen needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lstfill.cube.flags import SourceFlag
from lstfill.evaluate import charts, maps
from lstfill.evaluate.charts import SETS, words
from lstfill.evaluate.maps import FONT, INK, Grid
from lstfill.model.base import History
from lstfill.split.blocks import Part
from lstfill.train.figure import loss_figure

# Even steps of lightness, readable with any colour vision; 128 steps keep the pictures small.
VALUES, SPREADS, ERRORS = (colormaps[name].resampled(128) for name in ("inferno", "viridis", "RdBu_r"))
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


@dataclass(frozen=True)
class FigureData:
    """All that the figures show: the maps of one date, and distributions over all scored cells.

    Attributes:
        date: of the maps.
        lat: latitudes ``(lat,)`` in degrees north, in either direction.
        lon: longitudes ``(lon,)`` in degrees east.
        land: cells with a meaning ``(lat, lon)``.
        target: observed values ``(lat, lon)`` in K, NaN in gaps.
        part: code of the split ``(lat, lon)``, ``lstfill.split.blocks.Part``.
        filled: the filled target ``(lat, lon)`` in K.
        flag: ``SourceFlag`` of each filled value ``(lat, lon)``.
        uncertainty: of the filled target ``(lat, lon)`` in K.
        error: predicted minus observed where a value was hidden or belongs to the test part ``(lat, lon)`` in K, NaN
            elsewhere.
        error_uncertainty: standard uncertainty of the predicted value there ``(lat, lon)`` in K.
        error_lat: latitudes of the error map, of either direction.
        error_lon: longitudes of the error map.
        error_mean: mean of predicted minus observed in K over all dates, NaN where nothing was scored.
        error_n: number of residuals behind each mean.
        density: number of scored cells ``(observed, predicted)``.
        density_edges: borders of both axes of ``density`` in K.
        residual_counts: number of scored cells by predicted minus observed.
        residual_edges: borders of ``residual_counts`` in K.
        history: of the fit, from ``History.to_dict``; None for a model that was not trained in this run.
        held_out: observed values that were hidden ``(lat, lon)``; None where none were.
        feature: values of the first feature ``(lat, lon)``; None of a cube without one.
        feature_name: its name.
        feature_unit: its unit.
        target_name: name of the variable.
    """

    date: np.datetime64
    lat: NDArray[np.floating]
    lon: NDArray[np.floating]
    land: NDArray[np.bool_]
    target: NDArray[np.floating]
    part: NDArray[np.int8]
    filled: NDArray[np.floating]
    flag: NDArray[np.uint8]
    uncertainty: NDArray[np.floating]
    error: NDArray[np.floating]
    error_uncertainty: NDArray[np.floating]
    error_lat: NDArray[np.floating]
    error_lon: NDArray[np.floating]
    error_mean: NDArray[np.floating]
    error_n: NDArray[np.integer]
    density: NDArray[np.integer]
    density_edges: NDArray[np.floating]
    residual_counts: NDArray[np.integer]
    residual_edges: NDArray[np.floating]
    history: Mapping[str, Any] | None = None
    held_out: NDArray[np.bool_] | None = None
    feature: NDArray[np.floating] | None = None
    feature_name: str = ""
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
        evaluation: the scores that stand in them; ``scored`` names the cells that were scored.
    """
    scored = str(evaluation["scored"])
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
        "error_uncertainty": partial(error_beside_uncertainty, data),
        "comparison": partial(charts.comparison_figure, evaluation),
        "by_gap": partial(charts.by_gap_figure, evaluation, scored),
        "reliability": partial(charts.reliability_figure, evaluation, scored),
        "scatter": partial(charts.scatter_figure, data, scores, cells),
        "residuals": partial(charts.residual_figure, data, scores, cells),
    }
    there = {
        "feature": data.feature is not None,
        "uncertainty": bool(np.isfinite(data.uncertainty).any()),
        "error_uncertainty": bool(np.isfinite(data.error_uncertainty).any()),
        "by_gap": charts.has_gap_groups(evaluation, scored),
        "reliability": charts.has_intervals(evaluation, scored),
    }
    drawn = {name: draw for name, draw in drawn.items() if there.get(name, True)}
    if data.history is not None:
        drawn["loss"] = partial(loss_figure, History.from_dict(data.history))
    return Drawings(drawn)


def feature_map(data: FigureData) -> Figure:
    """The first feature on the date of the maps, of data that have one."""
    if data.feature is None:
        raise ValueError("there is no feature to draw")
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


def error_beside_uncertainty(data: FigureData) -> Figure:
    """The size of the error beside the uncertainty that the model gave, of the same cells in the same colours.

    Where the uncertainty is right, two thirds of the cells on the left are darker than on the right.
    """
    known = np.isfinite(data.error_uncertainty)
    off = np.where(known, np.abs(data.error), np.nan)
    limit = float(np.percentile(np.concatenate([off[known], data.error_uncertainty[known]]), 95)) or 1.0
    titles = (f"Size of the error, {day(data)}", "Standard uncertainty of the same cells")
    return _pair(data, (off, data.error_uncertainty), titles, (0.0, limit), SPREADS, "K", "max")


def lead_figure(data: FigureData) -> Figure:
    """Before and after, side by side under one colour bar: the picture that says what the package does."""
    titles = (f"Observed, {day(data)}: {_missing_share(data)} of the land has no value", f"Filled, {day(data)}")
    label = f"{words(data.target_name)} (K)"
    return _pair(data, (data.target, data.filled), titles, target_range(data), VALUES, label, "both")


def day(data: FigureData) -> str:
    """The date of the maps, with the time of the day unless that is midnight."""
    midnight = data.date.astype("datetime64[D]")
    return str(midnight) if data.date == midnight else str(data.date.astype("datetime64[m]")).replace("T", " ")


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


def _pair(
    data: FigureData,
    fields: tuple[NDArray[np.floating], NDArray[np.floating]],
    titles: tuple[str, str],
    limits: tuple[float, float],
    colours: Colormap,
    label: str,
    extend: str,
) -> Figure:
    """Two maps side by side under one colour bar."""
    grid = Grid.of(data.lat, data.lon)
    figure = Figure(figsize=_lead_size(grid), facecolor="white", layout="constrained")
    both = list(figure.subplots(1, 2, sharey=True))
    for axes, field, title in zip(both, fields, titles, strict=True):
        maps.frame(axes, grid.extent, title)
        drawn = _paint_values(axes, data, field, grid, limits, colours)
    colour_bar = figure.colorbar(drawn, ax=both, shrink=0.8, aspect=25, pad=0.01, extend=extend)
    colour_bar.set_label(label, fontsize=FONT, color=INK)
    colour_bar.ax.tick_params(labelsize=FONT - 1, colors=INK)
    return figure


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
