"""Evaluate: scores on test cells and held-out gaps, beside baselines; the report."""

from __future__ import annotations

import functools
import itertools
import logging
import math
import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lstfill import compute
from lstfill.artifacts import Pointer
from lstfill.config import Cluster, Evaluate, Tracking
from lstfill.cube import Window, column_windows
from lstfill.errors import ConfigError, DataError
from lstfill.steps import models
from lstfill.steps import reader as reader_of
from lstfill.steps.provenance import (
    begin,
    describe,
    origin_of,
    pointer_to,
    refuse_foreign,
    refuse_own_input,
    seal,
)
from lstfill.steps.reader import Reader
from lstfill.steps.train import history_of
from lstfill.storage import objects, stores
from lstfill.storage.address import join

if TYPE_CHECKING:
    from lstfill.compute.engine import Engine
    from lstfill.cube import Chunk
    from lstfill.evaluate.baselines import DateSums
    from lstfill.evaluate.evaluator import Tally
    from lstfill.evaluate.figures import FigureData
    from lstfill.evaluate.scene import Piece, Scene
    from lstfill.evaluate.series import Series
    from lstfill.model import Model
    from lstfill.steps.reader import Grid

    Scored = tuple[Tally, list[Piece]]

logger = logging.getLogger(__name__)

SCORES, REPORT = "evaluation.json", "report.html"


def run(
    evaluate: Evaluate,
    tracking: Tracking,
    *,
    cube: str,
    land: str,
    parts: str,
    model: str,
    output: str,
    cluster: Cluster | None = None,
) -> Pointer:
    """Writes ``evaluation.json`` and ``report.html``.

    Args:
        evaluate: baselines, break-downs, date of the maps.
        tracking: where the run is recorded.
        cube: address of the work cube.
        land: address of the mask.
        parts: address of the split.
        model: address of the model directory.
        output: address of the evaluation.
        cluster: where windows are scored.

    Returns:
        A pointer whose facts hold the scores of model and baselines and the address of the report.

    Raises:
        StoreError: if an input is missing or not whole, or the output cannot be written.
        DataError: if nothing could be scored, or the model was trained with another split.
        ConfigError: if the date of the maps is not in the cube.
        TrackingError: if the tracking server cannot be reached.
    """
    if model.startswith(models.REGISTRY):
        fact = f"{model} is in the registry, and was not trained with {parts}"
        raise ConfigError(f"{fact}: name it in train.pretrained, and give the address of what step train wrote")
    refuse_own_input(output, cube, land, parts, model)
    reader = Reader.open(cube, land, parts)
    fitted = models.load(model, tracking, reader.target, reader.features)
    _refuse_other_split(model, parts)
    _refuse_date(evaluate, reader)
    begin(output)
    with compute.cluster(cluster or Cluster()) as engine:
        tally, drawn = _tally(engine, reader, fitted, evaluate)
    scores = tally.result(reader.target, evaluate.groups)
    objects.put_json(join(output, SCORES), scores)
    page, figures = _report(reader, fitted, tally, drawn, scores, model)
    objects.put_bytes(join(output, REPORT), page.encode())
    _log(tracking, model, scores, page, figures)
    facts = {
        "scores": scores["scores"],
        "baselines": scores["baselines"],
        "report": join(output, REPORT),
        "spread": scores["spread"],
    }
    inputs = {"cube": cube, "land": land, "parts": parts, "model": model}
    provenance = describe("evaluate", section=evaluate, inputs=inputs, facts=facts)
    seal(output, provenance)
    return pointer_to(output, provenance)


def _refuse_other_split(model: str, parts: str) -> None:
    """Test cells of one split are training cells of another."""
    trained_with = origin_of(model)["lineage"]["parts"]
    given = origin_of(parts)["identity"]
    if trained_with != given:
        fact = f"was trained with the split {trained_with}, {parts} is {given}"
        raise DataError(model, [f"{fact}: it may have seen what is to be scored; give its own split, or train again"])


def _refuse_date(evaluate: Evaluate, reader: Reader) -> None:
    """A wish that cannot be drawn is refused before anything is scored."""
    from lstfill.evaluate.evaluator import nearest_step

    if evaluate.map_date is not None:
        nearest_step(reader.grid.time, evaluate.map_date)


def _tally(engine: Engine, reader: Reader, fitted: Model, evaluate: Evaluate) -> tuple[Tally, Chunk]:
    """Scores all windows, and gathers the cells that the maps draw: of the date that will have most scored cells.

    Where features are missing it may be another date in the end, whose cells are then read by themselves.
    """
    columns, grid = _columns(reader.grid), reader.grid
    sums = _sums_by_date(engine, reader, evaluate, columns)
    scene = _scene(grid, evaluate, sums)
    score = functools.partial(_score, reader, fitted, evaluate, sums, scene)
    tally, pieces = functools.reduce(_together, engine.map(score, columns))
    step = tally.map_step(grid.time, evaluate.map_date)
    if step != scene.step:
        scene = replace(scene, step=step)
        date = [Window((step, *first.start[1:]), (step + 1, *first.stop[1:])) for first, *_ in columns]
        pieces = list(itertools.chain(*engine.map(functools.partial(_pieces, reader, scene), date)))
    return tally, scene.joined(pieces, grid.time, grid.lat, grid.lon)


