"""Kubeflow Pipelines' API (v2beta1) as far as submissions need it: real HTTP on loopback, strict in what it takes."""

from __future__ import annotations

import contextlib
import email
import http.server
import json
import os
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from pipelines import access

PREFIX = "/apis/v2beta1"
FOREIGN = ("LSTFILL_", "AWS_", "MLFLOW_", "KF_PIPELINES_", "KFP_", "KUBE")
STARTED, ENDED = "2026-01-01T00:00:00Z", "2026-01-01T00:00:12.5Z"

_TYPES = {
    "STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": (int, float), "BOOLEAN": bool, "LIST": list, "STRUCT": dict,
}  # fmt: skip


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Refusal:
    """An answer in place of the usual one."""

    status: int
    body: str
    times: int
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818  # not an error of the tests
    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


@dataclass
class Api:
    """What the endpoint holds, what it was asked, and how it is to answer."""

    host: str = ""
    multi_user: bool = False
    namespaces: tuple[str, ...] = ("science",)
    token: str | None = None
    cookie: str | None = None
    states: list[str] = field(default_factory=lambda: ["SUCCEEDED"])
    tasks: list[dict[str, Any]] = field(default_factory=list)
    run_error: str = ""
    delay_s: float = 0.0
    requests: list[Request] = field(default_factory=list)
    refusals: dict[tuple[str, str], Refusal] = field(default_factory=dict)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    recurring: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, method: str, path: str, status: int, message: str = "", times: int = 99, **more: Any) -> None:
        """Answers requests with a status from now on, as the server words it, or with ``body``."""
        body = more.pop("body", None)
        if body is None:
            body = json.dumps({"error": message, "code": 13, "message": message, "details": []})
        self.refusals[method, path] = Refusal(status, body, times, **more)

    def asked(self, method: str, path: str) -> list[Request]:
        return [request for request in self.requests if (request.method, request.path) == (method, PREFIX + path)]

    def only(self, method: str, path: str) -> Request:
        (request,) = self.asked(method, path)
        return request

    @property
    def changes(self) -> list[str]:
        """What was asked to be made."""
        return [request.path for request in self.requests if request.method == "POST"]

    def answer(self, request: Request) -> Any:
        self._let_in(request.headers)
        name = re.sub(r"/(runs|pipelines)/[\w-]{30,}", r"/\1/ID", request.path.removeprefix(PREFIX)).strip("/")
        handler = getattr(self, f"_{request.method}_{name.replace('/', '_')}".lower(), None)
        if handler is None:
            raise Refused(404, f"Not Found: {request.path}")
        return handler(request)

    def _let_in(self, headers: dict[str, str]) -> None:
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            raise Refused(401, f"Request header error: {headers.get('authorization')} is no valid token")
        if self.cookie and headers.get("cookie") != self.cookie:
            raise Refused(403, "RBAC: access denied")

    def _in_namespace(self, namespace: str | None) -> str:
        if not self.multi_user and namespace:
            raise Refused(400, "Invalid input error: In single-user mode, ListExperiment cannot filter by namespace")
        if self.multi_user and namespace not in self.namespaces:
            raise Refused(403, f"User 'me' is not authorized to access experiments in the namespace {namespace!r}")
        return namespace or ""

    def _get_healthz(self, _: Request) -> Any:
        return {"multi_user": self.multi_user}

    def _get_experiments(self, request: Request) -> Any:
        namespace = self._in_namespace(request.query.get("namespace"))
        return {"experiments": _filtered([of for of in self.experiments if of["namespace"] == namespace], request)}

    def _post_experiments(self, request: Request) -> Any:
        made = {"experiment_id": _id(), "namespace": "", **request.body}
        self._in_namespace(made["namespace"])
        self.experiments.append(made)
        return made

    def _post_runs(self, request: Request) -> Any:
        _check_order(request.body)
        made = {"run_id": _id(), "state": "PENDING", **request.body}
        self.runs[made["run_id"]] = made
        return made

    def _get_runs_id(self, request: Request) -> Any:
        run = self.runs.get(request.path.rpartition("/")[2])
        if run is None:
            raise Refused(404, "Failed to get a run: ResourceNotFoundError: Run not found")
        state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
        error = {"error": {"code": 13, "message": self.run_error}} if self.run_error else {}
        return {**run, "state": state, "run_details": {"task_details": self.tasks}, **error}

    def _get_pipelines(self, request: Request) -> Any:
        return {"pipelines": _filtered(self.pipelines, request)}

    def _post_pipelines_upload(self, request: Request) -> Any:
        _check_package(request.body)
        if any(of["display_name"] == request.query["name"] for of in self.pipelines):
            raise Refused(409, f"Already exist error: The name {request.query['name']} already exist")
        made = {
            "pipeline_id": _id(),
            "display_name": request.query["name"],
            "namespace": request.query.get("namespace"),
        }
        self.pipelines.append(made)
        return made

    def _get_pipelines_id_versions(self, request: Request) -> Any:
        pipeline = request.path.split("/")[-2]
        return {"pipeline_versions": _filtered([of for of in self.versions if of["pipeline_id"] == pipeline], request)}

    def _post_pipelines_upload_version(self, request: Request) -> Any:
        _check_package(request.body)
        made = {"pipeline_version_id": _id(), "display_name": request.query["name"]}
        made["pipeline_id"] = request.query["pipelineid"]
        self.versions.append(made)
        return made

    def _get_recurringruns(self, request: Request) -> Any:
        return {"recurringRuns": _filtered(self.recurring, request)}

    def _post_recurringruns(self, request: Request) -> Any:
        _check_order(request.body)
        cron = request.body["trigger"].get("cron_schedule", {}).get("cron")
        if cron is not None and len(cron.split()) != 6:
            raise Refused(400, f"Schedule cron is not supported. Expected 6 fields, found {len(cron.split())}")
        made = {"recurring_run_id": _id(), **request.body}
        self.recurring.append(made)
        return made


