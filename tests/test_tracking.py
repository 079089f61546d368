"""Tracking on a real MLflow: SQLite stores and a served one, joined runs, registered models, no secrets anywhere."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from lstfill import tracking
from lstfill.config import Tracking
from lstfill.errors import DataError, TrackingError
from lstfill.tracking.values import LONGEST_VALUE, metrics, parameters

SLOPE, SECOND, INTERCEPT = 1.12, 0.25, -30.0
SECRET = "s3cr3t-w0rd"


@pytest.fixture(autouse=True)
def _no_platform(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One SQLite store for the tests that need no empty one: making it takes seconds."""
    return tracking.resolve_uri(Tracking(), tmp_path_factory.mktemp("tracking store"))


@pytest.fixture(scope="module")
def model_directory(tmp_path_factory):
    import keras

    directory = tmp_path_factory.mktemp("model")
    inputs = keras.Input((2,))
    network = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    network.layers[-1].set_weights([np.array([[SLOPE], [SECOND]], np.float32), np.array([INTERCEPT], np.float32)])
    network.save(directory / "model.keras")
    (directory / "model.json").write_text(json.dumps({"model": "linear", "features": ["t2m", "skt"]}))
    return directory


def client_of(uri):
    from mlflow import MlflowClient

    return MlflowClient(uri, registry_uri=uri)


SERVING = tracking.Serving(
    inputs={"t2m": "double", "skt": "double"}, example={"t2m": [280.0, 290.0], "skt": [281.0, 291.0]}
)


def log_model(run, directory, **options):
    return run.log_model(directory, "linear", SERVING, **options)


