"""The API double over HTTP: discovery, objects, watches, logs, and the refusals that a test asks for."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.kubernetes.kubelet import Kubelet
from tests.kubernetes.resources import Resource, discovery
from tests.kubernetes.store import Change, Key, Query, RefusedError, Store, as_line

_PATH = re.compile(r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))/(?P<rest>.+)")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_WATCH_S = 600


@dataclass(frozen=True)
class Target:
    """What a request is about."""

    resource: Resource
    namespace: str | None
    name: str | None
    subresource: str | None

    def key(self) -> Key:
        """Where the object is, for a request with a name."""
        return Key(self.resource, self.namespace, str(self.name))


class Server:
    """Answers requests from a store."""

    def __init__(self, resources: dict[tuple[str, str], Resource], store: Store, kubelet: Kubelet) -> None:
        self._resources = resources
        self._store = store
        self._kubelet = kubelet
        self.refusals: dict[tuple[str, str], RefusedError] = {}

    def application(self) -> web.Application:
        """What aiohttp serves."""
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/double/resolve/{namespace}/{name}", self._resolve)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _resolve(self, request: web.Request) -> web.Response:
        """The name service of the cluster, for processes that only know the address of this server."""
        return web.Response(text=self._kubelet.service_ip(**request.match_info) or "")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            found = discovery(self._resources, request.path.rstrip("/"))
            return web.json_response(found) if found else await self._about_objects(request)
        except RefusedError as error:
            body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": error.reason}
            return web.json_response(body | {"message": str(error), "code": error.status}, status=error.status)

    async def _about_objects(self, request: web.Request) -> web.StreamResponse:
        target = self._target(request.path)
        watching = request.query.get("watch", "").lower() in ("true", "1")
        verb = _VERBS.get(request.method) or ("watch" if watching else "get" if target.name else "list")
        if (verb, target.resource.plural) in self.refusals:
            raise self.refusals[verb, target.resource.plural]
        if watching:
            return await self._watch(request, target)
        if verb == "list":
            return web.json_response(self._list(request, target))
        if target.subresource == "log":
            return web.Response(text=self._kubelet.log_of(target.key()))
        return await self._one(request, target, verb)

    async def _one(self, request: web.Request, target: Target, verb: str) -> web.Response:
        if verb == "create":
            made = self._store.create(target.resource, target.namespace, await request.json())
            return web.json_response(made, status=201)
        if verb == "delete":
            options = json.loads(await request.text() or "{}")
            foreground = options.get("propagationPolicy") == "Foreground"
            return web.json_response(self._store.delete(target.key(), foreground=foreground))
        if verb == "get":
            return web.json_response(self._store.get(target.key()))
        body, kind = json.loads(await request.text()), request.headers.get("Content-Type", "")
        if verb == "update":
            return web.json_response(self._store.replace(target.key(), body, subresource=target.subresource))
        changed = self._store.patch(
            target.key(), body, as_json_patch="json-patch" in kind, subresource=target.subresource
        )
        return web.json_response(changed)

    def _list(self, request: web.Request, target: Target) -> dict[str, Any]:
        return {
            "kind": f"{target.resource.kind}List",
            "apiVersion": target.resource.group_version,
            "metadata": {"resourceVersion": str(self._store.version)},
            "items": self._store.find(_query(request, target)),
        }

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        query, seen = _query(request, target), int(request.query.get("resourceVersion") or 0)
        if not seen:
            present = [Change(0, "ADDED", key, thing) for key, thing in self._store.objects.items()]
            seen = self._store.version
            for change in present:
                await response.write(as_line(change) if query.meets(change.key, change.thing) else b"")
        end = time.monotonic() + float(request.query.get("timeoutSeconds", _WATCH_S))
        while time.monotonic() < end:
            changed, changes, seen = self._store.changed, list(self._store.since(seen, query)), self._store.version
            for change in changes:
                await response.write(as_line(change))
            await _soon(changed)
        return response

    def _target(self, path: str) -> Target:
        found = _PATH.fullmatch(path.rstrip("/"))
        parts = found["rest"].split("/") if found else []
        namespace = parts[1] if len(parts) > 2 and parts[0] == "namespaces" else None
        parts = parts[2:] if namespace else parts
        plural, name, subresource = [*parts, None, None, None][:3]
        resource = self._resources.get(((found["core"] or found["group"]) if found else "", plural or ""))
        if resource is None:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        return Target(resource, namespace, name, subresource)


def _query(request: web.Request, target: Target) -> Query:
    labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
    return Query(target.resource, target.namespace, target.name, labels, fields)


async def _soon(changed: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(changed.wait(), 1)
    except TimeoutError:
        return
