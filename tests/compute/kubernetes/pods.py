"""The pod that a step runs in, as Kubeflow makes one, and the process in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from lstfill.compute.kubernetes import template
from lstfill.config import Cluster, build
from tests.kubernetes.double import NAMESPACE, Double

RUN = "3f2a9c1e-7b64-4d2e-9a55-0c1d2e3f4a5b"
IMAGE = "lstfill-python:0.1.0"
KEY = "LSTFILL_S3_ACCESS_KEY_ID"


def step_pod(name: str = "lstfill-x7k2p-system-container-impl-1234567890") -> dict[str, Any]:
    """A pod of a step."""
    secret = {"secretKeyRef": {"name": "lstfill-s3", "key": KEY}}
    endpoint = {"configMapKeyRef": {"name": "lstfill", "key": "LSTFILL_S3_ENDPOINT_URL", "optional": True}}
    main = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": KEY, "valueFrom": secret},
            {"name": "LSTFILL_S3_ENDPOINT_URL", "valueFrom": endpoint},
            {"name": "AWS_EC2_METADATA_DISABLED", "value": "true"},
            {"name": "MLFLOW_TRACKING_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "password"}}},
        ],
        "securityContext": {"runAsUser": 10001, "runAsGroup": 0, "allowPrivilegeEscalation": True},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "uid": "0d9f6a1c-1111-2222-3333-444455556666",
            "labels": {"pipeline/runid": RUN},
            "annotations": {"kubectl.kubernetes.io/default-container": "main"},
        },
        "spec": {
            "serviceAccountName": "pipeline-runner",
            "imagePullSecrets": [{"name": "registry"}],
            "tolerations": [{"key": "pool", "operator": "Equal", "value": "dask", "effect": "NoSchedule"}],
            "nodeSelector": {"pool": "dask"},
            "securityContext": {"fsGroup": 0},
            "containers": [{"name": "wait", "image": "quay.io/argoproj/argoexec:v4.0.5"}, main],
        },
    }


@contextlib.contextmanager
def within_pod(double: Double, folder: Path, name: str = "step") -> Iterator[str]:
    """This process takes itself for the process of a pod, which stands in the double; gives the pod's name."""
    double.create("v1", "pods", step_pod(name))
    account = folder / "serviceaccount"
    account.mkdir(exist_ok=True)
    (account / "namespace").write_text(NAMESPACE)
    with (
        mock.patch.object(template, "SERVICE_ACCOUNT", account),
        mock.patch.dict("os.environ", {"KUBECONFIG": str(double.kubeconfig), "KFP_POD_NAME": name}),
    ):
        yield name
    double.delete("v1", "pods", name)


def pods(**options: Any) -> Cluster:
    """A section ``cluster`` of kind kubernetes, as the pipeline hands it on."""
    return build(Cluster, {"kind": "kubernetes", "start_timeout_s": 60} | options)


def gone(double: Double, timeout_s: float = 15) -> None:
    """Waits until nothing of any Dask cluster is left, objects or processes."""
    started = time.monotonic()
    while left := double.left_behind():
        assert time.monotonic() - started < timeout_s, f"after {timeout_s} s there are still {left}"
        time.sleep(0.1)
