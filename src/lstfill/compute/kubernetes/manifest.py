"""The objects that the Dask operator makes pods from. Pure: nothing here talks to a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask.utils import parse_bytes
from dask_kubernetes.operator import make_cluster_spec

from lstfill.compute.kubernetes.template import Template
from lstfill.compute.memory import ARENAS
from lstfill.config import Cluster

API_VERSION = "kubernetes.dask.org/v1"

# Distributed's own list, and its API: without it the operator asks for idleness by a call that only works between
# equal versions of Dask, and when that says "busy" it sets a time limit of its own on the scheduler.
_ROUTES = [
    "distributed.http.scheduler.prometheus",
    "distributed.http.scheduler.info",
    "distributed.http.scheduler.json",
    "distributed.http.scheduler.api",
    "distributed.http.health",
]
_GRACE_S = 5  # nothing of a scheduler or worker is worth more time when it is removed
_SCRATCH = "/tmp"  # noqa: S108 - the one place that can be written, and each pod's own
_USER = {"USER": "lstfill"}  # a uid without an entry in passwd has no name otherwise
_SCHEDULER_ENV = _USER | {"DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": repr(_ROUTES)}
# The threads of a worker share its processors, so a library must not start threads for each of them.
_WORKER_ENV = _USER | {
    "MALLOC_ARENA_MAX": str(ARENAS),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_RESTRICTED_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_RESTRICTED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def dask_cluster(config: Cluster, template: Template, namespace: str) -> dict[str, Any]:
    """The cluster of a step: a scheduler and the workers it starts with.

    Args:
        config: how many workers of what size, and when they are removed for being idle.
        template: what the pods have in common with the step's.
        namespace: where they are made.
    """
    made: dict[str, Any] = make_cluster_spec(
        name=template.name,
        image=template.image,
        n_workers=config.minimum or config.workers,
        resources={},
        env={},
        worker_command=_worker_command(config),
        idle_timeout=config.idle_timeout_s,
    )
    made["metadata"] = _metadata(template, namespace)
    spec = made["spec"]
    _shape(spec["scheduler"], template, {"env": _variables(_SCHEDULER_ENV)}, _size(config, "scheduler_"))
    _shape(spec["worker"], template, _worker_env(template), _size(config, ""))
    # The scheduler's script of older versions is gone; this call is what every version knows.
    spec["scheduler"]["spec"]["containers"][0]["args"] = [
        "dask", "scheduler", "--host", "0.0.0.0", "--port", "8786", "--dashboard-address", "0.0.0.0:8787",  # noqa: S104
    ]  # fmt: skip
    return made


def dask_autoscaler(config: Cluster, template: Template, namespace: str) -> dict[str, Any]:
    """What lets a cluster follow its load between the configuration's ``minimum`` and ``maximum``."""
    metadata = {"name": template.name, "namespace": namespace, "labels": dict(template.labels)}
    spec = {"cluster": template.name, "minimum": config.minimum, "maximum": config.maximum}
    return {"apiVersion": API_VERSION, "kind": "DaskAutoscaler", "metadata": metadata, "spec": spec}


def _metadata(template: Template, namespace: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": template.name, "namespace": namespace, "labels": dict(template.labels)}
    return made | ({"ownerReferences": [dict(template.owner)]} if template.owner else {})


def _worker_command(config: Cluster) -> list[str]:
    # The limit is given: left to itself a worker takes the share of the machine that its threads are of all processors.
    # One process a pod: Kubernetes does what a nanny would.
    return [
        "dask", "worker", "--nthreads", str(config.threads_per_worker), "--no-nanny",
        "--memory-limit", str(parse_bytes(config.memory)), "--local-directory", _SCRATCH,
    ]  # fmt: skip


def _worker_env(template: Template) -> dict[str, Any]:
    """The step's own variables come last: who sets one of them for a step means the workers too."""
    handed_on = [dict(entry) for entry in template.container.get("env", [])]
    names = {entry["name"] for entry in handed_on}
    env = [entry for entry in _variables(_WORKER_ENV) if entry["name"] not in names] + handed_on
    sources = template.container.get("envFrom")
    return {"env": env} | ({"envFrom": sources} if sources else {})


def _variables(env: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in env.items()]


def _size(config: Cluster, prefix: str) -> dict[str, Any]:
    cpu, memory = getattr(config, f"{prefix}cpu"), getattr(config, f"{prefix}memory")
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def _shape(part: dict[str, Any], template: Template, env: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    """Puts what is common to scheduler and workers into the part of one of them."""
    (container,) = part["spec"]["containers"]
    policy = template.container.get("imagePullPolicy")
    container |= dict(env) | {"resources": dict(resources)} | ({"imagePullPolicy": policy} if policy else {})
    container["securityContext"] = {**template.container.get("securityContext", {}), **_RESTRICTED}
    container["volumeMounts"] = [{"name": "tmp", "mountPath": _SCRATCH}]
    part["spec"] |= dict(template.pod) | {
        "securityContext": {**template.pod.get("securityContext", {}), **_RESTRICTED_POD},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
    }
