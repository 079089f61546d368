"""A Kubernetes for tests: an API server whose pods are processes of this machine.

It needs no root, no container runtime and no network. It does not show images, rights, scheduling or real limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from aiohttp import web
from kr8s._api import Api

from tests.kubernetes.kubelet import Kubelet
from tests.kubernetes.names import resolved_by
from tests.kubernetes.resources import known_resources
from tests.kubernetes.server import Server
from tests.kubernetes.store import Query, RefusedError, Store, Thing

NAMESPACE = "kubeflow"
Result = TypeVar("Result")


class Double:
    """The handle that tests hold; its methods may be called from any thread."""

    def __init__(self, folder: Path, *, with_operator: bool = True) -> None:
        self._loop = asyncio.new_event_loop()
        self._resources = known_resources(with_operator=with_operator)
        self._store = Store()
        self.kubelet = Kubelet(self._resources, self._store, folder)
        self.server = Server(self._resources, self._store, self.kubelet)
        self._runner = web.AppRunner(self.server.application(), access_log=None, shutdown_timeout=0.2)
        self._thread = threading.Thread(target=self._loop.run_forever, name="kubernetes-double", daemon=True)
        self.url = ""
        self.kubeconfig = folder / "kubeconfig.yaml"

    def start(self) -> None:
        """Serves at a free port of the loopback address."""
        # A client of an earlier double would be found by its settings, which are the same.
        Api._instances.clear()
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(20)
        self.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(self.url)))
        self.create("v1", "namespaces", {"metadata": {"name": NAMESPACE}})

    def stop(self) -> None:
        """Ends the pods, then the server."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def create(self, group_version: str, plural: str, thing: Thing) -> Thing:
        """Makes an object in the namespace of the tests."""
        resource = self._resources[group_version, plural]
        return self._called(lambda: self._store.create(resource, NAMESPACE, thing))

    def delete(self, group_version: str, plural: str, name: str) -> None:
        """Removes an object of the namespace of the tests."""
        query = Query(self._resources[group_version, plural], name=name)
        keys = [key for key, thing in self._store.objects.items() if query.meets(key, thing)]
        self._called(lambda: [self._store.delete(key) for key in keys])

    def objects(self, plural: str) -> list[Thing]:
        """The objects of a kind, as they are now."""
        return self._called(lambda: [t for key, t in self._store.objects.items() if key.resource.plural == plural])

    def history(self, plural: str) -> list[Thing]:
        """Every object of a kind that was ever made, as it was at first."""
        made = self._called(lambda: [change for change in self._store.log if change.type == "ADDED"])
        return [change.thing for change in made if change.key.resource.plural == plural]

    def refuse(self, verb: str, plural: str, status: int, reason: str, message: str) -> None:
        """From now on the server refuses a verb on a resource."""
        self.server.refusals[verb, plural] = RefusedError(status, reason, message)

    def left_behind(self) -> list[str]:
        """What stands for a Dask cluster: its objects by kind and name, its processes by id."""
        kinds = ("daskclusters", "daskworkergroups", "daskautoscalers", "deployments", "services")
        things = [f"{kind}/{thing['metadata']['name']}" for kind in kinds for thing in self.objects(kind)]
        dask = [pod for pod in self.objects("pods") if "dask.org/cluster-name" in (pod["metadata"].get("labels") or {})]
        return things + [pod["metadata"]["name"] for pod in dask] + [f"pid {pid}" for pid in self.kubelet.running()]

    def _called(self, function: Callable[[], Result]) -> Result:
        async def call() -> Result:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(20)

    async def _serve(self) -> str:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _end(self) -> None:
        await self.kubelet.stop()
        await self._runner.cleanup()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


@contextlib.contextmanager
def running_double(folder: Path, *, with_operator: bool = True) -> Iterator[Double]:
    """A double that serves, its names resolved in this process; stopped in every ending.

    Args:
        folder: for its kubeconfig and the logs of its pods.
        with_operator: whether the resources of the Dask operator are known.
    """
    double = Double(folder, with_operator=with_operator)
    double.start()
    try:
        with resolved_by(double.url):
            yield double
    finally:
        double.stop()


def _kubeconfig(url: str) -> dict[str, Any]:
    context = {"cluster": "double", "user": "test", "namespace": NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "double", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": "none"}}],
        "contexts": [{"name": "double", "context": context}],
        "current-context": "double",
    }
