"""The real pipeline from the entry point to the filled cube, and the same numbers from plain calls."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lstfill import model as models_of
from lstfill.config import Tracking
from lstfill.configfile import load
from lstfill.cube.flags import SourceFlag
from lstfill.split import Part, SplitTable
from lstfill.steps import ingest, mask, predict, preprocess, split, train
from lstfill.storage import objects, stores
from lstfill.synthetic import FEATURE, TARGET
from tests import made
from tests.pipelines.conftest import ALIAS, MODEL

pytestmark = [
    pytest.mark.timeout(900),  # the two runs, for whichever test comes first
    pytest.mark.usefixtures("opened"),
]

STEPS = ["ingest", "mask", "split", "preprocess", "train", "evaluate", "predict"]
SCORES = {"mae_k", "rmse_k", "bias_k", "r2", "n"}
BASELINES = {"feature", "date_mean", "cell_mean", "temporal_interpolation"}


class TestSummary:
    def test_has_the_documented_keys_and_no_others(self, ran):
        summary = ran.first.summary
        assert set(summary) == {"status", "steps", "scores", "filled", "report", "model", "mlflow"}
        assert summary["status"] == "succeeded"
        assert set(summary["mlflow"]) == {"tracking_uri", "run_id"}
        assert set(summary["scores"]) == {"test", "held_out_gaps", "baselines"}
        assert set(summary["scores"]["test"]) == set(summary["scores"]["held_out_gaps"]) == SCORES
        assert set(summary["scores"]["baselines"]) == BASELINES
        for of in summary["scores"]["baselines"].values():
            assert set(of) == {"held_out_gaps"}
            assert set(of["held_out_gaps"]) == SCORES

    def test_lists_every_step_in_order_with_time_and_memory(self, ran):
        steps = ran.first.summary["steps"]
        names = [step["name"] for step in steps]
        # Evaluate and predict wait for train, not for each other.
        assert [*names[:5], *sorted(names[5:])] == STEPS
        for step in steps:
            assert set(step) == {"name", "seconds", "peak_rss_mb", "cached"}
            assert 0 < step["seconds"] < 600
            assert 50 < step["peak_rss_mb"] < 3000
            assert step["cached"] is False

    def test_leads_to_what_is_there(self, ran):
        summary = ran.first.summary
        assert Path(summary["report"]).is_file()
        assert objects.exists(f"{summary['model']}/model.keras")
        assert stores.provenance(summary["filled"])["step"] == "predict"
        assert summary["mlflow"]["tracking_uri"] == f"sqlite:///{ran.directory / 'mlflow.db'}"


class TestProgress:
    def test_one_line_a_step_then_scores_and_addresses(self, ran):
        seen = ran.first.seen
        lines = [re.search(rf"✓ {name} +\d+\.\d s +\d+ MB", seen) for name in STEPS]
        assert all(lines), seen
        starts = [line.start() for line in lines]
        assert starts[:5] == sorted(starts[:5])
        assert starts[4] < min(starts[5:])
        summary = ran.first.summary
        assert f"{summary['scores']['held_out_gaps']['mae_k']:.2f}" in seen
        assert all(text in seen for text in (summary["filled"], summary["report"], "mlflow ui", "python -m pipelines"))

    def test_no_chatter_of_the_runner(self, ran):
        assert not re.search("KFP|Traceback|Warning|WARNING|Executing task|executor_input", ran.first.seen)
        assert len(ran.first.seen.splitlines()) < 40

    def test_the_log_has_the_whole_story(self, ran):
        logs = sorted((ran.directory / "logs").glob("run-*.log"))
        assert len(logs) == 3
        assert all(f"Executing task '{name}'" in _plain(logs[0].read_text()) for name in STEPS)


def _plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture(scope="module")
def page(ran, opened):
    return Path(ran.first.summary["report"]).read_text(encoding="utf-8")


class TestReport:
    def test_is_one_file_without_outside_links(self, page):
        assert page.lstrip().lower().startswith("<!doctype html>")
        assert len(page) < 2_000_000
        assert page.count("data:image/png;base64,") >= 8
        assert not re.search(r"""\b(src|href)\s*=\s*(?!["']data:)""", page)
        assert not re.search(r"<(script|link|iframe)\b|@import|url\(", page)

    def test_says_what_was_run_on_which_data(self, ran, page):
        scores = ran.first.summary["scores"]["held_out_gaps"]
        identity = ran.first.pointer(ran.directory, "ingest", "cube").identity
        for text in ("s3://lstfill/sources/cube.zarr", identity, "2002-05-21", f"{scores['mae_k']:.2f}", "temporal"):
            assert text in page, text

    def test_each_run_keeps_its_own_in_the_workspace_in_the_store_and_in_mlflow(self, ran):
        pages = []
        for outcome in (ran.first, ran.second):
            path = Path(outcome.summary["report"])
            assert path.parent == ran.directory / "reports"
            pages.append(path.read_text(encoding="utf-8"))
            evaluation = outcome.pointer(ran.directory, "evaluate", "evaluation")
            run = ran.directory / "mlartifacts" / outcome.summary["mlflow"]["run_id"] / "artifacts" / "report.html"
            assert objects.get_bytes(f"{evaluation.uri}/report.html").decode() == pages[-1]
            assert run.read_text(encoding="utf-8") == pages[-1]
        assert pages[0] != pages[1]


@pytest.fixture(scope="module")
def filled(ran, opened):
    # As a user opens it: an address and keys, no word of what is inside.
    key, secret, endpoint = (
        os.environ[f"LSTFILL_S3_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL")
    )
    options = {"key": key, "secret": secret, "endpoint_url": endpoint}
    return xr.open_zarr(ran.first.summary["filled"], storage_options=options).load()


@pytest.fixture(scope="module")
def source():
    return made.cube()


class TestFilledCube:
    def test_has_the_grid_order_chunks_and_format_of_the_source(self, ran, filled, source):
        for dim in ("time", "lat", "lon"):
            np.testing.assert_array_equal(filled[dim], source[dim])
        assert filled["lat"][0] > filled["lat"][-1]
        assert filled[TARGET].dims == ("time", "lat", "lon")
        assert filled[TARGET].dtype == np.float32
        assert filled[TARGET].encoding["chunks"] == made.CHUNKS
        assert objects.exists(f"{ran.first.summary['filled']}/.zgroup")

    def test_is_copied_out_where_the_run_was_asked_to(self, ran, filled):
        assert xr.open_zarr(ran.directory / "filled" / "0.zarr").load().identical(filled)

    def test_keeps_observed_values_bit_for_bit(self, filled, source):
        observed = np.isfinite(source[TARGET].values)
        kept, given = filled[TARGET].values[observed], source[TARGET].values[observed]
        np.testing.assert_array_equal(kept.view(np.int32), given.view(np.int32))

    def test_flags_say_where_values_come_from(self, filled, source):
        flag = filled[f"{TARGET}_source"].values
        observed, on_land = np.isfinite(source[TARGET].values), np.broadcast_to(made.land(), made.SHAPE)
        np.testing.assert_array_equal(flag == SourceFlag.OBSERVED, observed)
        gap = ~observed & on_land
        np.testing.assert_array_equal(np.isin(flag, (SourceFlag.FILLED, SourceFlag.EXTRAPOLATED)), gap)
        np.testing.assert_array_equal(flag == SourceFlag.NOT_FILLABLE, ~observed & ~on_land)
        assert np.count_nonzero(gap) > 1000
        assert filled[f"{TARGET}_source"].attrs["flag_meanings"] == "observed filled extrapolated not_fillable"

    def test_has_a_value_and_an_uncertainty_in_every_gap_on_land_and_nowhere_else(self, filled):
        flag = filled[f"{TARGET}_source"].values
        gap = np.isin(flag, (SourceFlag.FILLED, SourceFlag.EXTRAPOLATED))
        np.testing.assert_array_equal(np.isfinite(filled[TARGET].values), flag != SourceFlag.NOT_FILLABLE)
        np.testing.assert_array_equal(np.isfinite(filled[f"{TARGET}_uncertainty"].values), gap)
        # The noise that the cube was made with has a deviation of 3 K.
        assert np.nanmedian(filled[f"{TARGET}_uncertainty"]) == pytest.approx(3.0, abs=0.8)

    def test_is_close_to_the_truth_behind_the_gaps(self, filled):
        from lstfill.synthetic import esdc_like

        _, truth = esdc_like(made.SHAPE, seed=1, land=made.land())
        gap = np.isin(filled[f"{TARGET}_source"].values, (SourceFlag.FILLED, SourceFlag.EXTRAPOLATED))
        error = (filled[TARGET].values - truth.values)[gap]
        # sqrt(2 / pi) * 3 K is the best that can be had from the air temperature.
        assert np.abs(error).mean() == pytest.approx(3 * np.sqrt(2 / np.pi), abs=0.15)

    def test_says_how_it_was_made(self, filled):
        assert filled[TARGET].attrs["units"] == "K"
        assert filled[TARGET].attrs["project_name"] == "synthetic"
        assert "lstfill" in filled.attrs["history"]
        assert filled.attrs["lstfill"]["configuration"]["train"]["epochs"] == 4


@pytest.fixture(scope="module")
def plain(ran, opened, tmp_path_factory):
    """The first five steps by plain calls on this machine's disk, and the fill by the model of the run."""
    config, root = load(ran.config), tmp_path_factory.mktemp("plain")
    tracking = Tracking(uri=f"sqlite:///{ran.directory / 'mlflow.db'}", experiment="plain calls")
    source = config.source.model_copy(update={"extras": config.carried_extras()})
    at = {name: str(root / f"{name}.zarr") for name in ("cube", "land", "parts", "samples", "filled")}
    at["model"] = str(root / "model")
    unregistered = config.train.model_copy(update={"register_as": None, "alias": None})
    ingest.run(source, output=at["cube"])
    mask.run(config.mask, cube=at["cube"], output=at["land"])
    split.run(config.split, cube=at["cube"], land=at["land"], output=at["parts"])
    given = {"cube": at["cube"], "land": at["land"]}
    preprocess.run(config.preprocess, **given, parts=at["parts"], output=at["samples"])
    inputs = {name: at[name] for name in ("samples", "cube", "land", "parts")}
    train.run(unregistered, tracking, **inputs, output=at["model"])
    predict.run(config.predict, tracking, **given, model=ran.address("train", "model"), output=at["filled"])
    return at


def arrays(uri):
    """All variables of a store."""
    with stores.open_whole(uri) as ds:
        return {str(name): ds[name].values for name in ds.variables}


def split_table(uri):
    with stores.open_whole(uri) as ds:
        return SplitTable.from_dataset(ds.drop_vars("held_out").load())


def assert_same_bits(one, other):
    assert set(one) == set(other)
    for name, values in one.items():
        assert values.dtype == other[name].dtype, name
        assert values.tobytes() == other[name].tobytes(), name


class TestPlainCalls:
    def test_the_same_work_cube_and_mask(self, ran, plain):
        for task, output in (("ingest", "cube"), ("mask", "land")):
            assert_same_bits(arrays(ran.address(task, output)), arrays(plain[output]))

    def test_the_same_split_and_held_out_gaps(self, ran, plain):
        of_run, here = arrays(ran.address("split", "parts")), arrays(plain["parts"])
        assert_same_bits(of_run, here)
        assert of_run["held_out"].sum() > 300
        tables = [split_table(uri) for uri in (ran.address("split", "parts"), plain["parts"])]
        assert tables[0].parts.tobytes() == tables[1].parts.tobytes()
        assert tables[0].report == tables[1].report

    def test_the_same_samples_in_the_same_order(self, ran, plain):
        of_run, here = arrays(ran.address("preprocess", "samples")), arrays(plain["samples"])
        assert of_run["train_cell"].size > 1000
        assert_same_bits(of_run, here)

    def test_the_same_scaling(self, ran, plain):
        scaling = [stores.provenance(uri)["facts"]["scaling"] for uri in (_samples(ran), plain["samples"])]
        for name in (TARGET, FEATURE):
            for key in ("offset", "scale"):
                assert scaling[0][name][key] == pytest.approx(scaling[1][name][key], rel=1e-6)

    def test_the_same_weights(self, ran, plain, tmp_path):
        of_run, here = (_card(uri, tmp_path / name) for uri, name in ((_model(ran), "run"), (plain["model"], "here")))
        assert of_run["slope"][FEATURE] == pytest.approx(here["slope"][FEATURE], rel=1e-6)
        assert of_run["intercept"] == pytest.approx(here["intercept"], rel=1e-6)

    def test_the_same_model_fills_to_the_same_bits(self, ran, plain):
        assert_same_bits(arrays(ran.first.summary["filled"]), arrays(plain["filled"]))

    def test_the_same_identities(self, ran, plain):
        """What a store was made from and with is the same, wherever it lies."""
        for task, output in (("ingest", "cube"), ("mask", "land"), ("split", "parts"), ("preprocess", "samples")):
            identities = [stores.provenance(uri)["identity"] for uri in (ran.address(task, output), plain[output])]
            assert identities[0] == identities[1], task


def _samples(ran):
    return ran.address("preprocess", "samples")


def _model(ran):
    return ran.address("train", "model")


def _card(uri, into):
    objects.get_tree(uri, into)
    return models_of.load(into).card.parameters


@pytest.fixture(scope="module")
def residuals(ran, opened, tmp_path_factory):
    cube = made.cube()
    line = _card(_model(ran), tmp_path_factory.mktemp("card") / "model")
    predicted = line["slope"][FEATURE] * cube[FEATURE].values.astype(float) + line["intercept"]
    return predicted - cube[TARGET].values


class TestScores:
    """The summary's scores from the stores by the naive expression."""

    def _assert_scores(self, scores, errors):
        assert scores["n"] == errors.size
        assert scores["mae_k"] == pytest.approx(np.abs(errors).mean(), abs=1e-4)
        assert scores["rmse_k"] == pytest.approx(np.sqrt((errors**2).mean()), abs=1e-4)
        assert scores["bias_k"] == pytest.approx(errors.mean(), abs=1e-4)

    def test_of_held_out_gaps(self, ran, residuals):
        hidden = arrays(ran.address("split", "parts"))["held_out"]
        self._assert_scores(ran.first.summary["scores"]["held_out_gaps"], residuals[hidden])

    def test_of_the_test_part(self, ran, residuals):
        parts = ran.address("split", "parts")
        table, hidden = split_table(parts), arrays(parts)["held_out"]
        rows, columns, steps = (np.arange(n) // b for n, b in zip(made.SHAPE, (5, 9, 9), strict=True))
        part = table.parts[np.ix_(rows, columns, steps)]
        scored = (part == Part.TEST) & ~hidden & made.land()[None] & np.isfinite(residuals)
        self._assert_scores(ran.first.summary["scores"]["test"], residuals[scored])

    def test_of_the_feature_as_a_baseline(self, ran):
        cube, hidden = made.cube(), arrays(ran.address("split", "parts"))["held_out"]
        errors = (cube[FEATURE].values.astype(float) - cube[TARGET].values)[hidden]
        self._assert_scores(ran.first.summary["scores"]["baselines"]["feature"]["held_out_gaps"], errors)


@pytest.fixture(scope="module")
def client(ran, opened):
    from lstfill.tracking.client import quiet_mlflow

    uri = ran.first.summary["mlflow"]["tracking_uri"]
    return quiet_mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture(scope="module")
def run(client, ran):
    return client.get_run(ran.first.summary["mlflow"]["run_id"])


class TestTracking:
    def test_one_run_a_pipeline_run(self, client, ran, run):
        experiment = client.get_experiment_by_name("lstfill")
        runs = client.search_runs([experiment.experiment_id])
        ids = {outcome.summary["mlflow"]["run_id"] for outcome in (ran.first, ran.second)}
        assert {found.info.run_id for found in runs} == ids
        assert len(ids) == 2
        assert run.info.status == "FINISHED"

    def test_configuration_and_lineage(self, ran, run):
        assert run.data.params["train.learning_rate"] == "0.1"
        assert run.data.params["source.uri"] == "s3://lstfill/sources/cube.zarr"
        assert run.data.params["split.held_out_gaps.kind"] == "clouds"
        cube = ran.first.pointer(ran.directory, "ingest", "cube")
        mask_digest = ran.first.pointer(ran.directory, "mask", "land").facts["digest"]
        assert cube.identity in run.data.tags.values()
        assert mask_digest in run.data.tags.values()

    def test_metrics_per_epoch_and_scores(self, client, ran, run):
        losses = client.get_metric_history(run.info.run_id, "train/val_loss")
        assert [entry.step for entry in losses] == [1, 2, 3, 4]
        wanted = ran.first.summary["scores"]["held_out_gaps"]["mae_k"]
        assert run.data.metrics["scores/held_out_gaps/mae_k"] == pytest.approx(wanted)

    def test_figures_report_and_logs(self, client, run):
        names = {entry.path for entry in client.list_artifacts(run.info.run_id)}
        assert {"report.html", "evaluation.json", "config.json", "figures", "tensorboard"} <= names
        figures = {Path(entry.path).name for entry in client.list_artifacts(run.info.run_id, "figures")}
        assert {"loss.png", "filled.png"} <= figures

    def test_two_versions_and_the_alias_on_the_first(self, client, ran):
        versions = client.search_model_versions(f"name='{MODEL}'")
        assert sorted(int(version.version) for version in versions) == [1, 2]
        champion = client.get_model_version_by_alias(MODEL, ALIAS)
        assert champion.run_id == ran.first.summary["mlflow"]["run_id"]


class TestCache:
    def test_another_learning_rate_trains_evaluates_and_predicts_again_and_nothing_else(self, ran):
        cached = {step["name"]: step["cached"] for step in ran.second.summary["steps"]}
        assert cached == {name: name in ("ingest", "mask", "split", "preprocess") for name in STEPS}
        assert "ingest      from cache" in ran.second.seen

    def test_the_same_again_is_all_from_cache_and_ends_with_the_same_results(self, ran):
        assert {step["name"]: step["cached"] for step in ran.third.summary["steps"]} == dict.fromkeys(STEPS, True)
        assert ran.third.seen.count("from cache") == len(STEPS)
        for name in ("scores", "filled", "model", "mlflow"):
            assert ran.third.summary[name] == ran.first.summary[name], name

    def test_it_made_another_model_and_another_cube_beside_the_first(self, ran):
        first, second = ran.first.summary, ran.second.summary
        assert first["filled"] != second["filled"]
        assert first["scores"]["test"]["mae_k"] != second["scores"]["test"]["mae_k"]
        assert stores.provenance(second["filled"])["configuration"]["train"]["learning_rate"] == 0.05
        assert stores.provenance(first["filled"])["configuration"]["train"]["learning_rate"] == 0.1
