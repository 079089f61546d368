"""Evaluate: the scores of the naive expression, beside baselines, in a store that is whole or refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lstfill.config import Evaluate, Split, Tracking
from lstfill.errors import ConfigError, DataError, StoreError
from lstfill.steps import evaluate, scoring
from lstfill.steps.provenance import origin_of
from lstfill.steps.reader import Reader
from tests.steps.chain import FEATURE, GIVEN, SPLIT, TARGET, TRUTH, land, parts_of

SCENE = scoring._scene


@pytest.fixture
def without_pictures(monkeypatch):
    """Scores alone: the pictures have tests of their own and take seconds."""
    monkeypatch.setattr(evaluate, "_report", lambda *_: ("<html></html>", {}))


def scores_of(scored):
    return json.loads(Path(scored.at("evaluation"), "evaluation.json").read_text())


def predicted(chain):
    """The line, written out."""
    parameters = json.loads(Path(chain.at("model"), "model.json").read_text())["parameters"]
    return (
        parameters["slope"][FEATURE] * chain.array("cube", FEATURE).astype(np.float64) + parameters["intercept"]
    ).astype(np.float32)


def naive(value, observed, lat):
    error, weight = value.astype(np.float64) - observed, np.cos(np.deg2rad(lat))
    return {
        "n": error.size,
        "mae_k": np.abs(error).mean(),
        "rmse_k": np.sqrt((error**2).mean()),
        "bias_k": error.mean(),
        "r2": 1 - (error**2).sum() / ((observed - observed.mean(dtype=np.float64)) ** 2).sum(),
        "weighted": np.average(np.abs(error), weights=weight),
    }


def assert_scores(found, value, observed, lat):
    expected = naive(value, observed, lat)
    assert found["weighted"]["mae_k"] == pytest.approx(expected.pop("weighted"), rel=1e-5)
    for name, number in expected.items():
        assert found[name] == pytest.approx(number, rel=1e-5, abs=1e-6), name


def cells_of(chain, name):
    """Scored cells by the naive expression, and what is observed there."""
    target, held_out = chain.array("cube", TARGET), chain.array("parts", "held_out")
    test = np.isfinite(target) & land() & ~held_out & (parts_of(chain) == 2)
    cells = {"test": test, "held_out_gaps": held_out}[name]
    return cells, np.broadcast_to(chain.array("cube", "lat")[None, :, None], target.shape)[cells]


@pytest.mark.parametrize("name", ["test", "held_out_gaps"])
def test_scores_are_those_of_the_naive_expression(scored, name):
    cells, lat = cells_of(scored, name)
    observed = scored.array("cube", TARGET)[cells]
    assert_scores(scores_of(scored)["scores"][name], predicted(scored)[cells], observed, lat)


@pytest.mark.parametrize("name", ["test", "held_out_gaps"])
def test_the_feature_itself_is_scored_on_the_same_cells(scored, name):
    cells, lat = cells_of(scored, name)
    observed, feature = (scored.array("cube", variable)[cells] for variable in (TARGET, FEATURE))
    assert_scores(scores_of(scored)["baselines"]["feature"][name], feature, observed, lat)


def test_the_model_beats_every_baseline_on_a_planet_made_for_it(scored):
    scores = scores_of(scored)
    assert set(scores["baselines"]) == {"feature", "date_mean", "cell_mean", "temporal_interpolation"}
    best = scores["scores"]["held_out_gaps"]["mae_k"]
    # 3 K of noise: the mean of its absolute value is 3 sqrt(2 / pi) = 2.39 K.
    assert best == pytest.approx(3 * np.sqrt(2 / np.pi), rel=0.08)
    assert all(one["held_out_gaps"]["mae_k"] > best for one in scores["baselines"].values())


def test_groups_add_up(scored):
    scores = scores_of(scored)
    for group, names in {"latitude": ["test", "held_out_gaps"], "gap_size": ["held_out_gaps"]}.items():
        for name in names:
            found = sum(row[name]["n"] for row in scores["groups"][group].values() if row[name])
            assert found == scores["scores"][name]["n"]


def test_facts_of_the_pointer_hold_the_scores_and_lead_to_the_report(scored):
    facts = origin_of(scored.at("evaluation"))["facts"]
    assert facts["scores"] == scores_of(scored)["scores"]
    page = Path(facts["report"]).read_text()
    assert page.lstrip().lower().startswith("<!doctype html")
    assert len(page) < 2_000_000
    assert not re.search(r"""(?:src|href)=["']https?:""", page)
    for said in (TARGET, FEATURE, f"{scores_of(scored)['scores']['test']['mae_k']:.2f}", scored.source.uri):
        assert said in page


