"""Scores a model chunk by chunk: on the test part and on held-out gaps, in groups, beside baselines.

Run it over windows twice: once to sum the visible values by date (``DateSums``), once to score (``score_chunk``). A
window that does not hold all times needs to be told what lies beyond it (``Series``). The tallies of all windows add
up to one, whose ``result`` and ``figure_fields`` the report shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.flags import SourceFlag
from lstfill.cube.geometry import LATITUDE_BANDS_DEG, cos_lat
from lstfill.errors import ConfigError, DataError
from lstfill.evaluate.baselines import BASELINES, DateSums, View, available
from lstfill.evaluate.groups import LABELS, SIZES, gap_size, gap_size_class, group_codes
from lstfill.evaluate.pictures import Pictures
from lstfill.evaluate.scores import Scores, Sums
from lstfill.evaluate.visible import SCORED_SETS, ScoredSet, sets_of, visible_for
from lstfill.model.spread import MIN_RESIDUALS, Spread
from lstfill.split.blocks import Part

if TYPE_CHECKING:
    from lstfill.config import Evaluate
    from lstfill.cube.chunk import Chunk
    from lstfill.evaluate.land import LandCells
    from lstfill.evaluate.series import Beyond

Cells = tuple[NDArray[np.intp], ...]
Sight = tuple[NDArray[np.float64], "Beyond | None"]
"""What baselines see of the cube outside of a window: the mean of each date, and the series' other values."""


@dataclass(frozen=True)
class SetTally:
    """What is known of one set of scored cells.

    Attributes:
        sums: of the model, on the grid of groups.
        baselines: by name, of the cells of ``sums`` that the baseline predicts too.
        pictures: distributions of the model's predictions and residuals.
    """

    sums: Sums
    baselines: dict[str, Sums]
    pictures: Pictures

    def __add__(self, other: Self) -> Self:
        baselines = {name: sums + other.baselines[name] for name, sums in self.baselines.items()}
        return type(self)(self.sums + other.sums, baselines, self.pictures + other.pictures)


