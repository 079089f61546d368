"""The built images: what is in them, what is not, and that any user can work in them."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest

from lstfill import cli, tracking
from tests import made

MAX_MB = {"light": 450, "ml": 1600, "mlflow": 500}
USERS = ["10001", "12345", "12345:12345"]


@pytest.fixture(params=list(MAX_MB))
def target(request):
    return request.param


class TestMetadata:
    def test_size_is_within_its_limit(self, built, target):
        assert built[target].attrs["Size"] / 1e6 <= MAX_MB[target]

    def test_labels_say_what_it_is(self, built, target):
        labels = built[target].labels
        assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
        assert labels["org.opencontainers.image.version"][0].isdigit()
        assert labels["org.opencontainers.image.base.name"]
        assert set(labels) >= {f"org.opencontainers.image.{name}" for name in ("title", "description", "revision")}

    def test_takes_whole_commands_and_runs_as_a_number(self, built, target):
        config = built[target].attrs["Config"]
        assert not config["Entrypoint"]
        assert config["User"] == "10001:0"

    def test_the_ml_image_stands_on_the_layers_of_the_light_one(self, built):
        """All but the last, the package: a node fetches what they share once."""
        light, ml = (built[name].attrs["RootFS"]["Layers"] for name in ("light", "ml"))
        assert ml[: len(light) - 1] == light[:-1]


class TestContents:
    def test_no_compiler_and_no_installer(self, shell, target):
        names = "gcc cc g++ ld make git curl uv pip"
        _, found = shell(target, ["sh", "-c", f"for name in {names}; do command -v $name; done"])
        assert [path for path in found.split() if "/opt/venv" in path or not path.endswith("/pip")] == []

    def test_no_cache_and_no_secret_is_left(self, shell, target):
        places = "/root/.cache /tmp /run/secrets /var/cache/apt/archives /mnt"
        command = f"find {places} -type f 2>/dev/null | grep -v lock$"
        _, found = shell(target, ["sh", "-c", command], user=0, tmpfs={}, cap_drop=[])
        assert found == ""

    def test_no_file_is_the_bundle_it_was_built_with(self, shell, target):
        bundle = Path(os.environ.get("CA_FILE") or os.environ.get("SSL_CERT_FILE") or "/nowhere")
        if not bundle.is_file():
            pytest.skip("no CA bundle of this network: neither CA_FILE nor SSL_CERT_FILE names one")
        command = f"find / -xdev -type f -size {bundle.stat().st_size}c -name '*.*' | grep -v ^/etc/ssl/certs/"
        _, found = shell(target, ["sh", "-c", command], user=0)
        assert found == ""

    def test_history_names_no_bundle(self, built, target):
        text = " ".join(layer["CreatedBy"] for layer in built[target].history())
        assert "BEGIN CERTIFICATE" not in text
        assert os.environ.get("CA_FILE", "/etc/ssl") not in text


class TestCommands:
    @pytest.mark.parametrize("user", USERS)
    @pytest.mark.parametrize("name", ["light", "ml"])
    def test_any_user_gets_help(self, shell, name, user):
        status, said = shell(name, ["python", "-m", "lstfill", "--help"], user=user)
        assert (status, said.split()[0]) == (0, "usage:")

    @pytest.mark.parametrize("command", [["dask", "--version"], ["kopf", "--help"], ["lstfill", "--version"]])
    def test_commands_of_dask_and_its_operator_are_there(self, shell, command):
        status, said = shell("light", command, user=12345)
        assert status == 0, said

    def test_the_operator_loads_and_logs_in_by_its_service_account(self, shell):
        """Without any client of Kubernetes' own; kopf then reads the account's token itself."""
        program = (
            "import dask_kubernetes.operator.controller, getpass; "
            "from kopf._core.intents import piggybacking as p; "
            "print(getpass.getuser(), p.has_client(), p.has_pykube())"
        )
        status, said = shell("light", ["python", "-c", program], user=12345)
        assert (status, said.splitlines()[-1]) == (0, "lstfill False False")

    @pytest.mark.parametrize("name", ["light", "ml"])
    def test_a_task_of_kubeflow_finds_its_executor(self, shell, name):
        status, said = shell(name, ["sh", "-c", "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main --help"])
        assert (status, said.split()[0]) == (0, "usage:")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A configuration, a source and what the light steps make of it, for any user to read."""
    root = tmp_path_factory.mktemp("prepared")
    made.cube((6, 18, 36)).drop_encoding().to_zarr(root / "source.zarr", zarr_format=2)
    split = {"block": {"time": 3, "lat": 6, "lon": 6}}
    tracked = {"uri": "sqlite:////tmp/mlflow.db"}
    made.write_config(root / "c.yaml", root / "source.zarr", split=split, train={"epochs": 1}, tracking=tracked)
    done: list[str] = []
    for step, output in (("ingest", "cube"), ("mask", "land"), ("split", "parts"), ("preprocess", "samples")):
        inputs = done[:2] if step == "mask" else done
        assert cli.main([step, "--config", f"{root}/c.yaml", *inputs, "--output", f"{root}/{output}"]) == 0
        done += [f"--{output}", f"{root}/{output}"]
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


