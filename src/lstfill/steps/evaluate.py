"""Evaluate: scores on test cells and held-out gaps, beside baselines; the report."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lstfill import compute
from lstfill.artifacts import Pointer
from lstfill.config import Cluster, Evaluate, Tracking
from lstfill.errors import ConfigError, DataError
from lstfill.steps import contenders, gate, models, scoring
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
    from lstfill.evaluate.figures import FigureData
    from lstfill.evaluate.tally import Tally
    from lstfill.model import Model
    from lstfill.steps.scoring import Drawn

logger = logging.getLogger(__name__)

SCORES, REPORT = "evaluation.json", "report.html"
_OF_A_MODEL = ("scores", "groups", "intervals")


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
    """Writes ``evaluation.json`` and ``report.html``, and gives a registered model its alias if it passes the gate.

    Args:
        evaluate: baselines, break-downs, date of the maps, rule of the gate.
        tracking: where the run is recorded, and where registered models are.
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
    fitted = contenders.fitted(model, tracking, reader)
    main = next(iter(fitted.values()))
    _refuse_other_split(model, parts)
    _refuse_date(evaluate, reader)
    challenge = gate.challenge(model, tracking, reader)
    rival = {} if challenge is None or challenge.rival is None else {challenge.label: challenge.rival}
    begin(output)
    where = cluster or Cluster()
    with (
        compute.cluster(where) as engine,
        contenders.entered(engine, reader, {**fitted, **rival}, output, where) as entered,
    ):
        tally, drawn = scoring.score(engine, reader, entered, evaluate)
    scores = tally.result(reader.target, evaluate.groups)
    scores["outliers"] = tally.outliers(reader.grid.time, reader.grid.lat, reader.grid.lon)
    decision = None if challenge is None else challenge.decide(evaluate.gate, tally, evaluate.groups)
    scores["gate"] = None if challenge is None or decision is None else challenge.facts(decision)
    objects.put_json(join(output, SCORES), scores)
    page, figures = _report(reader, main, tally, drawn, scores, model)
    objects.put_bytes(join(output, REPORT), page.encode())
    _log(tracking, model, fitted, scores, page, figures)
    if challenge is not None and decision is not None:
        challenge.enact(decision, output)
    facts = {
        "scores": scores["scores"],
        "baselines": scores["baselines"],
        "report": join(output, REPORT),
        "gate": scores["gate"],
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
    from lstfill.evaluate.tally import nearest_step

    if evaluate.map_date is not None:
        nearest_step(reader.grid.time, evaluate.map_date)


def _report(
    reader: Reader, fitted: Model, tally: Tally, drawn: Drawn, scores: dict[str, Any], model: str
) -> tuple[str, dict[str, bytes]]:
    """The page, and the figures as PNG by name."""
    from lstfill.evaluate.figures import figures, lead_figure
    from lstfill.evaluate.report import pictures, png, render

    data = _figure_data(reader, fitted, tally, drawn, model)
    encoded = pictures(figures(data, scores))
    page = render(_about(reader, fitted, model), scores, data, encoded)
    return page, {**{name: picture.png for name, picture in encoded.items()}, "before_after": png(lead_figure(data))}


def _figure_data(reader: Reader, fitted: Model, tally: Tally, drawn: Drawn, model: str) -> FigureData:
    """The maps of one date, and what scoring has gathered."""
    from lstfill.evaluate.figures import FigureData
    from lstfill.evaluate.maps import Grid as Drawing

    lat, lon = Drawing.of(reader.grid.lat, reader.grid.lon).centres
    feature = next(iter(reader.features), "")
    return FigureData(
        date=drawn.date,
        lat=lat,
        lon=lon,
        feature_name=feature,
        history=history_of(model),
        feature_unit=fitted.card.units[feature] if feature else "",
        target_name=reader.target,
        **drawn.planes,
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


def _log(
    tracking: Tracking, model: str, fitted: Iterable[str], scores: dict[str, Any], page: str, figures: dict[str, bytes]
) -> None:
    """Logs the scores of the model that fills to the run of the training, and those of each model to its own run."""
    from lstfill.tracking import open_run, resolve_uri

    facts = refuse_foreign(model, "train", "the model")["facts"]
    with open_run(resolve_uri(tracking, None), tracking.experiment, "evaluate", run_id=facts["run_id"]) as active:
        active.log_metrics({key: scores[key] for key in (*_OF_A_MODEL, "baselines", "paired")})
        active.log_json(scores, SCORES)
        active.log_files({REPORT: page, **{f"figures/{name}.png": png for name, png in figures.items()}})
        of_model = {scores["model"]: scores, **scores["rivals"]}
        for name in fitted if scores["rivals"] else ():
            with active.child(name) as run:
                run.log_metrics({key: of_model[name][key] for key in _OF_A_MODEL})
