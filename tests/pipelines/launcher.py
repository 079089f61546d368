"""What Kubeflow's driver and launcher do with a compiled package, in small, against a real object store.

The driver resolves inputs and gives every output an address below the pipeline root. The launcher downloads every
input artifact whole, runs the command in the task's container, reads what it says of its outputs, and uploads them.
"""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from minio import Minio

from tests.pipelines.pods import Namespace, Pod

_PREFIXES = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}
_EMPTY_DIRS = {"/tmp"}  # noqa: S108  # the mounts that a pod here knows to make


class TaskFailedError(Exception):
    """A task that Kubeflow would show as failed, after all its attempts."""


@dataclass
class Ended:
    """A task that succeeded.

    Attributes:
        artifacts: its outputs as the next task gets them, by name.
        downloaded: bytes that the launcher fetched before the command.
        input_size: bytes of the executor input, which travels as one argument.
        log: all that its attempts said.
        attempts: how many there were.
    """

    artifacts: dict[str, dict[str, Any]]
    downloaded: int
    input_size: int
    log: str
    attempts: int


@dataclass
class Launcher:
    """Runs packages.

    Attributes:
        client: of the object store that holds the pipeline root.
        root: the pipeline root.
        namespace: Secrets and ConfigMaps that tasks refer to.
        scratch: directory for the pods' volumes.
        become: run containers as the package's user; where only root could, they stay who we are.
        shared: directories that all pods see.
        after_attempt: called with the task, the number of the attempt from 0 and its outputs' addresses; says
            whether the node failed under it.
    """

    client: Minio
    root: str
    namespace: Namespace
    scratch: Path
    become: bool
    shared: dict[str, Path] = field(default_factory=dict)
    after_attempt: Callable[[str, int, dict[str, str]], bool] = lambda *_: False

    def run(self, package: Path, arguments: dict[str, Any], only: tuple[str, ...] = ()) -> dict[str, Ended]:
        """Runs a package, or some of its first tasks, and gives what the tasks left, by name."""
        spec, platform = yaml.safe_load_all(package.read_text())
        run = f"{self.root}/{spec['pipelineInfo']['name']}/{uuid.uuid4()}"
        values = _given(spec, arguments)
        ended: dict[str, Ended] = {}
        for name in _in_order(spec["root"]["dag"]["tasks"]):
            if only and name not in only:
                continue
            ended[name] = self._task(spec, platform, name, values, ended, f"{run}/{name}/{uuid.uuid4()}")
        return ended

    def _task(self, spec, platform, name, values, ended, place) -> Ended:
        task = spec["root"]["dag"]["tasks"][name]
        component = spec["components"][task["componentRef"]["name"]]
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        kubernetes = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][component["executorLabel"]]
        given = _executor_input(task, component, values, ended, place)
        said, downloaded = "", 0
        for attempt in range(task.get("retryPolicy", {}).get("maxRetryCount", 0) + 1):
            pod = self._pod(kubernetes, name)
            downloaded = self._download(given, pod)
            done = pod.run(_command(container, given))
            said += done.stdout + done.stderr
            addresses = {key: of["artifacts"][0]["uri"] for key, of in given["outputs"]["artifacts"].items()}
            if not self.after_attempt(name, attempt, addresses) and done.returncode == 0:
                artifacts = self._publish(given, pod)
                shutil.rmtree(pod.scratch)
                return Ended(artifacts, downloaded, len(_go_json(given)), said, attempt + 1)
        raise TaskFailedError(f"{name} failed\n{said}")

    def _pod(self, kubernetes: dict, name: str) -> Pod:
        mounts = {mount["mountPath"] for mount in kubernetes.get("emptyDirMounts", [])}
        assert mounts == _EMPTY_DIRS, mounts
        scratch = self.scratch / f"{name}-{uuid.uuid4().hex[:8]}"
        who = kubernetes["securityContext"]
        assert who["runAsNonRoot"] is True
        user = (int(who["runAsUser"]), int(who["runAsGroup"])) if self.become else None
        return Pod(scratch, self.namespace.environment(kubernetes), user, self.shared)

    def _download(self, given: dict, pod: Pod) -> int:
        """Fetches every input artifact whole, one object after the other, whether it is read or not."""
        total = 0
        for inputs in given["inputs"]["artifacts"].values():
            for artifact in inputs["artifacts"]:
                bucket, key = _bucket_and_key(artifact["uri"])
                target = pod.local(_local(artifact["uri"]))
                for entry in self.client.list_objects(bucket, prefix=key, recursive=True):
                    file = target.parent / f"{target.name}{entry.object_name[len(key) :]}"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    self.client.fget_object(bucket, entry.object_name, str(file))
                    total += entry.size
        for outputs in given["outputs"]["artifacts"].values():
            pod.local(_local(outputs["artifacts"][0]["uri"])).parent.mkdir(parents=True, exist_ok=True)
        return total

    def _publish(self, given: dict, pod: Pod) -> dict[str, dict[str, Any]]:
        """Takes over what the executor says of its outputs, and uploads the files."""
        file = pod.local(given["outputs"]["outputFile"])
        said = json.loads(file.read_text(), parse_constant=_refuse_constant) if file.exists() else {}
        published = {}
        for name, outputs in given["outputs"]["artifacts"].items():
            artifact = dict(outputs["artifacts"][0])
            for stated in said.get("artifacts", {}).get(name, {}).get("artifacts", [])[:1]:
                artifact["uri"] = stated.get("uri") or artifact["uri"]
                artifact["metadata"] = {**artifact["metadata"], **stated.get("metadata", {})}
            _check_metadata(name, artifact["metadata"])
            self._upload(artifact["uri"], pod)
            # What the metadata store adds on the way to the next task.
            artifact["metadata"] |= {"display_name": name, "store_session_info": "{}"}
            published[name] = artifact
        return published

    def _upload(self, uri: str, pod: Pod) -> None:
        if not uri.startswith(f"{self.root}/"):
            raise TaskFailedError(f"URI {uri!r} does not have expected bucket prefix {self.root!r}")
        bucket, key = _bucket_and_key(uri)
        path = pod.local(_local(uri))
        for file in [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]:
            content = file.read_bytes()
            name = key if file == path else f"{key}/{file.relative_to(path)}"
            self.client.put_object(bucket, name, io.BytesIO(content), len(content))