def _filtered(items: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    predicates = json.loads(request.query.get("filter") or "{}").get("predicates", [])
    for predicate in predicates:
        assert predicate["operation"] in ("EQUALS", 1)
        items = [of for of in items if of[predicate["key"]] == predicate["stringValue"]]
    return items


def _check_order(body: dict[str, Any]) -> None:
    """What the server checks of a run, and of a schedule: the specification, the experiment, types of parameters."""
    spec = body.get("pipeline_spec") or {}
    if not {"pipeline_spec", "platform_spec"} <= set(spec):
        raise Refused(400, "the run lacks its pipeline_spec or its platform_spec")
    if not body.get("experiment_id"):
        raise Refused(400, "Invalid input error: the run belongs to no experiment")
    known = spec["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]
    values = body["runtime_config"].get("parameters") or {}
    for name, definition in known.items():
        if name not in values and not definition.get("isOptional"):
            raise Refused(400, f"parameter {name} is required, but not set")
    for name, value in values.items():
        _check_type(name, value, known)


def _check_type(name: str, value: Any, known: dict[str, Any]) -> None:
    if name not in known:
        raise Refused(400, f"parameter {name} is not known to the pipeline")
    kind = known[name]["parameterType"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
        raise Refused(400, f"parameter {name} is of type {kind}, not {value!r}")


def _check_package(documents: list[Any]) -> None:
    if len(documents) != 2 or "root" not in documents[0] or "platforms" not in documents[1]:
        raise Refused(400, "Failed to upload: the package lacks its pipeline or its platform")


def _id() -> str:
    return str(uuid.uuid4())


def task(step: str, state: str, message: str = "", **more: Any) -> dict[str, Any]:
    """A step as the API lists it."""
    error = {"error": {"code": 13, "message": message}} if message else {}
    ended = {"end_time": ENDED} if state in ("SUCCEEDED", "FAILED") else {"end_time": "1970-01-01T00:00:00Z"}
    return {"task_id": step, "display_name": step, "state": state, "start_time": STARTED, **ended, **error, **more}


def outside_pods(patch, directory) -> None:
    """As ``alone``, and on a machine that no service account is mounted into."""
    alone(patch)
    for name in ("PROJECTED", "SERVICE_ACCOUNT"):
        patch.setattr(access, name, directory / "none")


def alone(patch) -> None:
    """No endpoint, token or cluster of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            patch.delenv(name)
    patch.setenv("KUBECONFIG", os.devnull)
    patch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", f"{os.devnull}/context.json")


class _Handler(http.server.BaseHTTPRequestHandler):
    api: Api

    def do_GET(self) -> None:  # http.server's name
        self._serve(None)

    def do_POST(self) -> None:  # http.server's name
        self._serve(self._body())

    def _body(self) -> Any:
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if not self.headers["Content-Type"].startswith("multipart/"):
            return json.loads(data)
        message = email.message_from_bytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\n\n" + data)
        (file,) = message.get_payload()
        return list(yaml.safe_load_all(file.get_payload(decode=True)))

    def _serve(self, body: Any) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, query, headers, body)
        self.api.requests.append(request)
        time.sleep(self.api.delay_s)
        refusal = self._refusal(request)
        if refusal:
            self._send(refusal.status, refusal.body, refusal.kind, refusal.headers)
            return
        try:
            self._send(200, json.dumps(self.api.answer(request)))
        except Refused as error:
            said = {"error": error.message, "code": 3, "message": error.message, "details": []}
            self._send(error.status, json.dumps(said))

    def _refusal(self, request: Request) -> Refusal | None:
        name = re.sub(r"/runs/[\w-]{30,}", "/runs/ID", request.path.removeprefix(PREFIX))
        refusal = self.api.refusals.get((request.method, name)) or self.api.refusals.get(("*", "*"))
        if refusal is None or refusal.times <= 0:
            return None
        refusal.times -= 1
        return refusal

    def _send(
        self, status: int, text: str, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # whoever asked may have gone
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nobody is asked to read it."""


@contextlib.contextmanager
def serving(api: Any, handler: type[http.server.BaseHTTPRequestHandler] = _Handler, context: Any = None):
    """Answers on a free port of the loopback until the end of the block."""
    made = type("Handler", (handler,), {"api": api})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        api.host = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
