"""Where the values of scored models come from: samples, places, tiles that see what they may and nothing else."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
import pytest

from lstfill import compute
from lstfill.config import Cluster, Evaluate
from lstfill.cube import Window
from lstfill.errors import DataError
from lstfill.evaluate.visible import as_seen_for
from lstfill.model import Prediction, Reach
from lstfill.steps import contenders, evaluate
from lstfill.steps.provenance import origin_of
from lstfill.steps.reader import Reader
from tests.steps.chain import SHAPE, TARGET, land, parts_of


class Blended:
    """Stands in for blended tiles: one tile that is the whole cube."""

    def __init__(self, prediction, extrapolated):
        self.prediction, self.where = prediction, extrapolated

    def predict(self, chunk):
        values = (self.prediction.value, self.prediction.spread, self.prediction.uncertainty)
        return Prediction(*(None if of is None else of[chunk.window.slices] for of in values))

    def extrapolated(self, chunk):
        return self.where[chunk.window.slices]


@pytest.fixture
def tiling(monkeypatch):
    """What was filled: the scored set, what was seen, and what the model said."""
    filled = {}

    def fill_tiles(engine, reader, model, hidden, place):
        chunk = as_seen_for(reader.chunk(Window((0, 0, 0), reader.grid.shape)), hidden)
        prediction = model.predict(chunk)
        filled[hidden] = (chunk.visible(), prediction.value)
        return Blended(prediction, np.zeros(chunk.target.shape, bool))

    module = ModuleType("lstfill.steps.tiling")
    module.fill_tiles, module.Blended = fill_tiles, Blended
    monkeypatch.setitem(sys.modules, "lstfill.steps.tiling", module)
    return filled


@dataclass
class DateMean:
    """A model of tiles: the mean of what is visible of the date; no uncertainty."""

    name = "date_mean_of_tile"
    reach = Reach.TILE

    @property
    def card(self):
        return type("Card", (), {"calibration": None})()

    def predict(self, chunk):
        visible = chunk.visible()
        mean = np.where(visible, chunk.target, 0).sum((1, 2)) / np.maximum(visible.sum((1, 2)), 1)
        value = np.where(~visible & chunk.land, mean[:, None, None], np.nan)
        return Prediction(value.astype(np.float32), None)


def entered(fitted, models):
    reader = Reader.open(*(fitted.at(name) for name in ("cube", "land", "parts")))
    with (
        compute.cluster(Cluster()) as engine,
        contenders.entered(engine, reader, models, "unused", Cluster()) as found,
    ):
        return found


def test_tiles_are_filled_with_the_test_part_hidden_for_its_scores_and_in_sight_for_held_out_gaps(fitted, tiling):
    entered(fitted, {"main": DateMean()})
    observed = np.isfinite(fitted.array("cube", TARGET)) & land()
    held_out, test = fitted.array("parts", "held_out"), parts_of(fitted) == 2
    np.testing.assert_array_equal(tiling["held_out_gaps"][0], observed & ~held_out)
    np.testing.assert_array_equal(tiling["test"][0], observed & ~held_out & ~test)


def test_a_model_of_tiles_is_scored_on_each_set_by_its_own_fill(fitted, tiling, tmp_path, monkeypatch):
    line = contenders.fitted(fitted.at("model"), fitted.tracking, Reader.open(fitted.at("cube")))
    monkeypatch.setattr(contenders, "fitted", lambda *_: {**line, "tiles": DateMean()})
    monkeypatch.setattr(evaluate, "_report", lambda *_: ("<html></html>", {}))
    inputs = fitted.inputs("cube", "land", "parts", "model")
    evaluate.run(Evaluate(baselines=["date_mean"]), fitted.tracking, **inputs, output=f"{tmp_path}/evaluation")
    scores = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    rival, baseline = scores["rivals"]["tiles"], scores["baselines"]["date_mean"]
    for name in ("test", "held_out_gaps"):
        # One tile that is the whole cube: the mean of the date is that of the baseline.
        assert rival["scores"][name]["mae_k"] == pytest.approx(baseline[name]["mae_k"], rel=1e-5)
        assert rival["scores"][name]["n"] == scores["scores"][name]["n"]
        ours, theirs = (scores["paired"][name][of] for of in ("tiles", "date_mean"))
        assert ours["difference_k"] == pytest.approx(theirs["difference_k"], rel=1e-4)
    assert rival["intervals"] == {"test": None, "held_out_gaps": None}
    assert scores["intervals"]["held_out_gaps"]["coverage_90"] == pytest.approx(0.9, abs=0.06)


def test_each_model_has_a_run_with_its_scores_under_the_same_names(fitted, tiling, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    line = contenders.fitted(fitted.at("model"), fitted.tracking, Reader.open(fitted.at("cube")))
    monkeypatch.setattr(contenders, "fitted", lambda *_: {**line, "tiles": DateMean()})
    monkeypatch.setattr(evaluate, "_report", lambda *_: ("<html></html>", {}))
    inputs = fitted.inputs("cube", "land", "parts", "model")
    evaluate.run(Evaluate(baselines=[]), fitted.tracking, **inputs, output=f"{tmp_path}/evaluation")
    scores = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    client, parent = MlflowClient(fitted.tracking.uri), origin_of(fitted.at("model"))["facts"]["run_id"]
    runs = client.search_runs([client.get_run(parent).info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    metrics = {run.data.tags["model"]: run.data.metrics for run in runs}
    assert set(metrics) == {"linear", "tiles"}
    for name, of in {"linear": scores, "tiles": scores["rivals"]["tiles"]}.items():
        assert metrics[name]["scores/held_out_gaps/mae_k"] == of["scores"]["held_out_gaps"]["mae_k"]
    coverage = scores["intervals"]["held_out_gaps"]["coverage_90"]
    assert metrics["linear"]["intervals/held_out_gaps/coverage_90"] == coverage
    assert "intervals/held_out_gaps/coverage_90" not in metrics["tiles"]


def test_the_maps_of_a_model_of_tiles_show_what_it_fills(fitted, tiling, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(contenders, "fitted", lambda *_: {"tiles": DateMean()})
    monkeypatch.setattr(evaluate, "_report", lambda *given: drawn.append(given[3]) or ("", {}))
    inputs = fitted.inputs("cube", "land", "parts", "model")
    evaluate.run(Evaluate(baselines=[]), fitted.tracking, **inputs, output=f"{tmp_path}/evaluation")
    (drawing,) = drawn
    time = fitted.array("cube", "time")
    step = int(np.flatnonzero(time.astype("datetime64[ns]") == drawing.date)[0])
    target, filled = fitted.array("cube", TARGET)[step], tiling["held_out_gaps"][1][step]
    gap = land() & np.isnan(target)
    np.testing.assert_array_equal(drawing.planes["filled"][gap], filled[gap])
    held_out = fitted.array("parts", "held_out")[step]
    np.testing.assert_allclose(drawing.planes["error"][held_out], (filled - target)[held_out], rtol=1e-5)
    assert np.isnan(drawing.planes["uncertainty"]).all()


def test_models_of_a_directory_come_with_those_that_were_compared(fitted, tmp_path):
    directory = tmp_path / "model"
    shutil.copytree(fitted.at("model"), directory)
    shutil.copytree(fitted.at("model"), directory / "compared" / "harmonic")
    found = contenders.fitted(str(directory), fitted.tracking, Reader.open(fitted.at("cube")))
    assert list(found) == ["linear", "harmonic"]
    assert list(contenders.fitted(fitted.at("model"), fitted.tracking, Reader.open(fitted.at("cube")))) == ["linear"]


def test_a_compared_model_of_other_variables_is_refused(fitted, tmp_path):
    directory = tmp_path / "model"
    shutil.copytree(fitted.at("model"), directory)
    other = directory / "compared" / "other"
    shutil.copytree(fitted.at("model"), other)
    values = json.loads((other / "model.json").read_text())
    (other / "model.json").write_text(json.dumps(values | {"target": {"name": "sst", "units": "K"}}))
    with pytest.raises(DataError, match="made for sst"):
        contenders.fitted(str(directory), fitted.tracking, Reader.open(fitted.at("cube")))


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_line_says_the_same_for_both_sets_and_its_intervals_are_those_of_its_calibration(fitted, calibrated):
    reader = Reader.open(*(fitted.at(name) for name in ("cube", "land", "parts")))
    (model,) = contenders.fitted(fitted.at("model"), fitted.tracking, reader).values()
    if not calibrated:
        model = replace(model, fitted=replace(model.card, calibration=None))
    from lstfill.evaluate.land import LandCells

    chunk = reader.chunk(Window((0, 0, 0), SHAPE))
    cells = LandCells.of(chunk)
    said = contenders.Contender(model).estimates(chunk, cells)
    assert list(said) == ["test", "held_out_gaps"]
    expected = model.predict(chunk)
    for estimate in said.values():
        np.testing.assert_array_equal(estimate.value, cells.of_window(expected.value))
        if calibrated:
            at = np.arange(0, chunk.target.size, 7)
            np.testing.assert_allclose(
                estimate.half_widths(at), model.card.calibration.half_widths(chunk, expected, at), rtol=1e-12
            )
        else:
            assert estimate.half_widths is None