@contextlib.contextmanager
def global_uri(uri):
    """What a user does in a notebook, undone afterwards."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    try:
        yield mlflow
    finally:
        mlflow.set_tracking_uri(None)


class TestUri:
    def test_configuration_comes_before_the_environment(self, monkeypatch, tmp_path):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment:5000")
        assert tracking.resolve_uri(Tracking(uri="http://configured:5000"), tmp_path) == "http://configured:5000"
        assert tracking.resolve_uri(Tracking(), tmp_path) == "http://environment:5000"

    @pytest.mark.parametrize("empty", ["", "  "])
    def test_without_any_it_is_sqlite_in_the_workspace(self, monkeypatch, tmp_path, empty):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", empty)
        assert tracking.resolve_uri(Tracking(), tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"

    def test_without_a_workspace_it_is_the_working_directory(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        assert tracking.resolve_uri(Tracking(), None) == f"sqlite:///{tmp_path}/mlflow.db"

    def test_a_relative_file_becomes_absolute(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        assert tracking.resolve_uri(Tracking(uri="sqlite:///runs/a.db"), None) == f"sqlite:///{tmp_path}/runs/a.db"

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("http://me:pw@host:5000/x", "http://***@host:5000/x"),
            ("postgresql+psycopg2://u:p@ss@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
            ("https://token@host", "https://***@host"),
            ("failed at http://a:b@c and http://d:e@f", "failed at http://***@c and http://***@f"),
            ("http://host:5000", "http://host:5000"),
            ("models:/name@alias", "models:/name@alias"),
            ("s3://bucket/cube@v2.zarr", "s3://bucket/cube@v2.zarr"),
        ],
    )
    def test_redact(self, text, shown):
        assert tracking.redact(text) == shown


class TestValues:
    def test_parameters_are_flat_and_text(self):
        config = {"train": {"epochs": 10, "alias": None}, "source": {"features": ["a", "b"], "units": {}}}
        assert parameters(config) == {
            "train.epochs": "10",
            "train.alias": "null",
            "source.features": '["a", "b"]',
            "source.units": "{}",
        }

    def test_a_long_value_is_cut_and_says_so(self):
        value = parameters({"long": "x" * 9000})["long"]
        assert len(value) == LONGEST_VALUE
        assert value.endswith("(9000 characters, in full in config.json)")

    def test_a_value_of_just_the_limit_stays(self):
        assert parameters({"long": "x" * LONGEST_VALUE}) == {"long": "x" * LONGEST_VALUE}

    def test_metrics_leave_out_what_is_no_number(self):
        values = {"test": {"mae_k": 2.5, "r2": None, "n": 7}, "bad": float("nan"), "inf": np.inf, "text": "1"}
        assert metrics(values) == {"test/mae_k": 2.5, "test/n": 7.0}

    def test_names_that_mlflow_refuses_are_mended(self):
        assert metrics({"gap": {">=10000": np.float32(1.5)}, "30°N": 2}) == {"gap/__10000": 1.5, "30_N": 2.0}


class TestRun:
    def test_a_new_run_holds_what_was_logged_and_is_finished(self, store):
        with tracking.open_run(store, "new", "first", {"step": "train"}) as run:
            run.log_config({"train": {"epochs": 3}})
            run.log_text("<p>report</p>", "report.html")
            run.log_json({"a": 1}, "a.json")
        found = client_of(store).get_run(run.run_id)
        assert found.info.status == "FINISHED"
        assert found.info.run_name == "first"
        assert found.data.params == {"train.epochs": "3"}
        assert found.data.tags["step"] == "train"
        names = {entry.path for entry in client_of(store).list_artifacts(run.run_id)}
        assert names == {"config.json", "report.html", "a.json"}
        assert run.experiment == "new"

    def test_artifacts_stand_beside_the_sqlite_file(self, store, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with tracking.open_run(store, "beside", "r") as run:
            run.log_text("here", "note.txt")
        directory = tracking.uri.sqlite_file(store).parent
        assert [path.read_text() for path in directory.glob(f"mlartifacts/{run.run_id}/**/note.txt")] == ["here"]
        assert list(tmp_path.iterdir()) == []

    def test_metrics_by_epoch(self, store):
        with tracking.open_run(store, "epochs", "r") as run:
            for epoch, loss in enumerate([3.0, 2.0, 1.5]):
                run.log_metrics({"train": {"loss": loss}}, epoch)
        history = client_of(store).get_metric_history(run.run_id, "train/loss")
        assert [(entry.step, entry.value) for entry in history] == [(0, 3.0), (1, 2.0), (2, 1.5)]

    def test_more_values_than_a_request_takes(self, store):
        with tracking.open_run(store, "many", "r") as run:
            run.log_config({f"key{k}": k for k in range(250)})
            run.log_metrics({f"metric{k}": k for k in range(1100)})
        found = client_of(store).get_run(run.run_id).data
        assert len(found.params) == 250
        assert len(found.metrics) == 1100

    def test_an_error_ends_it_as_failed_and_stays_itself(self, store):
        with pytest.raises(DataError, match="no cells"), tracking.open_run(store, "failing", "r") as run:
            raise DataError("cube", ["no cells"])
        assert client_of(store).get_run(run.run_id).info.status == "FAILED"

    def test_an_interrupt_ends_it_as_killed(self, store):
        with pytest.raises(KeyboardInterrupt), tracking.open_run(store, "killed", "r") as run:
            raise KeyboardInterrupt
        assert client_of(store).get_run(run.run_id).info.status == "KILLED"

    def test_a_later_task_joins_by_the_pointer(self, store):
        with tracking.open_run(store, "joined", "r") as first:
            first.log_metrics({"a": 1})
        with tracking.open_run(store, "ignored", "ignored", run_id=first.run_id) as second:
            second.log_metrics({"b": 2})
            assert client_of(store).get_run(first.run_id).info.status == "RUNNING"
        found = client_of(store).get_run(first.run_id)
        assert (second.run_id, second.experiment) == (first.run_id, "joined")
        assert found.data.metrics == {"a": 1.0, "b": 2.0}
        assert found.info.status == "FINISHED"

    def test_a_later_process_joins_by_the_pointer(self, store):
        with tracking.open_run(store, "process", "r") as run:
            run.log_metrics({"a": 1})
        code = (
            "import sys; from lstfill import tracking\n"
            "with tracking.open_run(sys.argv[1], 'x', 'x', run_id=sys.argv[2]) as run: run.log_metrics({'b': 2})"
        )
        done = subprocess.run([sys.executable, "-c", code, store, run.run_id], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (done.stdout, done.stderr) == ("", "")  # MLflow's chatter is silenced
        assert client_of(store).get_run(run.run_id).data.metrics == {"a": 1.0, "b": 2.0}

    @pytest.mark.parametrize("fails", [False, True])
    def test_the_platforms_run_is_joined_but_never_ended(self, store, monkeypatch, fails):
        client = client_of(store)
        platform = client.create_run(client.create_experiment(f"platform {fails}"))
        monkeypatch.setenv("MLFLOW_RUN_ID", platform.info.run_id)
        with contextlib.suppress(ValueError), tracking.open_run(store, "ours", "ours", run_id="f" * 32) as run:
            run.log_metrics({"a": 1})
            if fails:
                raise ValueError
        found = client.get_run(platform.info.run_id)
        assert run.run_id == platform.info.run_id
        assert (found.info.status, found.data.metrics) == ("RUNNING", {"a": 1.0})

    def test_the_platforms_run_is_not_ended_by_a_task_that_knows_it_from_a_pointer(self, store):
        client = client_of(store)
        platform = client.create_run(client.create_experiment("platform by pointer"))
        with tracking.open_run(store, "ours", "ours", run_id=platform.info.run_id):
            pass
        assert client.get_run(platform.info.run_id).info.status == "RUNNING"

    def test_models_have_runs_below_it_that_later_tasks_find_by_their_names(self, store):
        with tracking.open_run(store, "children", "train") as run:
            for name, mae in {"local": 0.7, "linear": 2.5}.items():
                with run.child(name) as child:
                    child.log_metrics({"mae_k": mae})
                assert client_of(store).get_run(child.run_id).info.status == "FINISHED"
        with (
            tracking.open_run(store, "children", "evaluate", run_id=run.run_id) as again,
            again.child("local") as joined,
        ):
            assert client_of(store).get_run(joined.run_id).info.status == "RUNNING"
            joined.log_metrics({"bias_k": 0.1})
        found = client_of(store).search_runs([run.experiment_id], f"tags.mlflow.parentRunId = '{run.run_id}'")
        rows = {of.data.tags["model"]: (of.info.run_name, of.info.status, of.data.metrics) for of in found}
        assert rows == {
            "local": ("local", "FINISHED", {"mae_k": 0.7, "bias_k": 0.1}),
            "linear": ("linear", "FINISHED", {"mae_k": 2.5}),
        }

    def test_a_model_of_another_run_has_another_run_below(self, store):
        children = []
        for _ in range(2):
            with tracking.open_run(store, "children", "train") as run, run.child("local") as child:
                children.append(child.run_id)
        assert len(set(children)) == 2

    @pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
    def test_a_run_below_ends_as_what_became_of_its_body(self, store, error, status):
        with tracking.open_run(store, "children", "train") as run:
            with pytest.raises(error), run.child("local") as child:
                raise error
            assert client_of(store).get_run(child.run_id).info.status == status
        assert client_of(store).get_run(run.run_id).info.status == "FINISHED"

    def test_a_run_that_is_not_there(self, store):
        with (
            pytest.raises(TrackingError, match=r"the run f{32} is not at sqlite:.*run again without caching"),
            tracking.open_run(store, "e", "r", run_id="f" * 32),
        ):
            pytest.fail("opened a run that does not exist")

    def test_a_deleted_run(self, store):
        with tracking.open_run(store, "deleted", "r") as run:
            pass
        client_of(store).delete_run(run.run_id)
        with (
            pytest.raises(TrackingError, match="it was deleted"),
            tracking.open_run(store, "e", "r", run_id=run.run_id),
        ):
            pytest.fail("opened a deleted run")

    def test_a_deleted_experiment(self, store):
        client = client_of(store)
        client.delete_experiment(client.create_experiment("gone"))
        with (
            pytest.raises(TrackingError, match=r"experiment 'gone' at .* is deleted"),
            tracking.open_run(store, "gone", "r"),
        ):
            pytest.fail("opened a run of a deleted experiment")

    def test_configuration_twice_does_no_harm(self, store):
        with tracking.open_run(store, "twice", "r") as run:
            run.log_config({"a": {"b": 1}})
            run.log_config({"a": {"b": 1}, "c": 2})
        assert client_of(store).get_run(run.run_id).data.params == {"a.b": "1", "c": "2"}

    def test_a_changed_parameter_keeps_the_first_value_and_warns(self, store, caplog):
        with tracking.open_run(store, "changed", "r") as run:
            run.log_config({"a": 1})
            with caplog.at_level(logging.WARNING, "lstfill"):
                run.log_config({"a": 2})
        assert "keeps a = 1, not 2" in caplog.text
        assert client_of(store).get_run(run.run_id).data.params == {"a": "1"}

    def test_files_go_in_one_request_as_they_are(self, store, tmp_path, monkeypatch):
        picture, page = bytes(range(256)), f"<p>° from https://me:{SECRET}@host/c.zarr</p>"
        with tracking.open_run(store, "files", "r") as run:
            sent = []
            log_artifacts = run._client.log_artifacts
            monkeypatch.setattr(
                run._client, "log_artifacts", lambda *given: (sent.append(given), log_artifacts(*given))
            )
            run.log_files({"figures/map.png": picture, "report.html": page})
        assert len(sent) == 1
        found = Path(client_of(store).download_artifacts(run.run_id, "", str(tmp_path)))
        assert (found / "figures" / "map.png").read_bytes() == picture
        assert (found / "report.html").read_text(encoding="utf-8") == "<p>° from https://***@host/c.zarr</p>"

    def test_a_directory(self, store, tmp_path):
        (tmp_path / "train").mkdir()
        (tmp_path / "train" / "events").write_text("e")
        with tracking.open_run(store, "directory", "r") as run:
            run.log_directory(tmp_path, "tensorboard")
        (entry,) = client_of(store).list_artifacts(run.run_id, "tensorboard/train")
        assert entry.path == "tensorboard/train/events"

    def test_lineage_twice_is_one_input(self, store):
        facts = {"identity": "9" * 64, "source": "s3://b/esdc.zarr", "mask_digest": "m", "split_digest": "s"}
        with tracking.open_run(store, "lineage", "r") as run:
            run.log_lineage(**facts, split_report={"reached": {"train": 0.7}})
            run.log_lineage(**facts)
        found = client_of(store).get_run(run.run_id)
        (dataset,) = [entry.dataset for entry in found.inputs.dataset_inputs]
        assert (dataset.name, dataset.source_type, dataset.digest) == ("esdc.zarr", "s3", "9" * 36)
        assert json.loads(dataset.profile)["cube_identity"] == "9" * 64
        assert found.data.tags["lstfill.cube_identity"] == "9" * 64
        assert found.data.tags["lstfill.source"] == "s3://b/esdc.zarr"
        assert found.data.tags["lstfill.split_digest"] == "s"

    @pytest.mark.parametrize(
        ("source", "kind", "key"),
        [("https://h/c.zarr", "http", "url"), ("/data/c.zarr", "local", "uri"), ("s3://b/c.zarr", "s3", "uri")],
    )
    def test_the_source_is_of_a_kind_that_mlflow_shows(self, source, kind, key):
        digests = {"cube_identity": "1", "mask_digest": None, "split_digest": None}
        (entry,) = tracking.lineage.lineage_inputs(source, digests)
        assert (entry.dataset.source_type, json.loads(entry.dataset.source)) == (kind, {key: source})


@pytest.fixture(scope="module")
def registered(store, model_directory):
    with tracking.open_run(store, "models", "r") as run:
        logged = log_model(run, model_directory, register_as="lst", tags={"cube": "9f"})
    client_of(store).set_registered_model_alias("lst", "champion", logged.version)
    return run, logged


class TestModel:
    def test_it_says_where_the_model_went(self, registered):
        _, logged = registered
        assert (logged.uri, logged.name, logged.version) == ("models:/lst/1", "lst", "1")

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    @pytest.mark.usefixtures("registered")
    def test_plain_pyfunc_takes_kelvin_and_gives_kelvin(self, store, dtype):
        import pandas as pd

        t2m, skt = np.linspace(240, 310, 8), np.linspace(250, 320, 8)
        # Columns in another order than trained on: the signature puts them right.
        table = pd.DataFrame({"skt": skt, "t2m": t2m}, dtype=dtype)
        with global_uri(store) as mlflow:
            predicted = mlflow.pyfunc.load_model("models:/lst@champion").predict(table)
        np.testing.assert_allclose(np.ravel(predicted), SLOPE * t2m + SECOND * skt + INTERCEPT, atol=1e-3)

    @pytest.mark.usefixtures("registered")
    def test_a_missing_column_is_refused(self, store):
        import pandas as pd

        with global_uri(store) as mlflow, pytest.raises(mlflow.MlflowException, match=r"missing inputs.*skt"):
            mlflow.pyfunc.load_model("models:/lst@champion").predict(pd.DataFrame({"t2m": [280.0]}))

    def test_version_and_run_know_of_each_other(self, store, registered):
        run, logged = registered
        version = client_of(store).get_model_version_by_alias("lst", "champion")
        assert (version.run_id, version.tags) == (run.run_id, {"cube": "9f"})
        (output,) = client_of(store).get_run(run.run_id).outputs.model_outputs
        assert output.model_id == logged.model_id
        assert client_of(store).get_logged_model(logged.model_id).status == "READY"

    @pytest.mark.usefixtures("registered")
    def test_signature_and_example(self, store):
        with global_uri(store) as mlflow:
            info = mlflow.models.get_model_info("models:/lst@champion")
        assert info.signature.inputs.input_names() == ["t2m", "skt"]
        assert info.saved_input_example_info["type"] == "dataframe"
        assert info.metadata["lstfill"]["model"] == "linear"

    @pytest.mark.parametrize("kind", ["alias", "version", "id"])
    def test_the_whole_directory_comes_back(self, store, registered, model_directory, tmp_path, kind):
        _, logged = registered
        address = {"alias": "models:/lst@champion", "version": "models:/lst/1", "id": f"models:/{logged.model_id}"}[
            kind
        ]
        found = tracking.fetch_model(address, store, tmp_path / "into")
        for name in ("model.json", "model.keras"):
            assert (found / name).read_bytes() == (model_directory / name).read_bytes()

    @pytest.mark.usefixtures("registered")
    def test_a_fetch_clears_what_an_earlier_one_left(self, store, tmp_path):
        left = tracking.fetch_model("models:/lst@champion", store, tmp_path) / "left.txt"
        left.write_text("old")
        found = tracking.fetch_model("models:/lst@champion", store, tmp_path)
        assert sorted(path.name for path in found.iterdir()) == ["model.json", "model.keras"]

    def test_a_second_version_gets_no_alias_by_itself(self, store, model_directory):
        with tracking.open_run(store, "models", "again") as run:
            first = log_model(run, model_directory, register_as="counted")
            second = log_model(run, model_directory, register_as="counted")
        assert (first.version, second.version) == ("1", "2")
        assert client_of(store).get_registered_model("counted").aliases == {}

    def test_unregistered_is_logged_all_the_same(self, store, model_directory, tmp_path):
        with tracking.open_run(store, "models", "r") as run:
            logged = log_model(run, model_directory)
        assert logged.version is None
        assert (tracking.fetch_model(logged.uri, store, tmp_path) / "model.json").is_file()

    @pytest.mark.parametrize(
        ("address", "message"),
        [
            (
                "models:/lst@challenger",
                r"no model models:/lst@challenger .*'lst' has the aliases: champion; .*versions: 1",
            ),
            ("models:/lst/7", r"no model models:/lst/7 .*versions: 1"),
            ("models:/other@champion", r"no model is registered as 'other'; there are: .*lst"),
            ("models:/m-0123", r"no model models:/m-0123"),
            ("lst@champion", r"no address of a registered model: give models:/NAME@ALIAS"),
        ],
    )
    @pytest.mark.usefixtures("registered")
    def test_what_is_not_there(self, store, tmp_path, address, message):
        with pytest.raises(TrackingError, match=message):
            tracking.fetch_model(address, store, tmp_path)

    def test_a_foreign_model_is_refused(self, store, tmp_path):
        client = client_of(store)
        experiment = client.create_experiment("foreign", tracking.uri.artifact_root(store))
        model = client.create_logged_model(experiment, name="foreign")
        (tmp_path / "MLmodel").write_text("flavors: {}")
        client.log_model_artifacts(model.model_id, str(tmp_path))
        with pytest.raises(TrackingError, match="is not a model of lstfill: it has no folder 'lstfill'"):
            tracking.fetch_model(f"models:/{model.model_id}", store, tmp_path / "into")

    def test_files_that_are_gone(self, store, tmp_path):
        client = client_of(store)
        experiment = client.create_experiment("files gone", tracking.uri.artifact_root(store))
        model = client.create_logged_model(experiment, name="gone")
        with pytest.raises(TrackingError, match="its files are gone"):
            tracking.fetch_model(f"models:/{model.model_id}", store, tmp_path)

    def test_a_directory_that_is_no_model(self, store, tmp_path):
        (tmp_path / "model.keras").touch()
        with (
            pytest.raises(TrackingError, match=r"is not a model of lstfill: it has no model\.json"),
            tracking.open_run(store, "models", "r") as run,
        ):
            log_model(run, tmp_path, register_as="broken")
        with pytest.raises(TrackingError, match="no model is registered as 'broken'"):
            tracking.fetch_model("models:/broken/1", store, tmp_path / "into")

    @pytest.mark.usefixtures("registered")
    def test_nothing_global_is_changed(self, store):
        import mlflow

        assert mlflow.get_tracking_uri() != store
        assert mlflow.active_run() is None


class TestTrouble:
    def test_nothing_listens(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        started = time.monotonic()
        address = f"http://me:{SECRET}@127.0.0.1:{port}"
        with pytest.raises(
            TrackingError, match=rf"no tracking server answers at http://\*\*\*@127.0.0.1:{port}"
        ) as failure:
            tracking.fetch_model("models:/lst@champion", address, Path("unused"))
        assert time.monotonic() - started < 15
        assert SECRET not in repr(failure.value)

    def test_it_listens_but_never_answers(self, monkeypatch):
        monkeypatch.setattr("lstfill.tracking.uri._TIMEOUT_S", 0.2)
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            address = f"http://127.0.0.1:{mute.getsockname()[1]}"
            with pytest.raises(TrackingError, match=f"answers at {address}"), tracking.open_run(address, "e", "r"):
                pytest.fail("opened a run on a mute server")

    def test_an_unknown_scheme(self):
        with (
            pytest.raises(TrackingError, match="cannot connect at gopher://host"),
            tracking.open_run("gopher://host", "e", "r"),
        ):
            pytest.fail("opened a run nowhere")

    def test_a_directory_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        uri = tracking.resolve_uri(Tracking(), tmp_path / "file" / "below")
        with (
            pytest.raises(TrackingError, match=r"mlflow\.db cannot be used .*make it writable"),
            tracking.open_run(uri, "e", "r"),
        ):
            pytest.fail("opened a run in a file")

    def test_a_file_that_is_no_database(self, tmp_path):
        (tmp_path / "mlflow.db").write_text("this is no database, but long enough to be looked at" * 10)
        uri = tracking.resolve_uri(Tracking(), tmp_path)
        with pytest.raises(TrackingError, match="not a database"), tracking.open_run(uri, "e", "r"):
            pytest.fail("opened a run in a text")

    def test_importing_the_package_stays_light(self):
        code = "import sys, lstfill.tracking; print(sorted({'mlflow', 'keras', 'pandas'} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


class TestSecrets:
    def test_none_is_stored(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
        address = f"https://me:{SECRET}@host/x.zarr"
        uri = tracking.resolve_uri(Tracking(), tmp_path)
        with tracking.open_run(uri, "e", "r", {"source": address}) as run:
            run.log_config({"tracking": {"uri": address}, "list": [address]})
            run.log_text(f"see {address}", "report.html")
            run.log_json({"a": address}, "a.json")
            run.log_lineage(identity="1", source=address)
        stored = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(stored) == 4
        assert [path for path in stored if SECRET.encode() in path.read_bytes()] == []
        assert client_of(uri).get_run(run.run_id).data.params["tracking.uri"] == "https://***@host/x.zarr"

    def test_a_handle_shows_none(self):
        class Info:
            run_id, experiment_id = "r", "1"

        class Run:
            info = Info

        handle = tracking.RunHandle(None, f"http://me:{SECRET}@host", Run, "e")
        assert handle.uri == "http://***@host"
        assert SECRET not in repr(handle)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real ``mlflow server`` on loopback, stopped with its workers by their process group."""
    directory = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{directory}/mlflow.db"]
    command += ["--artifacts-destination", str(directory / "artifacts")]
    quiet = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=directory, env=quiet, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}", process, directory / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def _wait(uri, process, log, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"the server ended: {log.read_text()}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=2):  # noqa: S310
            return
        time.sleep(0.5)
    pytest.fail(f"the server did not answer in {seconds} s: {log.read_text()}")


