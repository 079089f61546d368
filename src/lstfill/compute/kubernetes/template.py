"""What scheduler and workers have in common with the pod that starts them; from a laptop, with the configuration."""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""What Kubernetes mounts into a pod that may call its API."""

S3_SECRET, SETTINGS = "lstfill-s3", "lstfill"
"""Secret and ConfigMap with the variables of the object store, where no pod says what it takes them from."""

RUN_LABEL = "lstfill/run-id"

_KUBEFLOW_RUN = "pipeline/runid"
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_HANDED_ON = ("LSTFILL_", "AWS_")
_FROM_SECRET = ("LSTFILL_S3_ACCESS_KEY_ID", "LSTFILL_S3_SECRET_ACCESS_KEY")
_FROM_SETTINGS = ("LSTFILL_S3_ENDPOINT_URL", "LSTFILL_S3_REGION")
_IDENTITY = ("runAsUser", "runAsGroup")


@dataclass(frozen=True, kw_only=True)
class Template:
    """The parts of scheduler and workers that do not depend on which of them it is.

    Attributes:
        image: of both.
        name: of the cluster: DNS-safe, short enough for what the operator appends, never used twice.
        labels: of the cluster, from which the operator hands them on to every pod.
        owner: reference to the pod with which the cluster is removed; none from a laptop.
        pod: fields of the pods.
        container: fields of their container.
    """

    image: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: Mapping[str, Any] | None = None
    pod: Mapping[str, Any] = field(default_factory=dict)
    container: Mapping[str, Any] = field(default_factory=dict)


def own_pod_name() -> str | None:
    """The name of the pod that this process runs in; none outside of Kubernetes."""
    if not (SERVICE_ACCOUNT / "namespace").exists():
        return None
    # A host name is cut at 63 characters, a pod's name is not; Kubeflow says the whole of it.
    return os.environ.get("KFP_POD_NAME") or socket.gethostname()


def own_namespace() -> str | None:
    """The namespace of that pod."""
    place = SERVICE_ACCOUNT / "namespace"
    return place.read_text(encoding="utf-8").strip() if place.exists() else None


def like(pod: Mapping[str, Any], image: str | None, *, owned: bool) -> Template:
    """The template of a cluster that is made like a pod.

    Secrets are handed on as references, as the pod has them; no value of one is read.

    Args:
        pod: the step's own pod, as the API gives it.
        image: another image than the pod's, if any.
        owned: whether the pod owns the cluster, which only one in the cluster's namespace can.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    container = _step_container(pod)
    run = metadata.get("labels", {}).get(_KUBEFLOW_RUN, "")
    kept = ("serviceAccountName", "imagePullSecrets", "tolerations", "nodeSelector", "priorityClassName")
    env = [entry for entry in container.get("env", []) if entry["name"].startswith(_HANDED_ON)]
    return Template(
        image=image or container["image"],
        name=_name(run),
        labels=_labels(run),
        owner=_reference_to(metadata) if owned else None,
        pod=_given(spec, kept) | {"securityContext": _identity(spec)},
        container=_given(container, ("imagePullPolicy", "envFrom"))
        | {"env": env, "securityContext": _identity(container)},
    )


def without_pod(image: str) -> Template:
    """The template of a cluster that nobody's pod starts: the object store by the names of the manifests.

    Args:
        image: of scheduler and workers.
    """
    env = [_reference(name, "secretKeyRef", S3_SECRET) for name in _FROM_SECRET]
    env += [_reference(name, "configMapKeyRef", SETTINGS) for name in _FROM_SETTINGS]
    return Template(image=image, name=_name(""), labels=_labels(""), container={"env": env})


def _step_container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container of the step: sidecars and Argo's own container stand beside it."""
    containers: list[Mapping[str, Any]] = pod["spec"]["containers"]
    named = pod["metadata"].get("annotations", {}).get(_DEFAULT_CONTAINER, "main")
    return next((container for container in containers if container["name"] == named), containers[0])


def _name(run: str) -> str:
    short = re.sub(r"[^a-z0-9]", "", run.lower())[:8]
    return "-".join(filter(None, ("lstfill", short, uuid.uuid4().hex[:8])))


def _labels(run: str) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "lstfill"} | ({RUN_LABEL: run} if run else {})


def _reference_to(metadata: Mapping[str, Any]) -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    return owner | {"controller": False, "blockOwnerDeletion": False}


def _identity(holder: Mapping[str, Any]) -> dict[str, Any]:
    """User and group of a pod or a container, but never root."""
    context = holder.get("securityContext") or {}
    return {} if context.get("runAsUser") == 0 else _given(context, _IDENTITY)


def _given(holder: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: holder[name] for name in names if holder.get(name) is not None}


def _reference(name: str, kind: str, holder: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {kind: {"name": holder, "key": name, "optional": True}}}
