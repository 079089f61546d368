"""A workspace and a run in it: what is set up, what is taken back, and how a failure ends."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from types import SimpleNamespace

import pytest

from lstfill.configfile import load
from lstfill.errors import StoreError
from lstfill.storage import objects
from pipelines import local
from tests import made
from tests.pipelines.conftest import without_foreign


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    without_foreign(monkeypatch)


def access():
    return {name: value for name, value in os.environ.items() if name.startswith(("LSTFILL_", "MLFLOW_"))}


@pytest.fixture
def fake_store(monkeypatch):
    """An embedded store that is none; starting one takes seconds."""
    started = []

    @contextlib.contextmanager
    def store(directory, bucket):
        started.append((directory, bucket))
        yield SimpleNamespace(env={"LSTFILL_S3_ENDPOINT_URL": "http://127.0.0.1:9"})

    monkeypatch.setattr(local, "embedded_store", store)
    return started


class TestDirectory:
    def test_sets_what_the_steps_need_and_takes_it_back(self, monkeypatch, tmp_path):
        monkeypatch.setenv("LSTFILL_S3_REGION", "mine")
        with local.workspace(str(tmp_path / "w")) as place:
            inside = access()
            assert place.root == "s3://lstfill"
            assert place.directory == tmp_path / "w"
            objects.put_json(f"{place.root}/note.json", [1, 2])
        names = ("ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION")
        assert set(inside) == {"MLFLOW_TRACKING_URI", *(f"LSTFILL_S3_{name}" for name in names)}
        assert inside["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path / 'w' / 'mlflow.db'}"
        assert access() == {"LSTFILL_S3_REGION": "mine"}

    def test_keeps_the_data_but_not_the_keys(self, tmp_path):
        keys = []
        for _ in range(2):
            with local.workspace(str(tmp_path)) as place:
                keys.append(os.environ["LSTFILL_S3_SECRET_ACCESS_KEY"])
                if len(keys) == 1:
                    objects.put_json(f"{place.root}/note.json", {"kept": True})
                assert objects.get_json(f"{place.root}/note.json") == {"kept": True}
        assert keys[0] != keys[1]

    @pytest.mark.usefixtures("fake_store")
    def test_takes_what_was_set_back_after_a_failure_too(self, tmp_path):
        with pytest.raises(ZeroDivisionError), local.workspace(str(tmp_path)):
            raise ZeroDivisionError
        assert access() == {}

    def test_a_source_of_yours_stays_reachable(self, monkeypatch, tmp_path):
        monkeypatch.setenv("LSTFILL_S3_ENDPOINT_URL", "https://store.example:9000")
        monkeypatch.setenv("LSTFILL_S3_ACCESS_KEY_ID", "mine")
        with local.workspace(str(tmp_path)) as place:
            assert place.environment_for("s3://lstfill/sources/cube.zarr") == {}
            assert place.environment_for("s3://mine/cube.zarr") == {
                "LSTFILL_SOURCE_S3_ENDPOINT_URL": "https://store.example:9000",
                "LSTFILL_SOURCE_S3_ACCESS_KEY_ID": "mine",
            }

    @pytest.mark.usefixtures("fake_store")
    def test_a_tracking_server_of_yours_is_used(self, monkeypatch, tmp_path):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
        with local.workspace(str(tmp_path)):
            assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"

    def test_a_relative_path_is_made_absolute(self, monkeypatch, tmp_path, fake_store):
        """Each step runs in a process with a directory of its own."""
        monkeypatch.chdir(tmp_path)
        with local.workspace("w") as place:
            assert place.directory == tmp_path / "w"
        assert fake_store == [(tmp_path / "w" / "store", "lstfill")]

    def test_too_little_space_is_found_before_anything_starts(self, monkeypatch, tmp_path, fake_store):
        import shutil

        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
        with pytest.raises(StoreError, match="1 MiB are free and 64 MiB are needed"), local.workspace(str(tmp_path)):
            pytest.fail("opened")
        assert fake_store == []

    def test_a_file_in_the_way_is_named(self, tmp_path):
        (tmp_path / "w").write_text("")
        with pytest.raises(StoreError, match=r"/w: "), local.workspace(str(tmp_path / "w")):
            pytest.fail("opened")


class TestObjectStoreOfYours:
    @pytest.mark.usefixtures("s3")
    def test_makes_the_bucket_and_starts_no_store(self, object_store, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(local, "embedded_store", None)
        with local.workspace("s3://fresh-bucket/team/") as place:
            assert place.root == "s3://fresh-bucket/team"
            assert place.directory == tmp_path / "workspace"
            objects.put_json(f"{place.root}/note.json", 1)
            assert os.environ["LSTFILL_S3_ENDPOINT_URL"] == object_store.endpoint_url
        assert objects.get_json("s3://fresh-bucket/team/note.json") == 1
        assert "MLFLOW_TRACKING_URI" not in os.environ


class TestFailure:
    @pytest.fixture
    def failed(self, tmp_path):
        config = load(made.write_config(tmp_path / "run.yaml", tmp_path / "no-such.zarr"))
        events, before = [], (logging.getLogger().level, list(logging.getLogger().handlers), sys.stdout)
        with local.workspace(str(tmp_path / "w")) as place, pytest.raises(local.RunFailedError) as caught:
            local.run(config, place, cache=False, on_step=lambda event, step: events.append((event, step.name)))
        assert (logging.getLogger().level, list(logging.getLogger().handlers), sys.stdout) == before
        return caught.value, events

    def test_names_the_step_its_message_and_the_log(self, failed, tmp_path):
        error, events = failed
        assert error.step == "ingest"
        assert error.message.startswith(f"there is no Zarr store at {tmp_path / 'no-such.zarr'}")
        assert events == [("started", "ingest"), ("failed", "ingest")]
        assert [step["name"] for step in error.steps] == ["ingest"]
        assert error.log.parent == tmp_path / "w" / "logs"
        assert "no-such.zarr" in error.log.read_text()
        assert str(error) == f"ingest failed: {error.message}\nThe whole log is in {error.log}"


FOUND = {"mae_k": 1.0, "rmse_k": 2.0, "bias_k": 0.5, "r2": 0.9, "n": 3}


class TestScores:
    def test_are_those_of_the_summary(self):
        facts = {
            "scores": {"test": {**FOUND, "weighted": {}}, "held_out_gaps": FOUND},
            "baselines": {"feature": {"test": FOUND, "held_out_gaps": FOUND}},
        }
        assert local._scores(facts) == {
            "test": FOUND,
            "held_out_gaps": FOUND,
            "baselines": {"feature": {"held_out_gaps": FOUND}},
        }

    def test_what_a_pointer_leaves_out_is_null(self):
        """A pointer has no null; the summary has every key."""
        facts = {"scores": {"test": {"n": 0}}, "baselines": {"feature": {"test": {"n": 0}}}}
        nothing = {"mae_k": None, "rmse_k": None, "bias_k": None, "r2": None, "n": 0}
        assert local._scores(facts) == {
            "test": nothing,
            "held_out_gaps": None,
            "baselines": {"feature": {"held_out_gaps": None}},
        }
