"""What keeps a run's pods from starting, and why one failed: Kubernetes knows, Kubeflow's API does not say.

Only read, and only if a kubeconfig or a service account reaches the cluster; without, a run is watched all the same.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstfill.steps.task import EVENT
from pipelines.platform import STEPS

logger = logging.getLogger(__name__)

TIMEOUT_S = (3, 10)
"""Seconds to connect and to answer."""
LOG_LINES = 200
"""Last lines of a failed pod's log in which its message is looked for."""

_ARGO = ("argoproj.io", "v1alpha1")
_NODE = "workflows.argoproj.io/node-name"
_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_START = {"CreateContainerError", "RunContainerError", "CrashLoopBackOff", "StartError"}
_REASONS = dict.fromkeys(_IMAGE, "image") | dict.fromkeys(_START, "start")
_REASONS |= {"CreateContainerConfigError": "configuration", "Unschedulable": "nodes"}
_QUOTA = re.compile(r"(exceeded|failed) quota")


@dataclass(frozen=True)
class Obstacle:
    """Something that keeps a step from starting.

    Attributes:
        step: name of the step, or "the run".
        kind: image, configuration, start, quota or nodes.
        message: the fact and the remedy.
    """

    step: str
    kind: str
    message: str

    @property
    def stays(self) -> bool:
        """Whether waiting alone cannot help; nodes can still be added."""
        return self.kind != "nodes"

    def __str__(self) -> str:
        return f"{self.step}: {self.message}"


class Cluster:
    """The cluster of a run, as far as Kubernetes lets it be read."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def obstacles(self, run_id: str) -> list[Obstacle]:
        """What keeps steps of a run from starting, one entry a step and kind; empty if nothing does."""
        found: dict[tuple[str, str], Obstacle] = {}
        for pod in self._pods(run_id):
            for obstacle in _of_pod(pod, self._namespace):
                found.setdefault((obstacle.step, obstacle.kind), obstacle)
        for node in self._nodes(run_id):
            obstacle = _of_node(node, self._namespace)
            if obstacle:
                found.setdefault((obstacle.step, obstacle.kind), obstacle)
        return list(found.values())

    def causes(self, run_id: str) -> dict[str, str]:
        """Why steps failed: a step's own message from its log, or what ended its container."""
        nodes = [(_step(node.get("name", "")), node.get("startedAt") or "", node) for node in self._nodes(run_id)]
        found = {
            step: _shortened(node["message"])
            for step, node in _last(entry for entry in nodes if entry[2].get("type") == "Pod").items()
            if node.get("phase") in ("Failed", "Error") and node.get("message")
        }
        pods = [(_step_of(pod), pod["metadata"].get("creationTimestamp") or "", pod) for pod in self._pods(run_id)]
        for step, pod in _last(pods).items():
            if pod.get("status", {}).get("phase") == "Failed":
                found[step] = self._message(pod) or found.get(step, "its pod failed")
        return found

    def _message(self, pod: dict[str, Any]) -> str | None:
        log = self._text(f"/api/v1/namespaces/{self._namespace}/pods/{pod['metadata']['name']}/log", container="main",
                         tailLines=LOG_LINES)  # fmt: skip
        events = [line.partition(EVENT)[2] for line in log.splitlines() if EVENT in line]
        for event in reversed(events):
            try:
                if message := json.loads(event).get("error"):
                    return str(message)
            except ValueError:
                continue
        return _ended(pod)

    def _pods(self, run_id: str) -> list[dict[str, Any]]:
        return self._list(f"/api/v1/namespaces/{self._namespace}/pods", run_id)

    def _nodes(self, run_id: str) -> list[dict[str, Any]]:
        group, version = _ARGO
        workflows = self._list(f"/apis/{group}/{version}/namespaces/{self._namespace}/workflows", run_id)
        return [node for workflow in workflows for node in (workflow.get("status", {}).get("nodes") or {}).values()]

    def _list(self, path: str, run_id: str) -> list[dict[str, Any]]:
        text = self._text(path, labelSelector=f"pipeline/runid={run_id}")
        try:
            return json.loads(text).get("items") or []
        except (ValueError, AttributeError):  # nothing, or the page of a proxy
            return []

    def _text(self, path: str, **query: Any) -> str:
        """What Kubernetes answers; nothing if it does not, because a run is watched without it too."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = self._client.call_api(
                path, "GET", query_params=list(query.items()), header_params={"Accept": "*/*"},
                auth_settings=["BearerToken"], _preload_content=False, _return_http_data_only=True,
                _request_timeout=TIMEOUT_S,
            )  # fmt: skip
            return str(answer.data.decode(errors="replace"))
        except (ApiException, HTTPError) as error:
            status = getattr(error, "status", None)
            logger.info("Kubernetes does not show %s (%s)", path, status or type(error).__name__)
            return ""


def cluster(namespace: str) -> Cluster | None:
    """The cluster that a kubeconfig or the own pod's service account leads to; None if there is neither.

    Args:
        namespace: of the runs.
    """
    import urllib3
    from kubernetes import client

    settings = client.Configuration()
    if not _configured(settings):
        return None
    settings.retries = urllib3.Retry(total=0)
    return Cluster(client.ApiClient(settings), namespace)


def _configured(settings: Any) -> bool:
    """Fills the settings of a client; the variable is read now, where the client's own default is of its import."""
    import yaml
    from kubernetes import config

    file = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    try:
        if os.environ.get("KUBECONFIG") or Path(file).exists():
            config.load_kube_config(config_file=file, client_configuration=settings)
        else:
            config.load_incluster_config(client_configuration=settings)
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        logger.info("no access to Kubernetes: %s", type(error).__name__)
        return False
    return True


