"""Train: fits the models, calibrates and records them, and writes their directory."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstfill.artifacts import Pointer
from lstfill.config import Cluster, Tracking, Train
from lstfill.steps import models
from lstfill.steps.contenders import COMPARED
from lstfill.steps.provenance import (
    SEAL,
    begin,
    describe,
    origin_of,
    pointer_to,
    refuse_foreign,
    refuse_own_input,
    seal,
)
from lstfill.steps.reader import Reader
from lstfill.steps.shards import KeptShards, StoredShards
from lstfill.storage import objects
from lstfill.storage.address import join
from lstfill.storage.scratch import scratch_directory

if TYPE_CHECKING:
    from lstfill.model import Calibration, History, Model, TrainingView
    from lstfill.steps.learning import Tiles
    from lstfill.tracking import RunHandle

logger = logging.getLogger(__name__)

HISTORY = "history.json"


def run(
    train: Train,
    tracking: Tracking,
    *,
    samples: str,
    cube: str,
    land: str,
    parts: str,
    output: str,
    cluster: Cluster | None = None,
) -> Pointer:
    """Writes a model directory: weight files, ``model.json``, the history of a fit by epochs, TensorBoard's logs.

    The model that fills lies in its root, those to compare it with each in ``compared/<name>``.

    Args:
        train: models, their fit, and where to register the one that fills; or a pretrained model to take as it is.
        tracking: where the run is recorded.
        samples: address of the samples.
        cube: address of the work cube.
        land: address of the mask.
        parts: address of the split.
        output: address of the model directory.
        cluster: where tiles are worked on; threads if not given.

    Returns:
        A pointer whose facts say run, tracking server, registered version and best validation loss.

    Raises:
        StoreError: if the samples are missing or not whole, or the output cannot be written.
        TrackingError: if the tracking server or a registered model cannot be reached.
        DataError: if a part has no samples, or a pretrained model was made for other variables.
        LstfillError: if the fit diverges.
    """
    from lstfill.steps.learning import Tiles
    from lstfill.tracking import open_run, resolve_uri

    refuse_own_input(output, samples, cube, land, parts, train.pretrained)
    origin = refuse_foreign(samples, "preprocess", "the samples")
    reader = Reader.open(cube, land, parts)
    begin(output)
    # Of an earlier run, which may have compared others.
    objects.remove(join(output, COMPARED))
    uri = resolve_uri(tracking, None)
    name = f"{train.model} of {', '.join(origin['facts']['features']) or 'nothing'}"
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_directory())
        active = stack.enter_context(open_run(uri, tracking.experiment, name))
        active.log_config({**origin["configuration"], "train": train.model_dump(mode="json")})
        _log_lineage(active, origin)
        directory = scratch / "model"
        facts = {"run_id": active.run_id, "tracking_uri": active.uri}
        if train.pretrained:
            facts |= _take(train.pretrained, tracking, origin, scratch, directory)
        else:
            tiles = Tiles(reader, train, cluster or Cluster(), stack)
            facts |= _fit_all(train, samples, origin, active, directory, tiles)
        objects.put_tree(directory, output)
        provenance = describe(
            "train", section=train, inputs={"samples": samples}, content=_digest(directory), facts=facts
        )
        seal(output, provenance)
    return pointer_to(output, provenance)


def _digest(directory: Path) -> str:
    """What tells the fitted models from others."""
    from lstfill import model

    places = [directory, *sorted((directory / COMPARED).glob("*"))]
    return " ".join(models.digest(model.load(place)) for place in places)


def _log_lineage(active: RunHandle, origin: Mapping[str, Any]) -> None:
    data = origin["facts"]["lineage"]
    active.log_lineage(
        identity=origin["lineage"]["cube"],
        source=origin["configuration"]["source"]["uri"],
        mask_digest=data["mask_digest"],
        split_digest=origin["lineage"]["parts"],
        split_report=data["split"],
    )


def _take(
    address: str, tracking: Tracking, origin: Mapping[str, Any], scratch: Path, directory: Path
) -> dict[str, Any]:
    """Copies a model that is used as it is."""
    from lstfill import model

    fetched = models.fetch(address, tracking, scratch / "fetched")
    card, facts = model.load(fetched).card, origin["facts"]
    models.refuse_other_variables(address, card, facts["target"], facts["features"])
    # Its own seal would make the copy whole before it is.
    (fetched / SEAL).unlink(missing_ok=True)
    fetched.rename(directory)
    logger.info("took %s as it is", address)
    return {"pretrained": address, "version": address if address.startswith(models.REGISTRY) else None}


def _fit_all(
    train: Train, samples: str, origin: Mapping[str, Any], active: RunHandle, directory: Path, tiles: Tiles
) -> dict[str, Any]:
    """Fits one model after the other; the facts are those of the one that fills, which comes first."""
    view = _kept(_view(samples, origin, tiles.reader), directory.parent)
    directory.mkdir()
    several = len(train.models()) > 1
    facts: dict[str, Any] = {}
    for name in train.models():
        with ExitStack() as stack:
            # A run of its own for each, so that they stand side by side; and the run of the pipeline for the first.
            runs = [active] if name == train.model else []
            runs += [stack.enter_context(active.child(name))] if several else []
            place = directory if name == train.model else directory / COMPARED / name
            # What is compared is no candidate for the registry.
            registered = train.register_as if name == train.model else None
            own = train.model_copy(update={"model": name, "register_as": registered})
            told = _fit(own, view, runs, place, tiles)
        facts = facts or told
    return facts


def _fit(train: Train, view: TrainingView, runs: Sequence[RunHandle], place: Path, tiles: Tiles) -> dict[str, Any]:
    """Fits, calibrates, writes and records one model."""
    from lstfill import model as models_of
    from lstfill import train as fitting
    from lstfill.model import TileModel

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        for run in runs:
            run.log_metrics({"train": values}, step=epoch)

    place.mkdir(parents=True, exist_ok=True)
    model = models_of.create(train.model)
    learns = isinstance(model, TileModel) and model.learns
    began = time.perf_counter()
    history = fitting.fit(
        model, replace(view, tiles=tiles.to_learn if learns else None), train, place / "tensorboard", on_epoch
    )
    fitted = time.perf_counter()
    model = model.calibrate(_calibration(model, view, tiles))
    calibrated = time.perf_counter()
    model.save(place)
    for run in runs:
        run.log_metrics({"seconds": {"fit": fitted - began, "calibration": calibrated - fitted}})
    logger.info("%s: fitted in %.1f s, calibrated in %.1f s", train.model, fitted - began, calibrated - fitted)
    return _record(train, model, history, runs, place)


def _view(samples: str, origin: Mapping[str, Any], reader: Reader) -> TrainingView:
    from lstfill.model import Axes, TrainingView
    from lstfill.preprocess import Scaling, Statistics

    facts, grid = origin["facts"], reader.grid
    statistics = Statistics.from_dict(facts["statistics"])
    return TrainingView(
        train=_stored(samples, origin, "train"),
        validation=_stored(samples, origin, "validation"),
        target=facts["target"],
        features=tuple(facts["features"]),
        units=facts["units"],
        scaling=Scaling.from_dict(facts["scaling"]),
        ranges=statistics.ranges(),
        impute=facts["impute"],
        provenance={"lineage": origin["lineage"], "config_hash": origin["config_hash"], "version": origin["version"]},
        covariates=reader.covariates,
        axes=Axes(grid.time, grid.lat, grid.lon),
    )


def _stored(samples: str, origin: Mapping[str, Any], part: str) -> StoredShards:
    return StoredShards(samples, part, origin["facts"]["samples"][part], origin["identity"])


def _kept(view: TrainingView, scratch: Path) -> TrainingView:
    """The same view, whose later epochs read from local disk."""
    places = scratch / "train", scratch / "validation"
    for place in places:
        place.mkdir()
    return replace(view, train=KeptShards(view.train, places[0]), validation=KeptShards(view.validation, places[1]))


def _calibration(model: Model, view: TrainingView, tiles: Tiles) -> Calibration:
    """How far a model is off: on the validation part, or where it looks around on artificial gaps."""
    from lstfill.model import Reach
    from lstfill.steps import calibrating

    if model.reach is Reach.CELL:
        return calibrating.on_samples(model, view)
    return calibrating.on_tiles(model, tiles.to_calibrate, tiles.train.calibration)


def _record(
    train: Train, model: Model, history: History | None, runs: Sequence[RunHandle], place: Path
) -> dict[str, Any]:
    """Logs how the fit went, and the model that fills; gives the facts about it."""
    from lstfill.train import loss_figure

    facts: dict[str, Any] = {}
    if history is not None:
        (place / HISTORY).write_text(json.dumps(history.to_dict(), indent=2), encoding="utf-8")
        loss_figure(history).savefig(place / "loss.png", dpi=120)
        facts = {"best_epoch": history.best_epoch, "best_val_loss": history.val_loss[history.best_epoch - 1]}
    for run in runs:
        run.log_metrics(facts)
        if history is not None:
            run.log_files({"figures/loss.png": (place / "loss.png").read_bytes()})
            run.log_directory(place / "tensorboard", "tensorboard")
    return {"version": _logged(train, model, runs[0], place), **facts}


def _logged(train: Train, model: Model, run: RunHandle, place: Path) -> str:
    """Address of the model in MLflow."""
    from lstfill.serving import serving_of

    return run.log_model(place, train.model, serving_of(model), register_as=train.register_as).uri


def history_of(model: str) -> dict[str, Any] | None:
    """The history of the fit beside a model; None for one that was taken as it is, or that knows no epochs."""
    if "best_epoch" not in origin_of(model)["facts"]:
        return None
    found: dict[str, Any] = objects.get_json(f"{model.rstrip('/')}/{HISTORY}")
    return found
