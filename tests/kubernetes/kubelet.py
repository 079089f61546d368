"""Deployments become pods, pods become processes of this machine, each with a loopback address of its own.

What a kubelet reports when a pod cannot start is reported here too: an image that is not there, a secret that is
missing, a container that ends by itself, a quota that is used up.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import aiohttp

from tests.kubernetes.resources import Resource
from tests.kubernetes.store import Change, Key, Query, RefusedError, Store, Thing

ROOT = Path(__file__).parents[2]
_BIN = Path(sys.executable).parent
_SERVICE = re.compile(r"([\w-]+)\.([\w-]+)\.svc\.cluster\.local")
_RESTART_S = 0.3
_NOBODY = "127.0.0.254"


class Kubelet:
    """Runs what the store says."""

    def __init__(self, resources: dict[tuple[str, str], Resource], store: Store, folder: Path) -> None:
        self._pods, self._services = resources["v1", "pods"], resources["v1", "services"]
        self._holders = {"secretKeyRef": resources["v1", "secrets"], "configMapKeyRef": resources["v1", "configmaps"]}
        self._events = resources["v1", "events"]
        self._store = store
        self._folder = folder
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.missing_images: set[str] = set()
        self.pod_quota: int | None = None
        store.listeners.append(self._heard)

    def service_ip(self, name: str, namespace: str) -> str | None:
        """Where a service's name leads: to one of its pods, or where nobody listens; none if it never was.

        A name is there as soon as its service, whatever its pods do, and for a while after it: answers are cached. The
        operator takes both for granted.
        """
        key = Key(self._services, namespace, name)
        service = self._store.objects.get(key)
        if service is None:
            return _NOBODY if any(change.key == key for change in self._store.log) else None
        selector = ",".join(f"{label}={value}" for label, value in service["spec"]["selector"].items())
        pods = self._store.find(Query(self._pods, namespace, labels=selector))
        return next((pod["status"]["podIP"] for pod in pods if _is_ready(pod)), _NOBODY)

    def log_of(self, key: Key) -> str:
        """What a pod's process wrote."""
        file = self._log_file(self._store.get(key)["metadata"]["uid"])
        return file.read_text(errors="replace") if file.exists() else ""

    def running(self) -> list[int]:
        """The ids of the processes that live."""
        return [process.pid for process in self._processes.values() if process.poll() is None]

    def commands(self) -> list[list[str]]:
        """What each process was started with, so far."""
        return [list(process.args) for process in self._processes.values()]  # type: ignore[arg-type]

    async def stop(self) -> None:
        """Ends every process."""
        for task in self._tasks:
            task.cancel()
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _heard(self, change: Change) -> None:
        plural, uid = change.key.resource.plural, change.thing["metadata"]["uid"]
        if change.type == "ADDED" and plural == "deployments":
            self._begin(self._pod_of(change.key, change.thing))
        if change.type == "ADDED" and plural == "pods":
            self._begin(self._run(change.key, copy.deepcopy(change.thing)))
        if change.type == "DELETED" and plural == "pods" and uid in self._processes:
            self._begin(self._end(self._processes[uid], change.thing["spec"].get("terminationGracePeriodSeconds", 30)))

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, process: subprocess.Popen[bytes], grace_s: float) -> None:
        process.terminate()
        for _ in range(int(grace_s * 10)):
            if process.poll() is not None:
                return
            await asyncio.sleep(0.1)
        process.kill()

    async def _pod_of(self, key: Key, deployment: Thing) -> None:
        template = copy.deepcopy(deployment["spec"]["template"])
        metadata = template.setdefault("metadata", {})
        metadata["name"] = f"{key.name}-{uuid.uuid4().hex[:5]}"
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": key.name, "uid": deployment["metadata"]["uid"]}
        metadata["ownerReferences"] = [owner]
        await asyncio.sleep(0)
        while key in self._store.objects:
            try:
                self._refuse_above_quota(metadata["name"])
            except RefusedError as error:
                self._report(key, str(error))
                await asyncio.sleep(0.5)
            else:
                self._store.create(self._pods, key.namespace, template)
                return

    def _refuse_above_quota(self, name: str) -> None:
        used = len(self._store.find(Query(self._pods)))
        if self.pod_quota is not None and used >= self.pod_quota:
            quota = f"requested: pods=1, used: pods={used}, limited: pods={self.pod_quota}"
            raise RefusedError(403, "Forbidden", f'pods "{name}" is forbidden: exceeded quota: small, {quota}')

    def _report(self, key: Key, message: str) -> None:
        event = {
            "metadata": {"generateName": f"{key.name}-"},
            "involvedObject": {"kind": "ReplicaSet", "name": f"{key.name}-5d9c7b8f6d", "namespace": key.namespace},
            "reason": "FailedCreate",
            "type": "Warning",
            "message": f"Error creating: {message}",
        }
        self._store.create(self._events, key.namespace, event)

    async def _run(self, key: Key, pod: Thing) -> None:
        container, uid = pod["spec"]["containers"][0], pod["metadata"]["uid"]
        await asyncio.sleep(0)
        if container["image"] in self.missing_images:
            self._waits(key, container, "ImagePullBackOff", f'Back-off pulling image "{container["image"]}"')
            return
        if not (container.get("command") or container.get("args")):
            self._status(key, {"phase": "Running"})  # a pod that a test stands for
            return
        address = self._address()
        try:
            env = await self._environment(key, container)
        except RefusedError as error:
            self._waits(key, container, "CreateContainerConfigError", str(error))
            return
        await self._keep_running(key, container, uid, address, env)

    async def _keep_running(self, key: Key, container: Thing, uid: str, address: str, env: dict[str, str]) -> None:
        restarts = 0
        while key in self._store.objects:
            process = self._started(uid, _command(container, env, address), env)
            self._status(key, _running(container, address, ready=False, restarts=restarts))
            while process.poll() is None and not await _probed(container, address):
                await asyncio.sleep(0.1)
            if process.poll() is None:
                self._status(key, _running(container, address, ready=True, restarts=restarts))
            while process.poll() is None:
                await asyncio.sleep(0.1)
            restarts += 1
            self._status(key, _ended(container, address, process.returncode, restarts))
            await asyncio.sleep(_RESTART_S)

    def _started(self, uid: str, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        with self._log_file(uid).open("ab") as log:
            self._processes[uid] = subprocess.Popen(command, env=env, cwd=self._folder, stdout=log, stderr=log)
        return self._processes[uid]

    async def _environment(self, key: Key, container: Thing) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        env = kept | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        for entry in container.get("env") or []:
            value = entry.get("value") if "value" in entry else self._referred(key, entry["valueFrom"])
            env |= {} if value is None else {entry["name"]: str(value)}
        if found := _SERVICE.search(env.get("DASK_SCHEDULER_ADDRESS", "")):
            while (address := self.service_ip(found[1], found[2])) in (None, _NOBODY):
                await asyncio.sleep(0.1)
            env["DASK_SCHEDULER_ADDRESS"] = f"tcp://{address}:8786"
        return env

    def _referred(self, key: Key, source: Thing) -> str | None:
        ((kind, reference),) = source.items()
        if kind == "fieldRef":
            return {"metadata.name": key.name, "metadata.namespace": str(key.namespace)}[reference["fieldPath"]]
        resource = self._holders[kind]
        holder = self._store.objects.get(Key(resource, key.namespace, reference["name"]))
        values = (holder or {}).get("stringData") or (holder or {}).get("data") or {}
        if reference["key"] not in values and not reference.get("optional"):
            missing = f'{resource.kind.lower()} "{reference["name"]}" not found'
            raise RefusedError(404, "NotFound", missing if holder is None else f"no key {reference['key']}")
        return values.get(reference["key"])

    def _waits(self, key: Key, container: Thing, reason: str, message: str) -> None:
        waiting = {"waiting": {"reason": reason, "message": message}}
        entry = {"name": container["name"], "image": container["image"], "ready": False, "restartCount": 0}
        self._status(key, {"phase": "Pending", "containerStatuses": [entry | {"state": waiting}]})

    def _status(self, key: Key, status: Thing) -> None:
        if key in self._store.objects:
            self._store.replace(key, self._store.objects[key] | {"status": status}, subresource="status")

    def _address(self) -> str:
        # By process, so that two runs of the tests on one machine do not meet.
        return f"127.{os.getpid() % 200 + 10}.{os.getpid() // 200 % 250}.{next(self._numbers)}"

    def _log_file(self, uid: str) -> Path:
        return self._folder / f"{uid}.log"


def _command(container: Thing, env: dict[str, str], address: str) -> list[str]:
    """The command with its variables put in, and bound to the pod's own address alone."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    words = [re.sub(r"\$\((\w+)\)", lambda found: env.get(found[1], found[0]), word) for word in words]
    words = [word.replace("0.0.0.0", address) for word in words]  # noqa: S104 - so that nobody does
    if "--dashboard-address" in words:
        place = words.index("--dashboard-address") + 1
        words[place] = words[place] if ":" in words[place] else f"{address}:{words[place]}"
    own = ["--host", address] if words[:2] == ["dask", "worker"] else []
    program = _BIN / words[0]
    return [str(program) if program.exists() else words[0], *words[1:], *own]


def _is_ready(pod: Thing) -> bool:
    conditions = {entry["type"]: entry["status"] for entry in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True"


async def _probed(container: Thing, address: str) -> bool:
    probe = (container.get("readinessProbe") or {}).get("httpGet")
    if probe is None:
        return True
    port = next(port["containerPort"] for port in container["ports"] if port["name"] == probe["port"])
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        url = f"http://{address}:{port}{probe['path']}"
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _running(container: Thing, address: str, *, ready: bool, restarts: int) -> Thing:
    return {
        "phase": "Running",
        "podIP": address,
        "conditions": [{"type": name, "status": str(ready)} for name in ("Ready", "ContainersReady")],
        "containerStatuses": [_entry(container, restarts) | {"ready": ready, "state": {"running": {}}}],
    }


def _ended(container: Thing, address: str, code: int, restarts: int) -> Thing:
    terminated = {"terminated": {"reason": "Error", "exitCode": code}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}}
    entry = _entry(container, restarts) | {"ready": False, "state": waiting, "lastState": terminated}
    return {"phase": "Running", "podIP": address, "containerStatuses": [entry]}


def _entry(container: Thing, restarts: int) -> Thing:
    return {"name": container["name"], "image": container["image"], "restartCount": restarts}
