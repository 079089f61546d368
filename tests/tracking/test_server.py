"""The tracking server of the manifests: a real one, in front of a real Postgres and a real object store."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from lstfill import cli, tracking
from lstfill.config import Tracking, Train
from lstfill.errors import TrackingError
from lstfill.steps import evaluate
from tests.steps.chain import Chain, make_cube, source_of, write_source
from tests.tracking import deployment

HOST = "mlflow.kubeflow.svc.cluster.local"
NAMES = ("mlflow", "mlflow.kubeflow", "mlflow.kubeflow.svc", HOST)
pytestmark = pytest.mark.usefixtures("in_cluster")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A chain with everything that needs no tracking server."""
    root = tmp_path_factory.mktemp("chain")
    chain = Chain(root, source_of(write_source(make_cube(), root / "source.zarr")), Tracking())
    chain.prepared()
    return chain


def client_of(server):
    from mlflow import MlflowClient

    return MlflowClient(server.uri(HOST), registry_uri=server.uri(HOST))


def ask(server, path, *, host=f"{HOST}:5000", account=None, body=None, **headers):
    """Status of a plain request."""
    request = urllib.request.Request(server.uri() + path, headers={"Host": host, **headers}, data=body)  # noqa: S310
    if body:
        request.add_header("Content-Type", "application/json")
    if account:
        request.add_header("Authorization", f"Basic {base64.b64encode(':'.join(account).encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def objects_in(object_store, bucket):
    from minio import Minio

    client = Minio(
        endpoint=object_store.endpoint_url.removeprefix("http://"),
        access_key=object_store.env["LSTFILL_S3_ACCESS_KEY_ID"],
        secret_key=str(object_store.env["LSTFILL_S3_SECRET_ACCESS_KEY"]),
        region="us-east-1",
        secure=False,
    )
    return [entry.object_name for entry in client.list_objects(bucket_name=bucket, recursive=True)]


def test_tasks_of_one_pipeline_record_in_one_run_and_files_land_in_the_object_store(
    server, task, prepared, object_store, tmp_path
):
    there = Tracking(uri=server.uri(HOST), experiment="one run")
    section = Train(epochs=2, learning_rate=0.2, register_as="lst", alias="champion")
    chain = prepared.but(tracking=there, train=section)
    facts = chain.trained().facts
    chain.scored()
    chain.filled()

    client = client_of(server)
    (run,) = client.search_runs([client.get_experiment_by_name("one run").experiment_id])
    assert run.info.run_id == facts["run_id"]
    assert run.info.status == "FINISHED"
    assert run.data.params["train.epochs"] == "2"
    assert {"filled", "lstfill.cube_identity"} <= run.data.tags.keys()
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 2
    names = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    assert {"config.json", evaluate.REPORT, evaluate.SCORES, "figures"} <= names

    fetched = tracking.fetch_model("models:/lst@champion", server.uri(HOST), tmp_path)
    assert (fetched / "model.keras").read_bytes() == Path(chain.at("model"), "model.keras").read_bytes()

    keys = objects_in(object_store, "mlflow")
    assert keys
    assert all(key.startswith("artifacts/") for key in keys)
    for ending in (f"{run.info.run_id}/artifacts/{evaluate.REPORT}", "lstfill/model.keras"):
        assert [key for key in keys if key.endswith(ending)], ending


def test_tasks_log_into_the_runs_that_the_platform_nested_for_them_and_leave_their_end_to_it(server, task, prepared):
    client, there = client_of(server), Tracking(uri=server.uri(HOST), experiment="not used")
    experiment = client.create_experiment("of the platform")
    parent = client.create_run(experiment).info.run_id
    chain = prepared.but(tracking=there, train=Train(epochs=1))
    nested = {}
    for step in (chain.trained, chain.scored, chain.filled):
        nested[step.__name__] = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
        task.setenv("MLFLOW_RUN_ID", nested[step.__name__])
        step()
    runs = {name: client.get_run(run_id) for name, run_id in nested.items()}
    assert {run.info.status for run in runs.values()} == {"RUNNING"}
    assert client.get_run(parent).info.status == "RUNNING"
    assert client.get_experiment_by_name("not used") is None
    assert runs["trained"].data.params["train.epochs"] == "1"
    assert any(name.startswith("scores/test/") for name in runs["scored"].data.metrics), runs["scored"].data.metrics
    assert "filled" in runs["filled"].data.tags


@pytest.mark.parametrize("host", NAMES)
def test_it_goes_by_each_name_of_its_service(server, task, host):
    with tracking.open_run(server.uri(host), "names", host) as run:
        run.log_text("here", "note.txt")
    assert client_of(server).get_run(run.run_id).info.run_name == host


def test_another_host_name_is_refused(server, task):
    with (
        pytest.raises(TrackingError, match=r"403.*does not go by this host name.*MLFLOW_SERVER_ALLOWED_HOSTS$"),
        tracking.open_run(server.uri("elsewhere"), "names", "r"),
    ):
        pytest.fail("opened a run under a foreign name")


def test_probes_need_neither_name_nor_password_and_all_else_needs_both(server, account):
    experiment = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert ask(server, "/health", host="10.0.0.7:5000") == 200
    assert ask(server, experiment, account=account) == 200
    assert ask(server, experiment) == 401
    assert ask(server, experiment, account=(account[0], "wrong")) == 401
    assert ask(server, experiment, account=account, host="elsewhere:5000") == 403


def test_a_browser_changes_nothing_from_an_origin_that_is_not_named(server, account):
    change = {"account": account, "body": json.dumps({"max_results": 1}).encode()}
    assert ask(server, "/api/2.0/mlflow/experiments/search", **change, Origin="https://mlflow.example.org") == 403
    assert ask(server, "/api/2.0/mlflow/experiments/search", **change, Origin="http://localhost:5000") == 200


def test_a_wrong_password_ends_a_step_with_one_message_and_status_1(
    server, task, account, prepared, tmp_path, capsys, caplog
):
    wrong = "not-the-password"
    task.setenv("MLFLOW_TRACKING_PASSWORD", wrong)
    config = {"source": {"uri": prepared.source.uri}, "tracking": {"uri": server.uri(HOST)}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    inputs = [part for name in ("samples", "cube", "land", "parts") for part in (f"--{name}", prepared.at(name))]
    arguments = ["train", "--config", f"{tmp_path}/config.yaml", *inputs]
    assert cli.main([*arguments, "--output", f"{tmp_path}/model"]) == 1
    said = capsys.readouterr()
    assert f"refuses the account '{account[0]}' with this password" in said.err
    assert "Traceback" not in said.err
    for secret in (wrong, account[1]):
        assert secret not in said.out + said.err + caplog.text


def test_no_account_is_refused_with_the_variables_to_set(server, task):
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        task.delenv(name)
    with (
        pytest.raises(TrackingError, match=r"401.*set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        tracking.open_run(server.uri(HOST), "e", "r"),
    ):
        pytest.fail("opened a run without an account")


def test_a_reader_reads_but_does_not_write(server, task, account):
    with tracking.open_run(server.uri(HOST), "of the pipeline", "r") as run:
        run.log_metrics({"a": 1})
    reader = {"username": "reader", "password": "a-password-of-reader"}
    body = json.dumps(reader).encode()
    assert ask(server, "/api/2.0/mlflow/users/create", account=account, body=body) == 200
    task.setenv("MLFLOW_TRACKING_USERNAME", reader["username"])
    task.setenv("MLFLOW_TRACKING_PASSWORD", reader["password"])
    assert client_of(server).get_run(run.run_id).data.metrics == {"a": 1.0}
    with (
        pytest.raises(TrackingError, match="the account 'reader' may not do this: ask an administrator"),
        tracking.open_run(server.uri(HOST), "of the pipeline", "r"),
    ):
        pytest.fail("wrote with a reader's account")


def test_a_server_that_hangs_ends_in_a_message(server, task):
    task.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    task.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with tracking.open_run(server.uri(HOST), "hangs", "r") as run:
        os.killpg(server.process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(TrackingError, match=f"cannot log metrics at http://{HOST}:{server.port}"):
                run.log_metrics({"a": 1})
        finally:
            os.killpg(server.process.pid, signal.SIGCONT)
    assert client_of(server).get_run(run.run_id).info.status == "FINISHED"


def test_a_restart_keeps_runs_and_accounts(server, task, account, cluster_objects, database, tmp_path):
    with tracking.open_run(server.uri(HOST), "kept", "r") as run:
        run.log_text("kept", "note.txt")
    other = {**cluster_objects["Secret", "lstfill-mlflow"], "MLFLOW_TRACKING_PASSWORD": "another-password"}
    objects = {**cluster_objects, ("Secret", "lstfill-mlflow"): other}
    with deployment.tracking_server(objects, tmp_path, PGHOST="127.0.0.1", PGPORT=database) as second:
        client = client_of(second)
        assert client.get_run(run.run_id).info.status == "FINISHED"
        local = client.download_artifacts(run.run_id, "note.txt", str(tmp_path))
        assert Path(local).read_text() == "kept"
        task.setenv("MLFLOW_TRACKING_PASSWORD", "another-password")
        with (
            pytest.raises(TrackingError, match="refuses the account"),
            tracking.open_run(second.uri(HOST), "kept", "r"),
        ):
            pytest.fail("the Secret changed a stored password")


def test_a_wrong_password_of_the_database_is_refused_and_not_shown(task, cluster_objects, server, database, tmp_path):
    wrong = {**cluster_objects["Secret", "lstfill-mlflow-db"], "POSTGRES_PASSWORD": "not-the-databases"}
    objects = {**cluster_objects, ("Secret", "lstfill-mlflow-db"): wrong}
    with deployment.tracking_server(objects, tmp_path, ready=False, PGHOST="127.0.0.1", PGPORT=database) as refused:
        deadline = time.monotonic() + deployment.START_S
        while "password authentication failed" not in refused.log.read_text():
            assert time.monotonic() < deadline, refused.log.read_text()
            time.sleep(0.2)
        assert "not-the-databases" not in refused.log.read_text()
        with (
            pytest.raises(TrackingError, match=rf"no tracking server answers at {refused.uri(HOST)}"),
            tracking.open_run(refused.uri(HOST), "e", "r"),
        ):
            pytest.fail("a server without a database answered")


def test_secrets_are_in_no_argument_and_no_log(server, cluster_objects):
    arguments = Path(f"/proc/{server.process.pid}/cmdline")
    if not arguments.exists():
        pytest.skip("no /proc on this system: arguments of a process cannot be listed")
    shown = arguments.read_bytes().decode() + server.log.read_text()
    hidden = [value for name, value in _secret_values(cluster_objects) if not name.endswith(("USERNAME", "USER", "DB"))]
    assert len(hidden) == 5
    assert [value for value in hidden if value in shown] == []


def _secret_values(objects):
    return [item for (kind, _), data in objects.items() if kind == "Secret" for item in data.items()]


def test_it_fits_in_its_memory(server):
    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc on this system: memory cannot be measured")
    (container,) = deployment.pod_of(deployment.SERVER / "deployment.yaml")["containers"]
    limit = float(container["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert 100 < deployment.resident_mib(server.process.pid) < 0.75 * limit