def test_the_run_of_the_training_gets_scores_report_and_figures(scored):
    from mlflow import MlflowClient

    client = MlflowClient(scored.tracking.uri)
    run = client.get_run(origin_of(scored.at("model"))["facts"]["run_id"])
    scores = scores_of(scored)
    assert run.data.metrics["scores/test/mae_k"] == scores["scores"]["test"]["mae_k"]
    feature = scores["baselines"]["feature"]["held_out_gaps"]["rmse_k"]
    assert run.data.metrics["baselines/feature/held_out_gaps/rmse_k"] == feature
    assert run.info.status == "FINISHED"
    assert {"evaluation.json", "report.html", "figures"} <= {a.path for a in client.list_artifacts(run.info.run_id)}
    figures = {Path(a.path).stem for a in client.list_artifacts(run.info.run_id, "figures")}
    assert {"target", "filled", "error", "scatter", "loss", "before_after"} <= figures


def test_given_gaps_are_scored_against_the_truth(chain, without_pictures):
    given = chain.but(split=SPLIT.model_copy(update={"held_out_gaps": GIVEN}))
    given.prepared()
    given.trained()
    given.scored()
    cells, lat = cells_of(given, "held_out_gaps")
    truth = given.array("cube", TRUTH)[cells]
    assert np.isnan(given.array("cube", TARGET)[cells]).any()
    assert_scores(scores_of(given)["scores"]["held_out_gaps"], predicted(given)[cells], truth, lat)


def test_without_held_out_gaps_there_are_no_scores_for_them(chain, without_pictures):
    without = chain.but(split=Split(block=SPLIT.block), evaluate=Evaluate(baselines=["feature"], groups=[]))
    without.prepared()
    without.trained()
    pointer = without.scored()
    assert pointer.facts["scores"]["held_out_gaps"] is None
    assert scores_of(without)["scored"] == "test"
    assert list(scores_of(without)["baselines"]) == ["feature"]
    assert scores_of(without)["groups"] == {}


def test_chunks_and_workers_do_not_change_the_scores(scored, tmp_path, without_pictures, monkeypatch):
    from lstfill.steps import reader

    monkeypatch.setattr(reader, "COLUMN_CELLS", 12 * 5 * 18)
    inputs = scored.inputs("cube", "land", "parts", "model")
    cluster = scored.cluster.model_copy(update={"workers": 4})
    evaluate.run(Evaluate(), scored.tracking, **inputs, output=f"{tmp_path}/evaluation", cluster=cluster)
    again = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    for name in ("test", "held_out_gaps"):
        mine, theirs = (scores["scores"][name] for scores in (scores_of(scored), again))
        assert theirs.pop("weighted") == pytest.approx(mine.pop("weighted"), rel=1e-9)
        assert theirs == pytest.approx(mine, rel=1e-9)


@pytest.fixture
def reads(monkeypatch):
    """Windows that were read, and whether with features."""
    seen, chunk = [], Reader.chunk

    def counted(self, window, *, features=True):
        seen.append((window, features))
        return chunk(self, window, features=features)

    monkeypatch.setattr(Reader, "chunk", counted)
    return seen