def _given(spec: dict, arguments: dict[str, Any]) -> dict[str, Any]:
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert set(arguments) <= set(inputs), set(arguments) - set(inputs)
    return {name: arguments.get(name, of.get("defaultValue")) for name, of in inputs.items()}


def _in_order(tasks: dict[str, dict]) -> Iterator[str]:
    waiting = dict(tasks)
    while waiting:
        ready = sorted(name for name, task in waiting.items() if not set(task.get("dependentTasks", [])) & set(waiting))
        assert ready, f"a circle: {sorted(waiting)}"
        for name in ready:
            del waiting[name]
            yield name


def _executor_input(task: dict, component: dict, values: dict, ended: dict[str, Ended], place: str) -> dict[str, Any]:
    parameters = {key: _parameter(of, values) for key, of in task["inputs"].get("parameters", {}).items()}
    sources = {key: of["taskOutputArtifact"] for key, of in task["inputs"].get("artifacts", {}).items()}
    outputs = component.get("outputDefinitions", {}).get("artifacts", {})
    return {
        "inputs": {
            "parameterValues": parameters,
            "artifacts": {
                key: {"artifacts": [ended[of["producerTask"]].artifacts[of["outputArtifactKey"]]]}
                for key, of in sources.items()
            },
        },
        "outputs": {
            "artifacts": {key: {"artifacts": [_fresh(key, of, place)]} for key, of in outputs.items()},
            "outputFile": f"{_local(place)}/executor_output.json",
        },
    }


def _parameter(source: dict, values: dict[str, Any]) -> Any:
    if "componentInputParameter" in source:
        return values[source["componentInputParameter"]]
    return source["runtimeValue"]["constant"]


def _fresh(name: str, definition: dict, place: str) -> dict[str, Any]:
    return {"name": name, "uri": f"{place}/{name}", "type": definition["artifactType"], "metadata": {}}


def _command(container: dict, given: dict) -> list[str]:
    text = _go_json(given)
    return [part.replace("{{$}}", text) for part in (*container["command"], *container.get("args", []))]


def _go_json(value: Any) -> str:
    """JSON as the driver writes it: whole numbers without a point, keys sorted."""
    return json.dumps(_go(value), sort_keys=True, allow_nan=False)


def _go(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _go(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_go(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _local(uri: str) -> str:
    for prefix, path in _PREFIXES.items():
        if uri.startswith(prefix):
            return path + uri[len(prefix) :]
    raise TaskFailedError(f"{uri}: unknown scheme")


def _bucket_and_key(uri: str) -> tuple[str, str]:
    found = re.fullmatch(r"\w+://([^/]+)/(.+)", uri)
    assert found, uri
    return found[1], found[2]


def _refuse_constant(text: str) -> Any:
    raise TaskFailedError(f"executor output holds {text}, which the launcher cannot read")


def _check_metadata(name: str, value: Any) -> None:
    """The launcher knows texts, finite numbers, booleans, lists and mappings; all else fails the task."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_metadata(name, item)
    elif not isinstance(value, str | bool | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise TaskFailedError(f"metadata of {name}: unknown or unsupported value {value!r}")
