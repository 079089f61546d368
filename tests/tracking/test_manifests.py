"""The pieces of the tracking server's manifests that have to agree with each other."""

from __future__ import annotations

import configparser
import fnmatch
import json
from urllib.parse import urlsplit

import pytest

from lstfill.storage.address import bucket_and_key
from tests.tracking import deployment
from tests.tracking.deployment import MANIFESTS, POSTGRES, SERVER

CONFIG = json.loads((MANIFESTS / "components" / "kfp-mlflow" / "config.json").read_text())


@pytest.fixture
def service():
    (service,) = deployment.documents(SERVER / "service.yaml")
    return service


def hosts():
    return deployment.settings()["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


def admitted(host):
    return any(fnmatch.fnmatch(host, pattern) for pattern in hosts())


@pytest.mark.parametrize("suffix", ["", ".kubeflow", ".kubeflow.svc", ".kubeflow.svc.cluster.local"])
def test_the_service_is_admitted_by_each_of_its_names(service, suffix):
    assert admitted(f"{service['metadata']['name']}{suffix}:{service['spec']['ports'][0]['port']}")


@pytest.mark.parametrize("host", ["elsewhere:5000", "mlflow.elsewhere:5000", "mlflow.kubeflow.svc.example.org:5000"])
def test_other_names_are_not(host):
    assert not admitted(host)


def test_the_service_leads_to_the_servers_port(service):
    pod = deployment.pod_of(SERVER / "deployment.yaml")
    (port,) = [port for container in pod["containers"] for port in container["ports"]]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert f"--port={port['containerPort']}" in pod["containers"][0]["args"]
    assert pod["enableServiceLinks"] is False


def test_runs_and_accounts_are_in_the_database_that_the_service_of_postgres_leads_to():
    (container,) = deployment.pod_of(SERVER / "deployment.yaml")["containers"]
    (service,) = deployment.documents(POSTGRES / "service.yaml")
    accounts = configparser.ConfigParser()
    accounts.read(SERVER / "basic_auth.ini")
    assert f"--backend-store-uri={accounts['mlflow']['database_uri']}" in container["args"]
    assert deployment.settings()["PGHOST"] == service["metadata"]["name"]
    assert deployment.settings()["PGPORT"] == str(service["spec"]["ports"][0]["port"])


def test_files_go_to_the_bucket_of_the_tracking_server():
    assert bucket_and_key(deployment.settings()["MLFLOW_ARTIFACTS_DESTINATION"]) == ("mlflow", "artifacts")


def test_postgres_keeps_its_data_on_the_volume():
    pod = deployment.pod_of(POSTGRES / "statefulset.yaml")
    (container,) = pod["containers"]
    (data,) = [entry["value"] for entry in container["env"] if entry["name"] == "PGDATA"]
    (mount,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "data"]
    assert data.startswith(f"{mount}/")
    assert "data" not in [volume["name"] for volume in pod["volumes"]]


def test_the_plugin_asks_the_service_with_the_account_of_the_tasks(service):
    plugin = CONFIG["plugins"]["mlflow"]
    endpoint = urlsplit(plugin["endpoint"])
    assert endpoint.port == service["spec"]["ports"][0]["port"]
    assert admitted(endpoint.netloc)
    assert plugin["settings"]["authType"] == "basic-auth"
    assert plugin["settings"]["credentialSecretRef"] == {
        "usernameKey": "MLFLOW_TRACKING_USERNAME",
        "passwordKey": "MLFLOW_TRACKING_PASSWORD",
    }
    assert plugin["settings"]["injectUserEnvVars"] is True


def test_the_plugins_file_holds_no_key():
    assert "AccessKey" not in json.dumps(CONFIG)