def _last(entries: Iterable[tuple[str, str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The latest of each step: an attempt that failed says nothing once another one followed."""
    return {step: item for step, _, item in sorted(entries, key=lambda entry: entry[1])}


def _of_pod(pod: dict[str, Any], namespace: str) -> list[Obstacle]:
    status, step = pod.get("status", {}), _step_of(pod)
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    found = []
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _REASONS:
            said = waiting.get("message") or waiting["reason"]
            found.append(_obstacle(step, waiting["reason"], said, namespace, container.get("image")))
    refused = [of for of in status.get("conditions") or [] if of.get("reason") == "Unschedulable"]
    found += [_obstacle(step, "Unschedulable", of.get("message", ""), namespace) for of in refused]
    return found


def _of_node(node: dict[str, Any], namespace: str) -> Obstacle | None:
    """Argo repeats a pod's waiting state, and alone knows why a pod was not even made."""
    message = node.get("message") or ""
    if node.get("phase") != "Pending" or not message:
        return None
    step = _step(node.get("name", ""))
    if _QUOTA.search(message):
        return Obstacle(step, "quota", f"{_shortened(message)}. {_REMEDIES['quota'].format(namespace=namespace)}")
    reason, _, said = message.partition(":")
    return _obstacle(step, reason, said.strip(), namespace) if reason in _REASONS else None


_REMEDIES = {
    "image": "Push it or load it into the cluster, name another with --registry and --tag, or give pull secrets in "
    "the platform settings",
    "configuration": "Make it in namespace {namespace}, or name another in the platform settings",
    "start": "kubectl -n {namespace} describe pod tells more",
    "quota": "Wait for other pods of namespace {namespace} to end, raise the quota, or lower the step's requests in "
    "the platform settings",
    "nodes": "Add nodes, or lower the step's requests in the platform settings",
}


def _obstacle(step: str, reason: str, said: str, namespace: str, image: str | None = None) -> Obstacle:
    kind = _REASONS[reason]
    facts = {
        "image": f"the image {image or ''} cannot be pulled ({reason}: {_shortened(said)})",
        "configuration": f"the container cannot be made: {_shortened(said)}",
        "start": f"the container does not start ({reason}: {_shortened(said)})",
        "nodes": f"no node takes the pod: {_shortened(said)}",
    }
    fact = facts[kind].replace("image  cannot", "image cannot")
    return Obstacle(step, kind, f"{fact}. {_REMEDIES[kind].format(namespace=namespace)}")


def _ended(pod: dict[str, Any]) -> str | None:
    """What ended the main container of a pod that failed."""
    for container in pod.get("status", {}).get("containerStatuses") or []:
        ended = (container.get("state") or {}).get("terminated") or {}
        if container.get("name") == "main" and ended.get("reason") == "OOMKilled":
            return "out of memory: raise memory_limit of the step in the platform settings"
    return pod.get("status", {}).get("message")


def _step_of(pod: dict[str, Any]) -> str:
    return _step((pod["metadata"].get("annotations") or {}).get(_NODE, ""))


def _step(node: str) -> str:
    """Which step a node of the workflow belongs to, like ``lstfill-x7.root.ingest.executor(0)``."""
    parts = [part.partition("(")[0].removesuffix("-driver") for part in node.split(".")]
    return next((part for part in reversed(parts) if part in STEPS), "the run")


def _shortened(text: str, longest: int = 300) -> str:
    line = " ".join(text.split()).rstrip(". ")
    return line if len(line) <= longest else f"{line[:longest]}..."
