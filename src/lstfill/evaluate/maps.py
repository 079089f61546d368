"""Maps drawn the right way up: north on top, each cell where its coordinates say, coasts from the mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

# Drawn columns and rows at most: more than a page can show only makes the file heavy.
MAX_CELLS = 1080
INK = "#222222"
OFF_LAND = "#eef1f4"
NO_VALUE = "#b9b9b9"
FONT = 8.5

# A map with its colour bar, in inches: fixed margins let the maps of a page line up.
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 5.6, 0.55, 1.1, 0.36, 0.34
_HIGHEST = 4.6
_BAR_GAP, _BAR = 0.1, 0.13


@dataclass(frozen=True)
class Grid:
    """Which cells are drawn, and where.

    Attributes:
        rows: index into the stored latitudes, south first.
        columns: index into the stored longitudes, west first.
        lat_edges: borders of the drawn rows in degrees, one more than rows, growing.
        lon_edges: borders of the drawn columns in degrees, one more than columns, growing.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    lat_edges: NDArray[np.float64]
    lon_edges: NDArray[np.float64]

    @classmethod
    def of(cls, lat: NDArray[np.floating], lon: NDArray[np.floating]) -> Grid:
        """Plans the drawing of cells whose centres are ``lat`` and ``lon`` in degrees, each in either direction."""
        step = max(1, -(-max(len(lat), len(lon)) // MAX_CELLS))
        rows, lat_edges = _axis(np.clip(_edges(lat), -90, 90), step)
        columns, lon_edges = _axis(_edges(lon), step)
        return cls(rows, columns, lat_edges, lon_edges)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, east, south and north border in degrees, of cells and not of their centres."""
        return self.lon_edges[0], self.lon_edges[-1], self.lat_edges[0], self.lat_edges[-1]

    @property
    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latitudes and longitudes of the drawn cells as stored, in the middle of what each of them stands for."""
        lat, lon = ((edges[1:] + edges[:-1]) / 2 for edges in (self.lat_edges, self.lon_edges))
        return lat[np.argsort(self.rows)], lon[np.argsort(self.columns)]

    def take(self, field: NDArray[Any]) -> NDArray[Any]:
        """The drawn cells of a stored ``(lat, lon)`` field, south and west first."""
        taken: NDArray[Any] = field[np.ix_(self.rows, self.columns)]
        return taken

    def evenly_spaced(self) -> bool:
        """Whether no border stands more than half a cell off an even spacing."""
        return all(
            bool(np.abs(edges - np.linspace(edges[0], edges[-1], len(edges))).max() <= 0.5 * np.diff(edges).min())
            for edges in (self.lat_edges, self.lon_edges)
        )


def _edges(centres: NDArray[np.floating]) -> NDArray[np.float64]:
    """Borders half way between centres; the outer cells reach as far outwards as inwards; a lone cell is 1 degree."""
    centre = np.asarray(centres, np.float64)
    if len(centre) == 1:
        return np.array([centre[0] - 0.5, centre[0] + 0.5])
    middle = (centre[1:] + centre[:-1]) / 2
    return np.concatenate([[2 * centre[0] - middle[0]], middle, [2 * centre[-1] - middle[-1]]])


def _axis(edges: NDArray[np.float64], step: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Cells to draw along one axis: the middle one of each ``step``, between borders that cover the axis whole."""
    cells = len(edges) - 1
    drawn = -(-cells // step)
    index = ((np.arange(drawn) + 0.5) * cells / drawn).astype(np.intp)
    borders = edges[np.round(np.arange(drawn + 1) * cells / drawn).astype(np.intp)]
    return (index, borders) if borders[0] < borders[-1] else (index[::-1], borders[::-1])


def map_figure(extent: tuple[float, float, float, float], title: str) -> tuple[Figure, Axes, Axes]:
    """An empty map and the place of its colour bar, sized so that a degree has the right proportions in the middle.

    Args:
        extent: west, east, south, north in degrees.
        title: above the map.
    """
    ratio = _aspect(extent) * (extent[3] - extent[2]) / (extent[1] - extent[0])
    height = min((_WIDTH - _LEFT - _RIGHT) * ratio, _HIGHEST)
    width = height / ratio
    figure = Figure(figsize=(_WIDTH, height + _TOP + _BOTTOM), facecolor="white")
    # A narrow map stands in the middle of its place.
    left = _LEFT + (_WIDTH - _LEFT - _RIGHT - width) / 2
    axes = figure.add_axes(_box(figure, left, width, height))
    bar = figure.add_axes(_box(figure, left + width + _BAR_GAP, _BAR, height))
    frame(axes, extent, title)
    return figure, axes, bar


def _box(figure: Figure, left: float, width: float, height: float) -> tuple[float, float, float, float]:
    across, up = figure.get_size_inches()
    return left / across, _BOTTOM / up, width / across, height / up


def _aspect(extent: tuple[float, float, float, float]) -> float:
    """Length of a degree of latitude over one of longitude in the middle of the map; 1 on the globe."""
    return float(1 / max(np.cos(np.deg2rad((extent[2] + extent[3]) / 2)), 0.2))


def frame(axes: Axes, extent: tuple[float, float, float, float], title: str) -> None:
    """Sets limits, proportions, degrees along the axes, and the title of a map."""
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    axes.set_aspect(_aspect(extent))
    axes.set_facecolor(OFF_LAND)
    for axis, suffixes in ((axes.xaxis, "EW"), (axes.yaxis, "NS")):
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 1.5, 2, 3, 5, 6, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _, suffixes=suffixes: degrees(value, suffixes)))
    style(axes, title)


def style(axes: Axes, title: str) -> None:
    """The look of every figure: small quiet ticks, the title on the left."""
    axes.tick_params(labelsize=FONT - 1, colors=INK, length=2.5, width=0.6)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, edgecolor=INK)
    axes.set_title(title, loc="left", fontsize=FONT + 1, color=INK, pad=5)


def degrees(value: float, suffixes: str) -> str:
    """A coordinate as on a printed map: ``30°S``, ``170°W`` for 190, without a letter where neither side is meant."""
    wrapped = (value + 180) % 360 - 180 if suffixes == "EW" else value
    if abs(wrapped) < 1e-9 or abs(abs(wrapped) - 180) < 1e-9:
        return f"{abs(wrapped):.0f}°"
    return f"{abs(round(wrapped, 6)):g}°{suffixes[0] if wrapped > 0 else suffixes[1]}"


def paint(axes: Axes, field: NDArray[Any], grid: Grid, colours: Colormap, norm: Normalize) -> Any:
    """Draws a stored ``(lat, lon)`` field; NaN and masked cells stay clear. Returns what a colour bar needs."""
    values = np.ma.masked_invalid(grid.take(field).astype(np.float32), copy=False)
    if grid.evenly_spaced():
        return axes.imshow(
            values, extent=grid.extent, origin="lower", aspect=axes.get_aspect(), cmap=colours, norm=norm,
            interpolation="nearest",
        )  # fmt: skip
    return axes.pcolormesh(grid.lon_edges, grid.lat_edges, values, cmap=colours, norm=norm)


def paint_where(axes: Axes, where: NDArray[np.bool_], grid: Grid, colour: str) -> None:
    """Draws the cells of a stored ``(lat, lon)`` field that are true in one colour."""
    paint(axes, np.where(where, np.float32(0), np.float32(np.nan)), grid, ListedColormap([colour]), Normalize(0, 1))


def coast(axes: Axes, land: NDArray[np.bool_], grid: Grid) -> None:
    """Draws the border of the mask: the line at one half between land (1) and the rest (0)."""
    drawn = grid.take(land)
    if min(drawn.shape) < 2 or drawn.all() or not drawn.any():
        return
    lat, lon = ((edges[1:] + edges[:-1]) / 2 for edges in (grid.lat_edges, grid.lon_edges))
    axes.contour(lon, lat, drawn.astype(float), levels=[0.5], colors=INK, linewidths=0.45)


def value_bar(bar: Axes, drawn: Any, label: str, clipped: tuple[bool, bool] = (False, False)) -> None:
    """A colour bar with its unit; arrows where values lie beyond its lower or upper end."""
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[clipped]
    colour_bar = bar.figure.colorbar(drawn, cax=bar, extend=extend, extendfrac=0.035)
    colour_bar.set_label(label, fontsize=FONT, color=INK)
    _quiet(colour_bar)


def class_bar(bar: Axes, drawn: AxesImage, labels: Sequence[str]) -> None:
    """A colour bar of named classes."""
    colour_bar = bar.figure.colorbar(drawn, cax=bar, ticks=range(len(labels)), spacing="uniform")
    colour_bar.ax.set_yticklabels(labels)
    colour_bar.ax.invert_yaxis()
    _quiet(colour_bar)


def classes(colours: Sequence[str]) -> tuple[ListedColormap, BoundaryNorm]:
    """Colours of the codes from 0 on, one a code."""
    return ListedColormap(list(colours)), BoundaryNorm(np.arange(len(colours) + 1) - 0.5, len(colours))


def _quiet(colour_bar: Any) -> None:
    colour_bar.ax.tick_params(labelsize=FONT - 1, colors=INK, length=2.5, width=0.6)
    colour_bar.ax.minorticks_off()
    colour_bar.outline.set(linewidth=0.6, edgecolor=INK)