class TestSteps:
    @pytest.mark.parametrize("user", USERS[:2])
    @pytest.mark.parametrize(("name", "step"), [("light", "ingest"), ("ml", "train")])
    def test_run_as_any_user_on_a_root_that_cannot_be_written(self, shell, prepared, name, step, user):
        stores = ("samples", "cube", "land", "parts") if step == "train" else ()
        inputs = [part for store in stores for part in (f"--{store}", f"{prepared}/{store}")]
        command = ["lstfill", step, "--config", f"{prepared}/c.yaml", *inputs, "--output", step]
        volumes = {str(prepared): {"bind": str(prepared), "mode": "ro"}}
        status, said = shell(name, command, user=user, volumes=volumes)
        assert status == 0, said
        assert said.splitlines()[-1].startswith(f"{step}: ")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(shell, name, command, **options):
    container = shell.start(name, command, network_mode="host", **options)
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


def wait_for_port(port: int, container) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        container.reload()
        assert container.status in ("created", "running"), container.logs().decode()
        time.sleep(0.2)
    raise AssertionError(container.logs().decode())


class TestServers:
    def test_a_scheduler_and_a_worker_compute(self, shell):
        import numpy as np
        from distributed import Client

        port = free_port()
        address = f"tcp://127.0.0.1:{port}"
        loopback = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
        scheduler = ["dask", "scheduler", "--port", str(port), *loopback]
        worker = ["dask", "worker", address, *loopback, "--nthreads", "1", "--nworkers", "1"]
        with (
            running(shell, "light", scheduler, user=12345) as first,
            running(shell, "light", worker, user=12345),
        ):
            wait_for_port(port, first)
            with Client(address, timeout=30) as client:
                client.wait_for_workers(1, timeout=60)
                assert client.submit(np.sum, np.arange(5)).result(timeout=60) == 10

    def test_the_tracking_server_takes_a_run_and_its_files(self, shell, monkeypatch):
        import mlflow

        port = free_port()
        uri = f"http://127.0.0.1:{port}"
        places = ["--backend-store-uri", "sqlite:////tmp/mlflow.db", "--artifacts-destination", "file:///tmp/artifacts"]
        command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *places]
        monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
        with running(shell, "mlflow", command, user=12345) as server:
            wait_for_port(port, server)
            with tracking.open_run(uri, "images", "one") as run:
                run.log_metrics({"rmse_k": 2.5})
                run.log_config({"seed": 1})
            client = mlflow.MlflowClient(uri)
            assert client.get_run(run.run_id).data.metrics == {"rmse_k": 2.5}
            assert [entry.path for entry in client.list_artifacts(run.run_id)] == ["config.json"]

    def test_the_tracking_server_has_its_drivers(self, shell):
        status, said = shell("mlflow", ["python", "-c", "import psycopg2, boto3, flask_wtf"])
        assert status == 0, said
