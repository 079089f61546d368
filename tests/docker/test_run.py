"""The pipeline in containers: the same bits as in processes, and how a failure and an interruption end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import xarray as xr

from pipelines import containers
from tests import made
from tests.docker.conftest import IMAGES
from tests.pipelines.conftest import run_pipeline, without_foreign

pytestmark = pytest.mark.timeout(600)
STEPS = ["ingest", "mask", "split", "preprocess", "train", "evaluate", "predict"]


def containers_of(daemon, process=None):
    """Containers that a process has started, this one by default."""
    return daemon.containers.list(all=True, filters={"label": f"{containers.LABEL}={process or os.getpid()}"})


def outcome(directory, *arguments):
    """Status, summary and all that was said of one run in a workspace of its own."""
    summary = directory / "summary.json"
    options = ["--workspace", directory / "w", "--summary", summary, "--filled", directory / "filled.zarr"]
    with pytest.MonkeyPatch.context() as patch:
        without_foreign(patch)
        status, said = run_pipeline(*arguments, *options)
    return status, json.loads(summary.read_text()), said


@pytest.fixture(scope="module")
def both(built, tmp_path_factory):
    """The demo in containers and in processes."""
    places = {name: tmp_path_factory.mktemp(name) for name in ("docker", "plain")}
    docker = outcome(places["docker"], "demo", "--docker")
    plain = outcome(places["plain"], "demo")
    for status, _, said in (docker, plain):
        assert status == 0, said
    return places, docker, plain


class TestDemo:
    def test_fills_the_same_bits(self, both):
        places, _, _ = both
        docker, plain = (xr.open_zarr(places[name] / "filled.zarr") for name in ("docker", "plain"))
        assert set(docker.data_vars) == {
            "land_surface_temperature",
            "land_surface_temperature_source",
            "land_surface_temperature_uncertainty",
            "land_surface_temperature_interval_90",
        }
        for name in docker.variables:
            assert docker[name].to_numpy().tobytes() == plain[name].to_numpy().tobytes(), name

    def test_has_the_same_scores(self, both):
        _, (_, docker, _), (_, plain, _) = both
        assert docker["scores"]["test"]["n"] > 0
        assert docker["scores"] == plain["scores"]

    def test_shows_a_line_a_step_with_time_and_memory(self, both):
        _, (_, summary, said), _ = both
        names = [step["name"] for step in summary["steps"]]
        # Evaluate and predict wait for train, not for each other.
        assert [*names[:5], *sorted(names[5:])] == STEPS
        assert all(step["seconds"] > 0 and step["peak_rss_mb"] > 50 for step in summary["steps"])
        assert [name for name in STEPS if f"✓ {name}" in said] == STEPS
        assert "Warning" not in said

    def test_records_the_run_in_the_workspace(self, both):
        import mlflow

        places, (_, summary, _), _ = both
        tracked = summary["mlflow"]
        assert tracked["tracking_uri"] == f"sqlite:///{places['docker'] / 'w' / 'mlflow.db'}"
        run = mlflow.MlflowClient(tracked["tracking_uri"]).get_run(tracked["run_id"])
        assert run.info.status == "FINISHED"
        assert run.data.metrics

    def test_leaves_files_of_whoever_ran_it_and_no_container(self, both, daemon):
        places, _, _ = both
        owners = {path.stat().st_uid for path in (places["docker"] / "w").rglob("*")}
        assert owners == {os.getuid()}
        assert containers_of(daemon) == []


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "cube.zarr"
    made.put(str(path), made.cube())
    return path


@pytest.mark.usefixtures("built")
class TestSourceOfThisMachine:
    def test_is_read_where_it_lies(self, source, tmp_path):
        before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
        config = made.write_config(tmp_path / "run.yaml", source)
        status, summary, said = outcome(tmp_path, "run", "--docker", "--config", config)
        assert status == 0, said
        assert summary["status"] == "succeeded"
        assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before


@pytest.mark.usefixtures("built")
class TestFailure:
    def test_of_a_step_ends_with_its_message(self, daemon, tmp_path):
        config = made.write_config(tmp_path / "run.yaml", tmp_path / "no-such.zarr")
        status, summary, said = outcome(tmp_path, "run", "--docker", "--config", config)
        assert status == 1
        assert summary["error"]["step"] == "ingest"
        assert summary["error"]["message"].startswith(f"there is no Zarr store at {tmp_path / 'no-such.zarr'}")
        assert "Traceback" not in said
        assert containers_of(daemon) == []

    def test_at_once_is_never_taken_for_success(self, daemon, capsys):
        command = ["sh", "-c", "echo said; exit 3"]
        found = [containers.run_container(daemon, IMAGES["light"], command, {}, network_mode="none") for _ in range(20)]
        assert found == [3] * 20
        assert capsys.readouterr().out == "said\n" * 20

    def test_of_memory_is_named(self, daemon, capsys):
        if not daemon.info().get("MemoryLimit"):
            pytest.skip("this daemon cannot limit memory")
        command = ["python", "-c", "bytearray(300 << 20)"]
        limit = {"network_mode": "none", "mem_limit": "100m", "memswap_limit": "100m"}
        assert containers.run_container(daemon, IMAGES["light"], command, {}, **limit) == 137
        assert "used more memory than it may" in capsys.readouterr().out

    def test_a_command_that_is_not_there_is_named(self, daemon, capsys):
        assert containers.run_container(daemon, IMAGES["light"], ["no-such"], {}, network_mode="none") == 125
        assert "no-such" in capsys.readouterr().out
        assert [each for each in daemon.containers.list(all=True) if each.status == "created"] == []


def command(*arguments):
    return [sys.executable, "-m", "pipelines", *(str(argument) for argument in arguments)]


@pytest.mark.usefixtures("daemon")
class TestMissingImage:
    def test_is_named_before_anything_starts(self, source, tmp_path):
        config = made.write_config(tmp_path / "run.yaml", source)
        environment = {**os.environ, "LSTFILL_IMAGE_TAG": "no-such-tag"}
        asked = command("run", "--docker", "--config", config, "--workspace", tmp_path / "w")
        done = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        assert "Docker has no image" in done.stderr
        assert "lstfill-python-ml:no-such-tag" in done.stderr
        assert "make images" in done.stderr
        assert not (tmp_path / "w").exists()


@pytest.mark.usefixtures("built")
class TestInterruption:
    @pytest.mark.parametrize("moment", ["created", "running"])
    def test_ends_the_container_too(self, daemon, source, tmp_path, moment):
        config = made.write_config(tmp_path / "run.yaml", source)
        process = subprocess.Popen(
            command("run", "--docker", "--config", config, "--workspace", tmp_path / "w"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self.wait(
                lambda: any(moment in ("created", each.status) for each in containers_of(daemon, process.pid)), process
            )
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130, said
        assert "stopped" in said
        assert containers_of(daemon, process.pid) == []

    def wait(self, condition, process):
        deadline = time.monotonic() + 120
        while not condition():
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
