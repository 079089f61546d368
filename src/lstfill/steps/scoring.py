"""Scores models over all windows of a cube, on any engine."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.config import Evaluate
from lstfill.cube import Window, column_windows
from lstfill.steps import reader as reader_of
from lstfill.steps.contenders import Contender
from lstfill.steps.reader import Reader

if TYPE_CHECKING:
    from lstfill.compute.engine import Engine
    from lstfill.cube import Chunk
    from lstfill.evaluate.baselines import DateSums
    from lstfill.evaluate.evaluator import Terms
    from lstfill.evaluate.scene import Piece, Scene
    from lstfill.evaluate.series import Beyond, Series
    from lstfill.evaluate.tally import Tally
    from lstfill.evaluate.visible import ScoredSet
    from lstfill.steps.reader import Grid

    Scored = tuple[Tally, list[Piece]]
    Column = list[Window]


@dataclass(frozen=True)
class Drawn:
    """What the maps draw: of one date, no more cells than a page can show.

    Attributes:
        date: of the maps.
        planes: maps by name ``(lat, lon)``, as ``lstfill.evaluate.shown.planes`` names them.
    """

    date: np.datetime64
    planes: dict[str, NDArray[Any]]


def score(
    engine: Engine, reader: Reader, contenders: Mapping[str, Contender], evaluate: Evaluate
) -> tuple[Tally, Drawn]:
    """Scores all windows, and gathers the cells that the maps draw: of the date that will have most scored cells.

    Where features are missing it may be another date in the end, whose windows are then read once more.

    Args:
        engine: where windows are scored.
        reader: of cube, mask and split.
        contenders: models by name, the one that fills first.
        evaluate: baselines, break-downs, date of the maps.
    """
    columns, grid = _columns(reader.grid), reader.grid
    terms = _terms(reader, evaluate, _sums_by_date(engine, reader, evaluate, columns))
    scene = _scene(grid, evaluate, terms.date_sums)
    work = _Scoring(reader, contenders, terms, scene)
    tally, pieces = functools.reduce(_together, engine.map(work.column, columns))
    step = tally.map_step(grid.time, evaluate.map_date)
    if step != scene.step:
        scene = replace(scene, step=step)
        windows = [window for window in itertools.chain(*columns) if scene.in_window(window)]
        pieces = list(engine.map(replace(work, scene=scene).shown, windows))
    return tally, Drawn(grid.time[scene.step], scene.joined(pieces))


@dataclass(frozen=True)
class _Scoring:
    """What a worker needs: addresses, models and terms."""

    reader: Reader
    contenders: Mapping[str, Contender]
    terms: Terms
    scene: Scene

    def column(self, column: Column) -> Scored:
        """Scores the windows of one column, and cuts out of them what the maps draw."""
        series = _series(self.reader, column) if len(column) > 1 else None
        return functools.reduce(_together, (self._window(window, series) for window in column))

    def shown(self, window: Window) -> Piece:
        """What the maps draw of a window that the date lies in."""
        from lstfill.evaluate.land import LandCells

        chunk = self.reader.chunk(window)
        land = LandCells.of(chunk)
        name = next(iter(self.contenders))
        said = {scored: {name: of} for scored, of in self.contenders[name].estimates(chunk, land).items()}
        return self._cut(chunk, land, said, self._flags(chunk, land, said))

    def _window(self, window: Window, series: Series | None) -> Scored:
        from lstfill.evaluate.evaluator import score_chunk
        from lstfill.evaluate.land import LandCells

        chunk = self.reader.chunk(window)
        land = LandCells.of(chunk)
        by_model = {name: contender.estimates(chunk, land) for name, contender in self.contenders.items()}
        sets = next(iter(by_model.values()))
        said = {scored: {name: of[scored] for name, of in by_model.items()} for scored in sets}
        flag = self._flags(chunk, land, said)
        beyond: Mapping[ScoredSet, Beyond] | None = None if series is None else series.beyond(land.chunk)
        tally = score_chunk(chunk, land, said, flag, self.terms, beyond)
        return tally, [self._cut(chunk, land, said, flag)] if self.scene.in_window(window) else []

    def _flags(self, chunk: Chunk, land: Any, said: Mapping[ScoredSet, Any]) -> NDArray[np.uint8]:
        """Sources of the values of the filled cube: of the set that hides least, the last."""
        from lstfill.predict import source_flags

        name, contender = next(iter(self.contenders.items()))
        value = list(said.values())[-1][name].value
        return source_flags(land.chunk, value, contender.extrapolated(chunk, land))

    def _cut(self, chunk: Chunk, land: Any, said: Mapping[ScoredSet, Any], flag: NDArray[np.uint8]) -> Piece:
        from lstfill.evaluate.shown import planes

        main = {scored: next(iter(models.values())) for scored, models in said.items()}
        shown = planes(chunk, land, main, flag, self.scene.step - chunk.window.start[0])
        return self.scene.cut(chunk.window, shown)


def _terms(reader: Reader, evaluate: Evaluate, sums: DateSums) -> Terms:
    from lstfill.evaluate.comparison import Blocks
    from lstfill.evaluate.evaluator import Terms

    table = reader.table
    if table is None:
        raise ValueError("the reader has no split")
    return Terms(evaluate, sums, Blocks.of(reader.grid.shape, table.block))


def _columns(grid: Grid) -> list[Column]:
    """Windows that read each chunk once, those of the same cells together, in the order of time."""
    dates = min(grid.chunks[0], grid.shape[0])
    # Scoring holds some 70 bytes a cell: half of what others take, unless that would cut a chunk in two.
    cells = min(reader_of.COLUMN_CELLS, max(reader_of.COLUMN_CELLS // 2, math.prod(grid.chunks)))
    boxes = column_windows((dates, *grid.shape[1:]), grid.chunks, cells)
    starts = range(0, grid.shape[0], dates)
    return [
        [Window((start, *box.start[1:]), (min(start + dates, grid.shape[0]), *box.stop[1:])) for start in starts]
        for box in boxes
    ]


def _scene(grid: Grid, evaluate: Evaluate, sums: DateSums) -> Scene:
    from lstfill.evaluate.maps import Grid as Drawing
    from lstfill.evaluate.scene import Scene
    from lstfill.evaluate.tally import nearest_step

    drawing = Drawing.of(grid.lat, grid.lon)
    step = nearest_step(grid.time, evaluate.map_date) if evaluate.map_date else int(sums.to_score.argmax())
    return Scene(step, np.sort(drawing.rows), np.sort(drawing.columns))


def _together(one: Scored, other: Scored) -> Scored:
    return one[0] + other[0], [*one[1], *other[1]]


def _sums_by_date(engine: Engine, reader: Reader, evaluate: Evaluate, columns: list[Column]) -> DateSums:
    """Sums of the target by date, from a pass of its own that reads nothing but the target; only if they are wanted."""
    from lstfill.evaluate.baselines import DateSums

    if "date_mean" not in evaluate.baselines:
        return DateSums.zeros(reader.grid.shape[0])
    windows = itertools.chain.from_iterable(columns)
    return functools.reduce(operator.add, engine.map(functools.partial(_date_sums, reader), windows))


def _date_sums(reader: Reader, window: Window) -> DateSums:
    from lstfill.evaluate.baselines import DateSums

    return DateSums.of(_target(reader, window))


def _target(reader: Reader, window: Window) -> Chunk:
    """All that a baseline sees of a window but features."""
    return replace(reader, truth=None).chunk(window, features=False)


def _series(reader: Reader, column: Column) -> Series:
    from lstfill.evaluate.land import LandCells
    from lstfill.evaluate.series import Series
    from lstfill.evaluate.visible import sets_of

    back_in_time = (LandCells.of(_target(reader, window)).chunk for window in reversed(column))
    return Series(back_in_time, sets_of(reader.held_out))
