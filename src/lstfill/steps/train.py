"""Train: fits the model on streamed samples, records it, and writes its directory."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstfill.artifacts import Pointer
from lstfill.config import Cluster, Tracking, Train
from lstfill.steps import models
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
from lstfill.storage.scratch import scratch_directory

if TYPE_CHECKING:
    from lstfill.model import Axes, Calibration, History, Model, Residuals, TrainingView
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
    cluster: Cluster | None = None,  # noqa: ARG001 - for models of tiles
) -> Pointer:
    """Writes a model directory: ``model.keras``, ``model.json``, the history of the fit, TensorBoard's logs.

    Args:
        train: model, its fit, and where to register it; or a pretrained model to take as it is.
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
    from lstfill import model as models_of
    from lstfill.model import Axes
    from lstfill.tracking import open_run, resolve_uri

    refuse_own_input(output, samples, cube, land, parts, train.pretrained)
    origin = refuse_foreign(samples, "preprocess", "the samples")
    grid = Reader.open(cube, land, parts).grid
    begin(output)
    uri = resolve_uri(tracking, None)
    name = f"{train.model} of {', '.join(origin['facts']['features']) or 'nothing'}"
    with scratch_directory() as scratch, open_run(uri, tracking.experiment, name) as active:
        active.log_config({**origin["configuration"], "train": train.model_dump(mode="json")})
        _log_lineage(active, origin)
        directory = scratch / "model"
        facts = {"run_id": active.run_id, "tracking_uri": active.uri}
        if train.pretrained:
            facts |= _take(train.pretrained, tracking, origin, scratch, directory)
        else:
            facts |= _fit(train, samples, origin, active, directory, Axes(grid.time, grid.lat, grid.lon))
        objects.put_tree(directory, output)
        content = models.digest(models_of.load(directory))
        provenance = describe("train", section=train, inputs={"samples": samples}, content=content, facts=facts)
        seal(output, provenance)
    return pointer_to(output, provenance)


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


def _fit(
    train: Train, samples: str, origin: Mapping[str, Any], active: RunHandle, directory: Path, axes: Axes
) -> dict[str, Any]:
    from lstfill import model as models_of
    from lstfill import train as fitting

    view = _kept(_view(samples, origin), directory.parent)
    directory.mkdir()

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        active.log_metrics({"train": values}, step=epoch)

    model = models_of.create(train.model)
    history = fitting.fit(model, view, train, directory / "tensorboard", on_epoch)
    model = model.calibrate(_calibration(model, samples, origin, axes))
    model.save(directory)
    (directory / HISTORY).write_text(json.dumps(history.to_dict(), indent=2), encoding="utf-8")
    return _record(train, model, history, active, directory)


def _view(samples: str, origin: Mapping[str, Any]) -> TrainingView:
    from lstfill.model import TrainingView
    from lstfill.preprocess import Scaling, Statistics

    facts = origin["facts"]
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
    )


def _stored(samples: str, origin: Mapping[str, Any], part: str) -> StoredShards:
    return StoredShards(samples, part, origin["facts"]["samples"][part], origin["identity"])


def _kept(view: TrainingView, scratch: Path) -> TrainingView:
    """The same view, whose later epochs read from local disk."""
    places = scratch / "train", scratch / "validation"
    for place in places:
        place.mkdir()
    return replace(view, train=KeptShards(view.train, places[0]), validation=KeptShards(view.validation, places[1]))


def _calibration(model: Model, samples: str, origin: Mapping[str, Any], axes: Axes) -> Calibration:
    """How far the model is off on the validation part."""
    from lstfill.model import fit_calibration

    residuals = _residuals(model, _stored(samples, origin, "validation"), axes)
    return fit_calibration(residuals, model.reach, "values of the validation part")


def _residuals(model: Model, shards: StoredShards, axes: Axes) -> Iterator[Residuals]:
    from lstfill.model.residuals import residuals_of_samples

    for number in range(len(shards)):
        x, y = shards.read(number)
        columns = dict(zip(model.card.features, x.T, strict=True))
        yield residuals_of_samples(model.predict_columns(columns) - y, shards.cells(number), axes)


def _record(train: Train, model: Model, history: History, active: RunHandle, directory: Path) -> dict[str, Any]:
    from lstfill.train import loss_figure

    loss_figure(history).savefig(directory / "loss.png", dpi=120)
    active.log_files({"figures/loss.png": (directory / "loss.png").read_bytes()})
    active.log_directory(directory / "tensorboard", "tensorboard")
    best = history.best_epoch - 1
    active.log_metrics({"best_epoch": history.best_epoch, "best_val_loss": history.val_loss[best]})
    example = {name: values.tolist() for name, values in model.example().items()}
    logged = active.log_model(
        directory, train.model, model.card.features, example, register_as=train.register_as, alias=train.alias
    )
    return {"version": logged.uri, "best_epoch": history.best_epoch, "best_val_loss": history.val_loss[best]}


def history_of(model: str) -> dict[str, Any] | None:
    """The history of the fit beside a model; None for one that was taken as it is."""
    if origin_of(model)["facts"].get("pretrained"):
        return None
    found: dict[str, Any] = objects.get_json(f"{model.rstrip('/')}/{HISTORY}")
    return found
