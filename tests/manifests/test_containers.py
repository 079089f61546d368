"""Containers started as the manifests say, in the real images: jobs on an object store, the operator on a double.

User, read-only root, capabilities, memory limit, command and variables are the manifest's; only addresses and keys are
those of the test.
"""

from __future__ import annotations

import os
import re
import time
import urllib.request
import uuid

import pytest

from lstfill.storage import buckets, stores
from lstfill.storage.handles import options_of, s3_filesystem
from tests.kubernetes.double import running_double
from tests.manifests.rendering import pods

HEALTH_PORT = "8080"
CLUSTER = {
    "apiVersion": "kubernetes.dask.org/v1",
    "kind": "DaskCluster",
    "metadata": {"name": "asked", "labels": {"app.kubernetes.io/part-of": "lstfill"}},
    "spec": {
        "scheduler": {
            "spec": {"containers": [{"name": "scheduler", "image": "none", "args": ["true"]}]},
            "service": {"type": "ClusterIP", "selector": {}, "ports": [{"name": "tcp-comm", "port": 8786}]},
        },
        "worker": {"replicas": 0, "spec": {"containers": [{"name": "worker", "image": "none", "args": ["true"]}]}},
    },
}


def bytes_of(quantity):
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * {"Mi": 2**20, "Gi": 2**30}[unit]


@pytest.fixture(scope="module")
def daemon(kind):
    """A Docker daemon that has the images of the overlay."""
    import docker

    try:
        client = docker.from_env(timeout=60)
        client.ping()
        client.images.get(pods(kind)[0].containers[0]["image"])
    except docker.errors.ImageNotFound as error:
        pytest.skip(f"{error.explanation}: make images")
    except docker.errors.DockerException:
        pytest.skip(f"no Docker daemon answers at {os.environ.get('DOCKER_HOST') or 'its default socket'}")
    yield client
    client.close()


@pytest.fixture
def start(daemon, kind):
    """Starts the container of a workload; what is started is removed in every ending."""
    started = []

    def start(owner, environment, *, volumes=None, replaced=(" ", " ")):
        (of,) = [of for of in pods(kind) if of.owner == owner]
        (container,) = of.containers
        fixed = {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}
        empty = {volume["name"] for volume in of.spec["volumes"] if "emptyDir" in volume}
        words = [expanded(word, environment).replace(*replaced) for word in container["args"]]
        context = of.spec["securityContext"]
        running = daemon.containers.run(
            container["image"],
            [*container["command"], *words],
            detach=True,
            name=f"lstfill-test-{uuid.uuid4().hex[:8]}",
            network_mode="host",
            user=f"{context['runAsUser']}:{context['runAsGroup']}",
            read_only=container["securityContext"]["readOnlyRootFilesystem"],
            cap_drop=container["securityContext"]["capabilities"]["drop"],
            security_opt=["no-new-privileges"],
            tmpfs={mount["mountPath"]: "mode=1777" for mount in container["volumeMounts"] if mount["name"] in empty},
            mem_limit=bytes_of(container["resources"]["limits"]["memory"]),
            environment={**fixed, **environment},
            volumes=volumes,
        )
        started.append(running)
        return running

    yield start
    for container in started:
        container.remove(force=True)


def expanded(word, environment):
    """An argument as Kubernetes hands it on, which puts variables in the place of $(NAME)."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment[found.group(1)], word)


def ended(container):
    """Exit status and words of a container that ends by itself."""
    return container.wait(timeout=120)["StatusCode"], container.logs().decode()


@pytest.fixture
def environment(s3):
    return {name: value for name, value in os.environ.items() if name.startswith("LSTFILL_S3_")}


@pytest.mark.timeout(300)
class TestJobs:
    def test_the_buckets_are_made_and_may_be_asked_for_again(self, start, environment):
        for _ in range(2):
            status, said = ended(start("Job/lstfill-buckets", environment))
            assert status == 0, said
            assert said.splitlines() == ["bucket: s3://lstfill", "bucket: s3://mlflow"]
        for name in ("lstfill", "mlflow"):
            buckets.probe(f"s3://{name}")

    def test_the_demos_cube_is_written_within_its_memory(self, start, environment):
        buckets.ensure_bucket("s3://lstfill")
        status, said = ended(start("Job/lstfill-demo-cube", environment))
        assert status == 0, said
        assert stores.provenance("s3://lstfill/sources/esdc-like.zarr")["step"] == "synthetic"

    def test_without_a_bucket_the_job_fails_and_is_repeated(self, start, environment):
        # As the job has it, but for a bucket that is nowhere.
        nowhere = f"s3://nowhere-{uuid.uuid4().hex[:8]}/"
        container = start("Job/lstfill-demo-cube", environment, replaced=("s3://lstfill/", nowhere))
        status, said = ended(container)
        assert status == 1
        assert "there is no such bucket" in said
        assert not s3_filesystem(options_of(nowhere)).exists(nowhere)


@pytest.mark.timeout(300)
class TestOperator:
    def test_answers_the_probe_and_makes_a_scheduler(self, start, tmp_path, unused_port):
        with running_double(tmp_path) as double:
            double.kubeconfig.chmod(0o644)
            container = start(
                "Deployment/dask-operator",
                {"POD_NAMESPACE": "kubeflow", "KUBECONFIG": "/kubeconfig.yaml"},
                volumes={str(double.kubeconfig): {"bind": "/kubeconfig.yaml", "mode": "ro"}},
                replaced=(f":{HEALTH_PORT}/", f":{unused_port}/"),
            )
            until(lambda: healthy(unused_port), container)
            double.create("kubernetes.dask.org/v1", "daskclusters", CLUSTER)
            until(lambda: double.objects("daskworkergroups"), container)
            assert [thing["metadata"]["name"] for thing in double.objects("deployments")] == ["asked-scheduler"]
            assert [thing["metadata"]["name"] for thing in double.objects("services")] == ["asked-scheduler"]


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def healthy(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def until(condition, container, limit_s=60):
    end = time.monotonic() + limit_s
    while not condition():
        container.reload()
        assert container.status == "running", container.logs().decode()
        assert time.monotonic() < end, container.logs().decode()
        time.sleep(0.3)