def test_a_task_of_a_server_loads_no_database(server):
    with tracking.open_run(server, "light", "r") as run:
        pass
    code = (
        "import sys; from lstfill import tracking\n"
        "with tracking.open_run(*sys.argv[1:3], 'x', {'a': 'b'}, sys.argv[3]) as run: run.log_metrics({'c': 2})\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'keras', 'matplotlib', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, server, "x", run.run_id], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    found = client_of(server).get_run(run.run_id).data
    assert (found.metrics, found.tags["a"]) == ({"c": 2.0}, "b")


def test_all_of_it_on_a_server(server, model_directory, tmp_path, capfd):
    import pandas as pd

    with tracking.open_run(server, "served", "r") as run:
        run.log_config({"a": 1})
        run.log_metrics({"loss": 1.0}, 1)
        run.log_text("<p>report</p>", "report.html")
        run.log_lineage(identity="1", source="s3://b/c.zarr")
        logged = log_model(run, model_directory, register_as="served")
    tracking.Alias(server, "served", "champion").promote(logged.version, "first", {})
    found = client_of(server).get_run(run.run_id)
    assert (found.info.status, found.data.metrics) == ("FINISHED", {"loss": 1.0})
    assert found.info.artifact_uri.startswith("mlflow-artifacts:/")
    fetched = tracking.fetch_model("models:/served@champion", server, tmp_path)
    assert (fetched / "model.json").read_bytes() == (model_directory / "model.json").read_bytes()
    output = capfd.readouterr()
    assert "View run" not in output.out + output.err
    assert "Uploading" not in output.err
    with global_uri(server) as mlflow:
        predicted = mlflow.pyfunc.load_model(logged.uri).predict(pd.DataFrame({"t2m": [280.0], "skt": [281.0]}))
    assert float(np.ravel(predicted)[0]) == pytest.approx(SLOPE * 280 + SECOND * 281 + INTERCEPT, abs=1e-3)