def _columns(grid: Grid) -> list[list[Window]]:
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
    from lstfill.evaluate.evaluator import nearest_step
    from lstfill.evaluate.maps import Grid as Drawing
    from lstfill.evaluate.scene import Scene

    drawing = Drawing.of(grid.lat, grid.lon)
    step = nearest_step(grid.time, evaluate.map_date) if evaluate.map_date else int(sums.to_score.argmax())
    return Scene(step, np.sort(drawing.rows), np.sort(drawing.columns))


def _together(one: Scored, other: Scored) -> Scored:
    return one[0] + other[0], [*one[1], *other[1]]


def _sums_by_date(engine: Engine, reader: Reader, evaluate: Evaluate, columns: list[list[Window]]) -> DateSums:
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


def _score(
    reader: Reader, model: Model, evaluate: Evaluate, sums: DateSums, scene: Scene, column: list[Window]
) -> Scored:
    """Scores the windows of one column, and cuts out of them what the maps draw."""
    series = _series(reader, column) if len(column) > 1 else None
    scored = []
    for window in column:
        chunk = reader.chunk(window)
        scored.append((_score_window(chunk, model, evaluate, sums, series), scene.cut(chunk)))
    return functools.reduce(_together, scored)


def _series(reader: Reader, column: list[Window]) -> Series:
    from lstfill.evaluate.land import LandCells
    from lstfill.evaluate.series import Series
    from lstfill.evaluate.visible import sets_of

    back_in_time = (LandCells.of(_target(reader, window)).chunk for window in reversed(column))
    return Series(back_in_time, sets_of(reader.held_out))


def _score_window(chunk: Chunk, model: Model, evaluate: Evaluate, sums: DateSums, series: Series | None) -> Tally:
    from lstfill.evaluate.evaluator import score_chunk
    from lstfill.evaluate.land import LandCells
    from lstfill.predict import source_flags

    land = LandCells.of(chunk)
    predicted = model.predict(land.chunk).value
    flag = source_flags(land.chunk, predicted, model.extrapolated(land.chunk))
    beyond = None if series is None else series.beyond(land.chunk)
    return score_chunk(chunk, land, predicted, flag, evaluate, sums, beyond)


def _pieces(reader: Reader, scene: Scene, window: Window) -> list[Piece]:
    return scene.cut(reader.chunk(window))


def _report(
    reader: Reader, fitted: Model, tally: Tally, drawn: Chunk, scores: dict[str, Any], model: str
) -> tuple[str, dict[str, bytes]]:
    """The page, and the figures as PNG by name."""
    from lstfill.evaluate.figures import figures, lead_figure
    from lstfill.evaluate.report import pictures, png, render

    data = _figure_data(reader, fitted, tally, drawn, model)
    encoded = pictures(figures(data, scores))
    page = render(_about(reader, fitted, model), scores, data, encoded)
    return page, {**{name: picture.png for name, picture in encoded.items()}, "before_after": png(lead_figure(data))}


def _figure_data(reader: Reader, fitted: Model, tally: Tally, drawn: Chunk, model: str) -> FigureData:
    """The maps of one date, and what scoring has gathered."""
    from lstfill.evaluate.figures import FigureData
    from lstfill.evaluate.maps import Grid as Drawing
    from lstfill.predict import fill

    lat, lon = Drawing.of(reader.grid.lat, reader.grid.lon).centres
    filled = fill(drawn, fitted, tally.spread())
    name, feature = next(iter(drawn.features.items()))
    if drawn.part is None:
        raise ValueError("the reader has no split")
    return FigureData(
        date=drawn.time[0],
        lat=lat,
        lon=lon,
        land=drawn.land,
        feature_name=name,
        feature=feature[0],
        target=drawn.target[0],
        part=drawn.part[0],
        held_out=None if drawn.held_out is None else drawn.held_out[0],
        filled=filled.value[0],
        flag=filled.flag[0],
        uncertainty=filled.uncertainty[0],
        history=history_of(model),
        feature_unit=fitted.card.units[name],
        target_name=reader.target,
        **tally.figure_fields(reader.grid.lat, reader.grid.lon),
    )


def _about(reader: Reader, fitted: Model, model: str) -> dict[str, Any]:
    """What the report's head says of the run."""
    origin, grid = origin_of(model), reader.grid
    cube = origin_of(reader.cube)
    parts = stores.provenance(str(reader.parts))["facts"]
    land = stores.provenance(str(reader.land))["facts"]
    return {
        "title": f"{reader.target} filled by {fitted.name}",
        "source": cube["configuration"]["source"]["uri"],
        "identity": cube["identity"],
        "time": cube["facts"]["time"],
        "grid": list(grid.shape),
        "bbox_deg": [float(grid.lon.min()), float(grid.lat.min()), float(grid.lon.max()), float(grid.lat.max())],
        "config": origin["configuration"],
        "mask_digest": land["digest"],
        "split_report": parts["report"],
        "model": fitted.card.to_dict(),
        "versions": _versions(),
        "created": origin["created"],
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("lstfill", "xarray", "zarr", "numpy", "keras")}


def _log(tracking: Tracking, model: str, scores: dict[str, Any], page: str, figures: dict[str, bytes]) -> None:
    from lstfill.tracking import open_run, resolve_uri

    facts = refuse_foreign(model, "train", "the model")["facts"]
    with open_run(resolve_uri(tracking, None), tracking.experiment, "evaluate", run_id=facts["run_id"]) as active:
        active.log_metrics({key: scores[key] for key in ("scores", "baselines", "groups")})
        active.log_json(scores, SCORES)
        active.log_files({REPORT: page, **{f"figures/{name}.png": png for name, png in figures.items()}})