@dataclass(frozen=True)
class Tally:
    """The evaluation of any number of windows; tallies add up, in any order up to rounding.

    Attributes:
        sets: by name, ``test`` and, where values were held out, ``held_out_gaps``.
        flags: number of cells by ``SourceFlag``, ``(2, 4)``: all cells, land cells.
    """

    sets: dict[ScoredSet, SetTally]
    flags: NDArray[np.int64]

    def __add__(self, other: Self) -> Self:
        return type(self)({name: part + other.sets[name] for name, part in self.sets.items()}, self.flags + other.flags)

    def best_set(self) -> ScoredSet:
        """The set that spread and pictures are made from: held-out gaps where there are enough, else the test part.

        Raises:
            DataError: nothing at all could be scored.
        """
        n = {name: part.sums.n for name, part in self.sets.items()}
        if not any(n.values()):
            issue = f"no cell has both an observation and a prediction ({n}): check that the features have values"
            raise DataError("evaluation", [issue + " where the target is observed, or choose another split.seed"])
        return "held_out_gaps" if n.get("held_out_gaps", 0) >= MIN_RESIDUALS or not n["test"] else "test"

    def spread(self) -> Spread:
        """Residual spread by latitude band: the root mean square about zero, because a bias is part of the error.

        Raises:
            DataError: nothing at all could be scored.
        """
        source = self.best_set()
        sums = self.sets[source].sums
        bands = sums.along(list(LABELS).index("latitude"))
        return Spread(
            edges_deg=tuple(float(edge) for edge in LATITUDE_BANDS_DEG),
            std_k=tuple(_root(band.mean_square()) for band in bands),
            n=tuple(band.n for band in bands),
            overall_k=math.sqrt(sums.mean_square() or 0.0),
            source=source,
        )

    def result(self, target: str, groups: Sequence[str]) -> dict[str, Any]:
        """The evaluation as the report, MLflow and the summary take it: plain values, None where nothing was scored.

        Args:
            target: name of the variable.
            groups: break-downs to give, of ``lstfill.evaluate.groups.LABELS``; groups without any cell are left out.

        Raises:
            DataError: nothing at all could be scored.
        """
        names = list(self.sets["test"].baselines)
        return {
            "target": target,
            "unit": "K",
            "scores": self._scores({name: part.sums for name, part in self.sets.items()}),
            "baselines": {b: self._scores({name: p.baselines[b] for name, p in self.sets.items()}) for b in names},
            "groups": {group: self._group(group) for group in LABELS if group in groups},
            "spread": self.spread().to_dict(),
            "flags": {**_named(self.flags[0]), "land": _named(self.flags[1])},
        }

    def map_step(self, time: NDArray[np.datetime64], map_date: str | None = None) -> int:
        """Position of the date to draw: the one nearest to a wish, or the one with the most scored cells.

        Args:
            time: dates of the cube ``(time,)``.
            map_date: an ISO date.

        Raises:
            ConfigError: the wish is no date or lies outside the cube.
        """
        if map_date is None:
            return int(np.argmax(sum(part.pictures.per_date for part in self.sets.values())))
        return nearest_step(time, map_date)

    def figure_fields(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> dict[str, Any]:
        """Arrays of ``FigureData`` that come from scoring, by name: density, residuals and the coarse error map."""
        return self.sets[self.best_set()].pictures.figure_fields(lat, lon)

    def _scores(self, sums: Mapping[ScoredSet, Sums]) -> dict[str, Scores | None]:
        return {name: sums[name].scores() if name in sums else None for name in SCORED_SETS}

    def _group(self, group: str) -> dict[str, dict[str, Scores | None]]:
        """Scores of each label of a break-down; the size of a gap says nothing of test cells, which lie in none."""
        axis = list(LABELS).index(group)
        sets = [name for name in self.sets if (name, group) != ("test", "gap_size")]
        parts = {name: self.sets[name].sums.along(axis) for name in sets}
        rows = [{name: part[k] for name, part in parts.items() if part[k].n} for k in range(SIZES[axis])]
        return {label: self._scores(row) for label, row in zip(LABELS[group], rows, strict=True) if row}


def nearest_step(time: NDArray[np.datetime64], map_date: str) -> int:
    """Position of the date nearest to a wish.

    Args:
        time: dates of the cube ``(time,)``.
        map_date: an ISO date.

    Raises:
        ConfigError: the wish is no date or lies outside the cube.
    """
    wish, last = _date(map_date), time.astype("datetime64[D]")
    if not last[0] <= wish <= last[-1]:
        message = f"map_date {map_date!r} lies outside the cube, {last[0]} to {last[-1]}"
        raise ConfigError(f"evaluate: {message}: choose a date inside, or leave it out")
    return int(np.argmin(np.abs(last - wish)))


def score_chunk(
    chunk: Chunk,
    land: LandCells,
    predicted: NDArray[np.floating],
    flag: NDArray[np.uint8],
    config: Evaluate,
    date_sums: DateSums,
    beyond: Mapping[ScoredSet, Beyond] | None = None,
) -> Tally:
    """Scores the predictions of one window.

    A cell is scored where it could be filled: on land, with a finite prediction. ``test`` scores the
    visible cells of the test part against the target, ``held_out_gaps`` the held-out cells against the truth, or
    against the target where no truth is given. A baseline is scored on those of them that it predicts too; its ``n``
    says how many.

    Args:
        chunk: a window, with the split and what is held out.
        land: its land cells side by side; off the land nothing is filled and nothing scored.
        predicted: the model's values at the land cells ``(time, n, 1)`` in K, observed ones too.
        flag: ``SourceFlag`` of the land cells ``(time, n, 1)``.
        config: baselines and groups.
        date_sums: sums by date over the whole cube.
        beyond: what the series of the land cells show outside of the window (``Series``), by scored set.

    Raises:
        ValueError: the window does not hold all times, and what lies beyond it is not given.
    """
    if beyond is None and chunk.window.shape[0] != chunk.shape[0]:
        held, all_steps = chunk.window.shape[0], chunk.shape[0]
        raise ValueError(f"the window holds {held} of {all_steps} steps: baselines in time need all of them")
    scored = {}
    for name in sets_of(chunk.held_out is not None):
        sight = (date_sums.means(name), None if beyond is None else beyond[name])
        scored[name] = _score_set(name, chunk, land, predicted, config, sight)
    return Tally(scored, _flags(chunk, flag))


def _score_set(
    name: ScoredSet,
    chunk: Chunk,
    land: LandCells,
    predicted: NDArray[np.floating],
    config: Evaluate,
    sight: Sight,
) -> SetTally:
    truth = _observed(name, land.chunk)
    scored = np.flatnonzero(_scored(name, land.chunk) & np.isfinite(truth) & np.isfinite(predicted))
    steps, place = np.divmod(scored, max(len(land.rows), 1))
    cells = (steps, land.rows[place], land.columns[place])
    values, observed, weight = predicted.take(scored), truth.take(scored), cos_lat(chunk.lat)[cells[1]]
    in_gaps = name == "held_out_gaps" and "gap_size" in config.groups and len(observed) > 0
    classes = _gap_classes(chunk, cells) if in_gaps else None
    series, column = _distinct(place, len(land.rows))
    view = _view(name, land.take(series).chunk, series, sight)
    rivals = _score_baselines(view, (steps, column), (observed, weight), config.baselines)
    return SetTally(
        Sums.of(values, observed, weight, group_codes(chunk, cells, classes), SIZES),
        rivals,
        Pictures.of(values, observed, cells, chunk.window, chunk.shape),
    )


def _distinct(place: NDArray[np.intp], n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The places below n that occur, and where among them each one stands: ``numpy.unique`` without its sort."""
    occurs = np.zeros(n, bool)
    occurs[place] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[place]


def _view(name: ScoredSet, chunk: Chunk, place: NDArray[np.intp], sight: Sight) -> View:
    means, beyond = sight
    return View(chunk, visible_for(chunk, name), means, None if beyond is None else beyond.take(place))


def _score_baselines(
    view: View,
    cells: tuple[NDArray[np.intp], NDArray[np.intp]],
    truth: tuple[NDArray[np.floating], NDArray[np.float64]],
    names: Sequence[str],
) -> dict[str, Sums]:
    """Scores baselines one after the other, so that only one prediction is held; of the series with scored cells."""
    names = available(names, view.chunk)
    if not len(cells[0]):
        return {name: Sums.zeros() for name in names}
    return {name: _score_where_finite(BASELINES[name](view)[*cells, 0], *truth) for name in names}


def _score_where_finite(
    predicted: NDArray[np.floating], observed: NDArray[np.floating], weight: NDArray[np.float64]
) -> Sums:
    known = np.isfinite(predicted)
    return Sums.of(predicted[known], observed[known], weight[known])


def _scored(name: ScoredSet, chunk: Chunk) -> NDArray[np.bool_]:
    nowhere = np.zeros(chunk.target.shape, bool)
    if name == "held_out_gaps":
        return nowhere if chunk.held_out is None else chunk.held_out & chunk.land[None]
    return nowhere if chunk.part is None else (chunk.part == Part.TEST) & chunk.visible()


def _observed(name: ScoredSet, chunk: Chunk) -> NDArray[np.floating]:
    return chunk.target if name == "test" or chunk.truth is None else chunk.truth


def _gap_classes(chunk: Chunk, cells: Cells) -> NDArray[np.int8]:
    return gap_size_class(gap_size(chunk.land[None] & ~chunk.visible(), cells))


def _flags(chunk: Chunk, flag: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Cells by flag of the whole window and of its land, from the flags of the land: nothing is filled off it."""
    land = np.array([np.count_nonzero(flag == kind) for kind in SourceFlag], np.int64)
    sea = np.zeros_like(land)
    sea[SourceFlag.OBSERVED] = np.count_nonzero(np.isfinite(chunk.target)) - land[SourceFlag.OBSERVED]
    sea[SourceFlag.NOT_FILLABLE] = chunk.target.size - flag.size - sea[SourceFlag.OBSERVED]
    return np.stack([land + sea, land])


def _named(counts: NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(SourceFlag.meanings(), counts.tolist(), strict=True))


def _root(square: float | None) -> float | None:
    return None if square is None else math.sqrt(square)


def _date(text: str) -> np.datetime64:
    try:
        return np.datetime64(text, "D")
    except ValueError:
        raise ConfigError(f"evaluate: map_date {text!r} is not a date: write it like 2002-05-21") from None
