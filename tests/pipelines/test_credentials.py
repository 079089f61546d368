"""Keys of the object store are nowhere but in memory and in the environment of the processes that need them."""

from __future__ import annotations

import base64
import gzip
import io
import os
import zipfile
from pathlib import Path

import pytest

from lstfill.storage import objects
from lstfill.storage.handles import options_of, s3_filesystem
from tests import made
from tests.pipelines.conftest import run_pipeline, without_foreign

PASSWORD = "hunter2-of-a-user"

pytestmark = pytest.mark.timeout(900)  # the two runs, for whichever test comes first


@pytest.fixture(scope="module")
def needles(ran):
    """Access keys and secrets of every store that the runs had, as they are and in base64."""
    names = ("LSTFILL_S3_ACCESS_KEY_ID", "LSTFILL_S3_SECRET_ACCESS_KEY")
    keys = [env[name].encode() for env in ran.credentials for name in names]
    assert len(set(keys)) == 2 * 4  # one store for the source, one for each run, each with keys of its own
    assert min(map(len, keys)) >= 20
    return [*keys, *(base64.b64encode(key).rstrip(b"=") for key in keys)]


def found_in(data, needles):
    """The needles in some bytes, in what they are compressed from, and in the members of an archive."""
    texts = [data]
    if data[:2] == b"\x1f\x8b":
        texts.append(gzip.decompress(data))
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            texts += [archive.read(name) for name in archive.namelist()]
    return [needle for needle in needles if any(needle in text for text in texts)]


class TestScan:
    """The search itself, which must be able to find something."""

    def test_finds_what_is_there(self):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr("config.json", "x" * 1000 + "needle")
        for data in (b"a needle here", gzip.compress(b"a needle here"), archive.getvalue()):
            assert found_in(data, [b"needle", b"other"]) == [b"needle"]


class TestFiles:
    def test_no_file_that_the_runs_left_holds_a_key(self, ran, needles):
        """Logs, Kubeflow's artifacts and cache, MLflow's database and artifacts, summaries, the store's own files."""
        files = [path for path in ran.directory.rglob("*") if path.is_file()]
        names = {path.name for path in files}
        assert {"mlflow.db", "seaweedfs.log", "report.html", "executor_output.json", "0.json", "model.keras"} <= names
        assert len(files) > 50
        holding = {path: found_in(path.read_bytes(), needles) for path in files}
        assert not {str(path) for path, found in holding.items() if found}

    def test_no_object_in_the_store_holds_a_key(self, opened, needles):
        files = s3_filesystem(options_of(opened.root))
        keys = files.find("lstfill")
        assert len(keys) > 100
        assert any(key.endswith("provenance.json") for key in keys)
        assert not [key for key in keys if found_in(files.cat_file(key), needles)]

    def test_nor_does_anything_that_was_printed(self, ran, needles):
        assert not found_in((ran.first.seen + ran.second.seen + ran.third.seen).encode(), needles)

    @pytest.mark.usefixtures("opened")
    def test_nor_the_compiled_pipeline(self, tmp_path, needles):
        """Compiled beside an open store, whose keys are in the environment."""
        status, _ = run_pipeline("compile", "--out", tmp_path / "lstfill.yaml")
        assert status == 0
        own = os.environ["LSTFILL_S3_SECRET_ACCESS_KEY"].encode()
        assert not found_in((tmp_path / "lstfill.yaml").read_bytes(), [*needles, own])


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc, which only Linux has")
def test_no_process_had_a_key_among_its_arguments(ran, needles):
    commands = ran.commands
    assert any("weed" in command and "-s3.port" in command for command in commands)
    assert sum("kfp.dsl.executor_main" in command for command in commands) >= 7
    assert not [command for command in commands if found_in(command.encode(), needles)]


class TestPasswordsInAddresses:
    """They would travel as a parameter, into logs and into MLflow."""

    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch):
        without_foreign(monkeypatch)

    def refused(self, tmp_path, **sections):
        config = made.write_config(tmp_path / "run.yaml", "s3://bucket/cube.zarr", **sections)
        status, seen = run_pipeline("run", "--config", config, "--workspace", tmp_path / "w")
        assert status == 1
        assert PASSWORD not in seen
        left = [path for path in (tmp_path / "w").rglob("*") if path.is_file()]
        assert not [path for path in left if PASSWORD.encode() in path.read_bytes()]
        return seen

    def test_of_the_source(self, tmp_path):
        seen = self.refused(tmp_path, source={"uri": f"https://me:{PASSWORD}@host/cube.zarr"})
        assert "an address must not hold a user or password: they come from the environment" in seen

    def test_of_its_endpoint(self, tmp_path):
        seen = self.refused(tmp_path, source={"endpoint_url": f"https://me:{PASSWORD}@host"})
        assert "an address must not hold a user or password" in seen

    def test_of_the_tracking_server(self, tmp_path):
        seen = self.refused(tmp_path, tracking={"uri": f"https://me:{PASSWORD}@host"})
        assert "must not hold a user or password" in seen

    def test_of_the_workspaces_endpoint(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("LSTFILL_S3_ENDPOINT_URL", f"http://me:{PASSWORD}@127.0.0.1:9")
        config = made.write_config(tmp_path / "run.yaml", "s3://bucket/cube.zarr")
        status, seen = run_pipeline("run", "--config", config, "--workspace", "s3://bucket/w")
        assert status == 1
        assert PASSWORD not in seen
        assert "keys go into LSTFILL_S3_ACCESS_KEY_ID and LSTFILL_S3_SECRET_ACCESS_KEY" in seen

    def test_a_secret_of_the_environment_is_not_put_into_a_configuration(self, monkeypatch, tmp_path):
        monkeypatch.setenv("LSTFILL_S3_SECRET_ACCESS_KEY", PASSWORD)
        uri = "s3://bucket/${LSTFILL_S3_SECRET_ACCESS_KEY}"
        seen = self.refused(tmp_path, source={"uri": uri})
        assert "is not taken from the environment" in seen


def test_a_wrong_secret_is_not_repeated(s3, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    objects.put_json(f"{s3}/note.json", 1)
    monkeypatch.setenv("LSTFILL_S3_SECRET_ACCESS_KEY", PASSWORD)
    config = made.write_config(tmp_path / "run.yaml", f"{s3}/cube.zarr")
    status, seen = run_pipeline("run", "--config", config, "--workspace", s3)
    assert status == 1
    assert PASSWORD not in seen
    assert "check LSTFILL_S3_ACCESS_KEY_ID and LSTFILL_S3_SECRET_ACCESS_KEY" in seen
