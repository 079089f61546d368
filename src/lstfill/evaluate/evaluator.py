"""Scores models chunk by chunk: on the test part and on held-out gaps, in groups, beside baselines, against each other.

Run it over windows twice: once to sum the visible values by date (``DateSums``), once to score (``score_chunk``). A
window that does not hold all times needs to be told what lies beyond it (``Series``). The tallies of all windows add
up to one (``lstfill.evaluate.tally``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.flags import SourceFlag
from lstfill.cube.geometry import cos_lat
from lstfill.evaluate.baselines import BASELINES, DateSums, View, available
from lstfill.evaluate.comparison import Blocks, Paired, Triple
from lstfill.evaluate.grouping import Grouping
from lstfill.evaluate.groups import group_codes
from lstfill.evaluate.intervals import Intervals
from lstfill.evaluate.outliers import Outliers
from lstfill.evaluate.pictures import Pictures
from lstfill.evaluate.scores import Sums
from lstfill.evaluate.tally import ModelTally, SetTally, Tally
from lstfill.evaluate.visible import ScoredSet, scored_cells, sets_of, truth_of, visible_for
from lstfill.model.calibration import LEVELS

if TYPE_CHECKING:
    from lstfill.config import Evaluate
    from lstfill.cube.chunk import Chunk
    from lstfill.evaluate.estimates import Estimate
    from lstfill.evaluate.land import LandCells
    from lstfill.evaluate.series import Beyond

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Terms:
    """What all windows are scored by.

    Attributes:
        config: baselines and groups.
        date_sums: sums by date over the whole cube.
        blocks: what a paired test takes for independent.
    """

    config: Evaluate
    date_sums: DateSums
    blocks: Blocks


@dataclass(frozen=True)
class Cells:
    """The scored cells of one set in one window.

    Attributes:
        index: along time, lat and lon of the window, each ``(n,)``.
        flat: the same, flattened ``(n,)``.
        at_land: flat index among the land cells side by side ``(n,)``.
        observed: what is observed there ``(n,)`` in K.
        weight: cosine of latitude ``(n,)``.
        block: block of the paired tests ``(n,)``.
        grouping: groups of each cell.
    """

    index: tuple[Index, Index, Index]
    flat: Index
    at_land: Index
    observed: NDArray[np.floating]
    weight: NDArray[np.float64]
    block: Index
    grouping: Grouping

    def where(self, known: NDArray[np.bool_]) -> Cells:
        """Some of the cells."""
        if known.all():
            return self
        steps, rows, columns = self.index
        return Cells(
            index=(steps[known], rows[known], columns[known]),
            flat=self.flat[known],
            at_land=self.at_land[known],
            observed=self.observed[known],
            weight=self.weight[known],
            block=self.block[known],
            grouping=self.grouping.where(known),
        )


def score_chunk(
    chunk: Chunk,
    land: LandCells,
    estimates: Mapping[ScoredSet, Mapping[str, Estimate]],
    flag: NDArray[np.uint8],
    terms: Terms,
    beyond: Mapping[ScoredSet, Beyond] | None = None,
) -> Tally:
    """Scores the predictions of one window.

    A cell is scored where the model that fills could fill it: on land, with a finite prediction. ``test`` scores the
    visible cells of the test part against the target, ``held_out_gaps`` the held-out cells against the truth, or
    against the target where no truth is given. Another model and a baseline are scored on those of them that they
    predict too; their ``n`` says how many.

    Args:
        chunk: a window, with the split and what is held out.
        land: its land cells side by side; off the land nothing is filled and nothing scored.
        estimates: by scored set what each model says, the one that fills first.
        flag: ``SourceFlag`` of the land cells ``(time, n, 1)``.
        terms: what all windows are scored by.
        beyond: what the series of the land cells show outside of the window (``Series``), by scored set.

    Raises:
        ValueError: the window does not hold all times, and what lies beyond it is not given.
    """
    if beyond is None and chunk.window.shape[0] != chunk.shape[0]:
        held, all_steps = chunk.window.shape[0], chunk.shape[0]
        raise ValueError(f"the window holds {held} of {all_steps} steps: baselines in time need all of them")
    scored = {}
    for name in sets_of(chunk.held_out is not None):
        outside = None if beyond is None else beyond[name]
        scored[name] = _score_set(name, chunk, land, estimates[name], terms, outside)
    return Tally(scored, _flags(chunk, flag))


def _score_set(
    name: ScoredSet,
    chunk: Chunk,
    land: LandCells,
    estimates: Mapping[str, Estimate],
    terms: Terms,
    beyond: Beyond | None,
) -> SetTally:
    main = next(iter(estimates.values()))
    cells = _cells(name, chunk, land, main.value, terms, beyond)
    values = main.value.take(cells.at_land)
    off = np.abs(values.astype(np.float64) - cells.observed)
    models = {}
    for rival, estimate in estimates.items():
        models[rival] = _score_model(estimate, cells, None if estimate is main else off, terms.blocks.grid)
    return SetTally(
        models,
        _score_baselines(name, land, cells, off, terms, beyond),
        Pictures.of(values, cells.observed, cells.index, chunk.window, chunk.shape),
        Outliers.of(values, cells.observed, cells.index, chunk.window),
    )


def _cells(
    name: ScoredSet,
    chunk: Chunk,
    land: LandCells,
    predicted: NDArray[np.floating],
    terms: Terms,
    beyond: Beyond | None,
) -> Cells:
    truth = truth_of(land.chunk, name)
    scored = np.flatnonzero(scored_cells(land.chunk, name) & np.isfinite(truth) & np.isfinite(predicted))
    steps, place = np.divmod(scored, max(len(land.rows), 1))
    index = (steps, land.rows[place], land.columns[place])
    return Cells(
        index=index,
        flat=np.ravel_multi_index(index, chunk.window.shape),
        at_land=scored,
        observed=truth.take(scored),
        weight=cos_lat(chunk.lat)[index[1]],
        block=terms.blocks.at(index, chunk.window),
        grouping=Grouping.of(group_codes(name, chunk, land, scored, terms.config.groups, beyond), len(scored)),
    )


def _score_model(estimate: Estimate, cells: Cells, main_off: NDArray[np.float64] | None, blocks: Triple) -> ModelTally:
    """Scores a model, and against the one that fills unless it is that."""
    predicted = estimate.value.take(cells.at_land)
    known = np.isfinite(predicted)
    predicted, cells = predicted[known], cells.where(known)
    error = predicted.astype(np.float64) - cells.observed
    intervals = paired = None
    if estimate.half_widths is not None:
        half = estimate.half_widths(cells.flat) if len(error) else np.zeros((len(LEVELS), 0))
        intervals = Intervals.of(error, half, cells.grouping)
    if main_off is not None:
        paired = Paired.of(main_off[known] - np.abs(error), cells.block, blocks, cells.grouping)
    return ModelTally(Sums.of(predicted, cells.observed, cells.weight, cells.grouping), intervals, paired)


def _score_baselines(
    name: ScoredSet,
    land: LandCells,
    cells: Cells,
    main_off: NDArray[np.float64],
    terms: Terms,
    beyond: Beyond | None,
) -> dict[str, ModelTally]:
    """Scores baselines one after the other, so that only one prediction is held; of the series with scored cells."""
    steps, place = np.divmod(cells.at_land, max(len(land.rows), 1))
    series, column = _distinct(place, len(land.rows))
    chunk = land.take(series).chunk
    outside = None if beyond is None else beyond.take(series)
    view = View(chunk, visible_for(chunk, name), terms.date_sums.means(name), outside)
    tallies = {}
    for baseline in available(terms.config.baselines, land.chunk):
        predicted = BASELINES[baseline](view)[steps, column, 0] if len(steps) else np.zeros(0)
        tallies[baseline] = _score_baseline(predicted, cells, main_off, terms.blocks.grid)
    return tallies


def _score_baseline(
    predicted: NDArray[np.floating], cells: Cells, main_off: NDArray[np.float64], blocks: Triple
) -> ModelTally:
    known = np.isfinite(predicted)
    predicted, observed = predicted[known], cells.observed[known]
    difference = main_off[known] - np.abs(predicted.astype(np.float64) - observed)
    sums = Sums.of(predicted, observed, cells.weight[known])
    return ModelTally(sums, paired=Paired.of(difference, cells.block[known], blocks))


def _distinct(place: Index, n: int) -> tuple[Index, Index]:
    """The places below n that occur, and where among them each one stands: ``numpy.unique`` without its sort."""
    occurs = np.zeros(n, bool)
    occurs[place] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[place]


def _flags(chunk: Chunk, flag: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Cells by flag of the whole window and of its land, from the flags of the land: nothing is filled off it."""
    land = np.array([np.count_nonzero(flag == kind) for kind in SourceFlag], np.int64)
    sea = np.zeros_like(land)
    sea[SourceFlag.OBSERVED] = np.count_nonzero(np.isfinite(chunk.target)) - land[SourceFlag.OBSERVED]
    sea[SourceFlag.NOT_FILLABLE] = chunk.target.size - flag.size - sea[SourceFlag.OBSERVED]
    return np.stack([land + sea, land])
