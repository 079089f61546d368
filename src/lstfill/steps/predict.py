"""Predict: the filled cube, chunk by chunk, with a source flag and an uncertainty."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill import compute
from lstfill.artifacts import Pointer
from lstfill.config import Cluster, Predict, Tracking
from lstfill.cube import Window, chunk_windows
from lstfill.cube.flags import SourceFlag
from lstfill.steps import models, tiling
from lstfill.steps.provenance import describe, origin_of, pointer_to, refuse_own_input
from lstfill.steps.reader import Reader
from lstfill.steps.sampling import waiting_place
from lstfill.storage import stores

if TYPE_CHECKING:
    from lstfill.compute.engine import Engine
    from lstfill.cube import Chunk
    from lstfill.model import Model
    from lstfill.steps.tiling import Blended

logger = logging.getLogger(__name__)


def run(
    predict: Predict,
    tracking: Tracking,
    *,
    cube: str,
    land: str,
    model: str,
    output: str,
    cluster: Cluster | None = None,
) -> Pointer:
    """Writes the filled cube.

    Args:
        predict: format, and what is written beside the filled values.
        tracking: where the run is recorded, and where registered models are.
        cube: address of the work cube.
        land: address of the mask.
        model: address of a model directory, or ``models:/name@alias``.
        output: address of the filled cube.
        cluster: where chunks are filled.

    Returns:
        A pointer whose facts count the cells of each source flag.

    Raises:
        StoreError: if an input is missing or not whole, or the output cannot be written.
        TrackingError: if the tracking server or a registered model cannot be reached.
        DataError: if the mask belongs to another grid, or the model was made for other variables.
    """
    refuse_own_input(output, cube, land, model)
    reader = Reader.open(cube, land)
    fitted = models.load(model, tracking, reader.target, reader.features)
    _create(predict, reader, fitted, output)
    with compute.cluster(cluster or Cluster()) as engine:
        counts = _fill_all(engine, reader, fitted, predict, output, cluster or Cluster())
    facts: dict[str, Any] = {"flags": dict(zip(SourceFlag.meanings(), counts.tolist(), strict=True)), "model": model}
    inputs = {"cube": cube, "land": land}
    inputs |= {} if model.startswith(models.REGISTRY) else {"model": model}
    provenance = describe("predict", section=predict, inputs=inputs, content=models.digest(fitted), facts=facts)
    stores.commit(output, provenance)
    _log(tracking, model, output, facts)
    return pointer_to(output, provenance)


def _create(predict: Predict, reader: Reader, fitted: Model, output: str) -> None:
    from lstfill.predict import filled_template

    with stores.open_whole(reader.cube) as ds:
        template = filled_template(
            ds,
            reader.target,
            predict,
            features=reader.features,
            model=f"the model {fitted.name!r} of {', '.join(fitted.card.features)}",
            calibration=fitted.card.calibration,
            now=dt.datetime.now(dt.UTC),
        )
    wanted = predict.zarr_format
    zarr_format = origin_of(reader.cube)["facts"]["zarr_format"] if wanted == "source" else wanted
    chunks = {str(name): reader.grid.chunks for name in template.data_vars}
    stores.create(output, template, chunks=chunks, zarr_format=zarr_format)


def _fill_all(
    engine: Engine, reader: Reader, fitted: Model, predict: Predict, output: str, cluster: Cluster
) -> NDArray[np.int64]:
    """Fills and writes all chunks; one of neighbours fills its tiles before. Cells by source flag."""
    from lstfill.model import Reach

    with ExitStack() as stack:
        model: Model | Blended = fitted
        if fitted.reach is Reach.TILE:
            place = stack.enter_context(waiting_place(output, cluster))
            model = tiling.fill_tiles(engine, reader, fitted, None, place)
        windows = chunk_windows(reader.grid.shape, reader.grid.chunks)
        work = functools.partial(_fill, reader, model, predict, output, uuid.uuid4().hex)
        counts: NDArray[np.int64] = np.sum(list(engine.map(work, windows)), axis=0)
        return counts


def _fill(
    reader: Reader, model: Model | Blended, predict: Predict, output: str, run_id: str, window: Window
) -> NDArray[np.int64]:
    """Fills and writes one chunk; returns the number of cells by source flag."""
    from lstfill.predict import fill, filled_names

    chunk = reader.chunk(window, features=False)
    if predict.write == "filled+observed+features" or _asks_features(chunk, model):
        chunk = reader.with_features(chunk)
    filled = fill(chunk, model)
    names = filled_names(reader.target)
    arrays = {names["filled"]: filled.value, names["source"]: filled.flag}
    arrays |= {names["uncertainty"]: filled.uncertainty, names["interval_90"]: filled.interval_90}
    if predict.write != "filled":
        arrays[names["observed"]] = chunk.target
    if predict.write == "filled+observed+features":
        arrays |= chunk.features
    stores.write(output, window, arrays, run=run_id)
    return np.bincount(filled.flag.ravel(), minlength=len(SourceFlag))


def _asks_features(chunk: Chunk, model: Model | Blended) -> bool:
    from lstfill.predict import has_gaps

    return not isinstance(model, tiling.Blended) and has_gaps(chunk)


def _log(tracking: Tracking, model: str, output: str, facts: dict[str, Any]) -> None:
    from lstfill.tracking import open_run, resolve_uri

    run_id = None if model.startswith(models.REGISTRY) else origin_of(model)["facts"]["run_id"]
    uri = resolve_uri(tracking, None)
    with open_run(uri, tracking.experiment, "predict", tags={"filled": output}, run_id=run_id) as active:
        active.log_metrics({"cells": facts["flags"]})