@pytest.mark.parametrize(("baselines", "passes"), [(["feature", "date_mean"], 1), (["cell_mean"], 0)])
def test_each_chunk_is_scored_once_and_summed_by_date_at_most_once(
    fitted, tmp_path, reads, without_pictures, baselines, passes
):
    run(fitted, tmp_path, Evaluate(baselines=baselines, map_date="2002-06-06"))
    whole = [window for window, features in reads if features]
    targets = [window for window, features in reads if not features]
    cells = np.prod(Reader.open(fitted.at("cube")).grid.shape)
    assert len(set(whole)) == len(whole)
    assert sum(window.size for window in whole) == cells
    assert sum(window.size for window in targets) in (passes * cells, (passes + 1) * cells)  # once more for series
    assert len(set(targets)) in (0, len(whole))


def test_the_date_of_the_maps_is_read_again_only_if_another_one_was_expected(
    fitted, tmp_path, reads, without_pictures, monkeypatch
):
    drawn = []
    monkeypatch.setattr(evaluate, "_report", lambda *given: drawn.append(given[3]) or ("", {}))
    run(fitted, tmp_path)
    expected, before = drawn[0], len(reads)
    monkeypatch.setattr(scoring, "_scene", lambda *given: replace(SCENE(*given), step=0))
    run(fitted, tmp_path)
    grid = Reader.open(fitted.at("cube")).grid
    step = int(np.flatnonzero(grid.time == expected.date)[0])
    again = [window for window, features in reads[before:] if features][before // 2 :]
    assert step > 0
    assert all(window.start[0] <= step < window.stop[0] for window in again)
    assert drawn[1].date == expected.date
    assert drawn[1].planes.keys() == expected.planes.keys()
    for name, plane in expected.planes.items():
        np.testing.assert_array_equal(drawn[1].planes[name], plane)
    np.testing.assert_array_equal(expected.planes["target"], fitted.array("cube", TARGET)[step])


def run(scored, place, section=None, **other):
    inputs = scored.inputs("cube", "land", "parts", "model") | other
    return evaluate.run(section or Evaluate(), scored.tracking, **inputs, output=f"{place}/evaluation")


def test_a_date_of_maps_that_is_not_in_the_cube_is_refused_before_anything_is_written(fitted, tmp_path):
    with pytest.raises(ConfigError, match=r"map_date '1999-01-01' lies outside the cube, 2002-05-21 to 2002-08-17"):
        run(fitted, tmp_path, Evaluate(map_date="1999-01-01"))
    assert not (tmp_path / "evaluation").exists()


def test_a_killed_rerun_is_not_taken_for_the_run_before(fitted, tmp_path, without_pictures, monkeypatch):
    run(fitted, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "_log", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(fitted, tmp_path)
    with pytest.raises(StoreError, match=r"evaluation is not whole: .* Run that step again"):
        origin_of(f"{tmp_path}/evaluation")
    run(fitted, tmp_path)
    assert origin_of(f"{tmp_path}/evaluation")["step"] == "evaluate"


def test_a_model_trained_with_another_split_is_refused(fitted, tmp_path):
    other = fitted.but(root=tmp_path, split=Split(block=SPLIT.block, seed=9))
    other.ingested()
    other.masked()
    other.parted()
    with pytest.raises(DataError, match=r"was trained with the split \w+, .*parts\.zarr is \w+: it may have seen what"):
        run(fitted, tmp_path, parts=other.at("parts"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "samples"}, r"samples\.zarr was written by step preprocess, not train: .* of the model"),
        ({"parts": "land"}, r"land\.zarr was written by step mask, not split: give the address of the split"),
        ({"cube": "parts"}, r"parts\.zarr was written by step split, not ingest: .* of the work cube"),
        ({"land": "cube"}, r"cube\.zarr was written by step ingest, not mask: .* of the land mask"),
    ],
)
def test_mixed_up_addresses_are_refused_and_nothing_is_begun(fitted, tmp_path, given, message):
    with pytest.raises(StoreError, match=message):
        run(fitted, tmp_path, **{name: fitted.at(other) for name, other in given.items()})
    assert not (tmp_path / "evaluation").exists()


def test_a_registered_model_is_evaluated_by_way_of_training(scored, tmp_path):
    with pytest.raises(ConfigError, match=r"name it in train\.pretrained"):
        evaluate.run(
            Evaluate(), Tracking(), cube="c", land="l", parts="p", model="models:/m@champion", output=str(tmp_path)
        )
