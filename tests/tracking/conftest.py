"""One database and one tracking server for the tests of the deployed one."""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket

import pytest

from lstfill.storage.buckets import ensure_bucket
from tests.tracking import deployment


@pytest.fixture(scope="module")
def account():
    """User and password of the pipeline's tasks."""
    return "pipeline", secrets.token_urlsafe(20)


@pytest.fixture(scope="module")
def cluster_objects(account, object_store):
    """Secrets and ConfigMaps that the server's pod refers to, with values of this machine."""
    user, password = account
    keys = {name: value for name, value in object_store.env.items() if "KEY" in name}
    database = {"POSTGRES_USER": "tracker", "POSTGRES_PASSWORD": secrets.token_urlsafe(20), "POSTGRES_DB": "runs"}
    return {
        ("Secret", "lstfill-s3"): keys,
        ("Secret", "lstfill-mlflow-db"): database,
        ("Secret", "lstfill-mlflow"): {
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        },
        ("ConfigMap", "lstfill"): {name: value for name, value in object_store.env.items() if name not in keys},
    }


@pytest.fixture(scope="module")
def database(cluster_objects):
    """Port of a Postgres made as the manifest says."""
    (container,) = deployment.pod_of(deployment.POSTGRES / "statefulset.yaml")["containers"]
    (arguments,) = [entry["value"] for entry in container["env"] if entry["name"] == "POSTGRES_INITDB_ARGS"]
    with deployment.postgres(cluster_objects["Secret", "lstfill-mlflow-db"], arguments) as port:
        yield str(port)


@pytest.fixture(scope="module")
def server(cluster_objects, database, object_store, tmp_path_factory):
    """The tracking server in front of Postgres and the object store."""
    if importlib.util.find_spec("flask_wtf") is None:
        pytest.skip("accounts of the tracking server need Flask-WTF: install mlflow[auth]")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.env.items():
            patch.setenv(name, value)
        ensure_bucket("s3://mlflow")
    place = tmp_path_factory.mktemp("tracking server")
    with deployment.tracking_server(cluster_objects, place, PGHOST="127.0.0.1", PGPORT=database) as running:
        yield running


@pytest.fixture
def in_cluster(monkeypatch):
    """Names of a cluster's services, and names that are none of them, lead to this machine."""
    resolve = socket.getaddrinfo

    def resolved(host, *arguments, **options):
        ours = isinstance(host, str) and host.partition(".")[0] in ("mlflow", "elsewhere")
        return resolve("127.0.0.1" if ours else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.fixture
def task(account, no_credentials, monkeypatch):
    """The environment of a task: the account of the tracking server, and no key of any object store."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", account[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", account[1])
    return monkeypatch
