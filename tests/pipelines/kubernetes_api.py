"""The part of Kubernetes' API that tells of a run's pods and its workflow: real HTTP on loopback, and a way in."""

from __future__ import annotations

import http.server
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

TOKEN = "kube-token-that-nobody-may-see"
NODE_NAME = "workflows.argoproj.io/node-name"


@dataclass
class Kubernetes:
    """Pods and nodes of workflows of one namespace.

    Attributes:
        allowed: resources that may be read.
    """

    namespace: str = "kubeflow"
    host: str = ""
    run_id: str = ""
    pods: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ("pods", "workflows", "log")
    asked: list[str] = field(default_factory=list)
    selectors: set[str] = field(default_factory=set)

    def add_pod(self, step: str, status: dict[str, Any], *, attempt: int = 0) -> str:
        """A pod of a step, as Argo names and annotates it."""
        name = f"lstfill-x7k2p-system-container-impl-{len(self.pods)}"
        metadata = {
            "name": name,
            "creationTimestamp": f"2026-01-01T00:00:{attempt:02}Z",
            "labels": {"pipeline/runid": self.run_id},
            "annotations": {NODE_NAME: f"lstfill-x7k2p.root.{step}.executor({attempt})"},
        }
        self.pods.append({"metadata": metadata, "status": status})
        return name

    def add_waiting(self, step: str, reason: str, message: str, image: str = "") -> None:
        """A pod whose container waits."""
        state = {"waiting": {"reason": reason, "message": message}}
        self.add_pod(
            step, {"phase": "Pending", "containerStatuses": [{"name": "main", "image": image, "state": state}]}
        )

    def add_node(self, step: str, phase: str, message: str, kind: str = "Pod", attempt: int = 0) -> None:
        """A node of the workflow."""
        name, started = f"lstfill-x7k2p.root.{step}.executor({attempt})", f"2026-01-01T00:00:{attempt:02}Z"
        node = {"name": name, "type": kind, "phase": phase, "message": message, "startedAt": started}
        self.nodes.append(node)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        self.asked.append(path)
        self.selectors |= set(query.get("labelSelector", []))
        found = re.fullmatch(
            r"/(?:api/v1|apis/argoproj.io/v1alpha1)/namespaces/([\w-]+)/(pods|workflows)(?:/([\w-]+)/(log))?", path
        )
        if not found or found[1] != self.namespace:
            return 404, {"kind": "Status", "message": "not found"}
        kind = found[4] or found[2]
        if kind not in self.allowed:
            return 403, {"kind": "Status", "message": f"{kind} is forbidden"}
        if kind == "log":
            return (200, self.logs[found[3]]) if found[3] in self.logs else (404, {"kind": "Status"})
        selected = query.get("labelSelector") == [f"pipeline/runid={self.run_id}"]
        workflow = {"metadata": {"name": "lstfill-x7k2p"}, "status": {"nodes": dict(enumerate(self.nodes))}}
        return 200, {"items": (self.pods if kind == "pods" else [workflow]) if selected else []}

    def kubeconfig(self, path) -> str:
        """Writes the file that leads here."""
        names = {"cluster": "c", "user": "u", "namespace": "somewhere-else"}
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "c", "cluster": {"server": self.host}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "x", "context": names}],
        }))  # fmt: skip
        return str(path)


class Handler(http.server.BaseHTTPRequestHandler):
    api: Kubernetes

    def do_GET(self) -> None:  # http.server's name
        parts = urlsplit(self.path)
        status, answer = self.api.answer(parts.path, parse_qs(parts.query))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            status, answer = 401, {"kind": "Status", "message": "Unauthorized"}
        data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nobody is asked to read it."""
