"""The calls to Kubernetes that a step makes, and its refusals in words that say what to do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import kr8s
from kr8s.objects import Event, Pod, new_class

from lstfill.compute.kubernetes.manifest import API_VERSION
from lstfill.errors import LstfillError

_DASK = {
    kind: new_class(kind, API_VERSION, asyncio=False, namespaced=True) for kind in ("DaskCluster", "DaskAutoscaler")
}


@dataclass(frozen=True)
class Access:
    """The API of Kubernetes, as the step or the person at the laptop may use it.

    Attributes:
        api: the connection.
        namespace: where everything is read and made.
    """

    api: Any
    namespace: str

    @classmethod
    def open(cls, namespace: str | None) -> Access:
        """Connects as kubectl would: the service account of the pod, or the current context of the kubeconfig.

        Args:
            namespace: another one than that of the pod or the context, if any.

        Raises:
            LstfillError: if there are no credentials, or no answer.
        """
        try:
            with _explained("open a connection"):
                api = kr8s.api()
        except (ValueError, IndexError, KeyError) as error:
            raise LstfillError(
                f"no access to Kubernetes ({error}): run in a pod with a service account, set KUBECONFIG, "
                "or use another cluster.kind"
            ) from error
        return cls(api, namespace or api.namespace)

    def pod(self, name: str) -> dict[str, Any]:
        """A pod by its name.

        Raises:
            LstfillError: if there is none, or it may not be read.
        """
        with _explained(f"read pod {name}"):
            return _plain(Pod.get(name, namespace=self.namespace, api=self.api))

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Makes a resource of the Dask operator.

        Raises:
            LstfillError: if the operator is not installed, a right is missing or a quota is used up.
        """
        with _explained(f"create {manifest['kind']} {manifest['metadata']['name']}"):
            self._object(manifest).create()

    def delete(self, manifest: Mapping[str, Any]) -> None:
        """Removes a resource of the Dask operator and what it owns; one that is gone already is fine.

        What it owns goes first: the operator holds the resource itself until it has time, which can take a minute.

        Raises:
            LstfillError: if it is refused or there is no answer.
        """
        with (
            _explained(f"delete {manifest['kind']} {manifest['metadata']['name']}"),
            contextlib.suppress(kr8s.NotFoundError),
        ):
            self._object(manifest).delete(propagation_policy="Foreground")

    def status(self, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
        """The status of a resource of the Dask operator, empty at first; none once the resource is gone."""
        thing = self._object(manifest)
        with _explained(f"read {manifest['kind']} {manifest['metadata']['name']}"):
            try:
                thing.refresh()
            except kr8s.NotFoundError:
                return None
        return dict(_plain(thing).get("status") or {})

    def pods(self, cluster: str, component: str | None = None) -> list[dict[str, Any]]:
        """The pods of a Dask cluster: all, those of its ``scheduler``, or those of its workers (``worker``)."""
        selector = {"dask.org/cluster-name": cluster} | ({"dask.org/component": component} if component else {})
        with _explained("list pods"):
            found = self.api.get(Pod, namespace=self.namespace, label_selector=selector)
            return [_plain(pod) for pod in found]

    def refused_pods(self, cluster: str, component: str) -> list[str]:
        """Why pods of a Dask cluster could not even be made: a quota, a policy; empty if events may not be read."""
        part = f"{cluster}-scheduler" if component == "scheduler" else f"{cluster}-default-worker"
        with contextlib.suppress(kr8s.ServerError):
            found = self.api.get(Event, namespace=self.namespace, field_selector="reason=FailedCreate")
            events = [_plain(event) for event in found]
            return [event["message"] for event in events if event["involvedObject"].get("name", "").startswith(part)]
        return []

    def log_tail(self, pod: Mapping[str, Any], lines: int) -> list[str]:
        """The last lines that a pod's container wrote before it ended; empty if there are none to be read."""
        with contextlib.suppress(kr8s.ServerError, kr8s.NotFoundError, httpx.HTTPError):
            return list(Pod(dict(pod), api=self.api).logs(previous=True, tail_lines=lines))
        return []

    def _object(self, manifest: Mapping[str, Any]) -> Any:
        return _DASK[manifest["kind"]](dict(manifest), namespace=self.namespace, api=self.api)


def _plain(thing: Any) -> dict[str, Any]:
    made: dict[str, Any] = thing.raw.to_dict()
    return made


@contextlib.contextmanager
def refusals_explained(action: str) -> Iterator[None]:
    """Turns what Kubernetes refuses into an error that names the action, the reason and the remedy."""
    try:
        yield
    except kr8s.NotFoundError as error:
        raise LstfillError(f"could not {action}: {error}") from error
    except kr8s.ServerError as error:
        raise LstfillError(f"could not {action}: {_refusal(error)}") from error


@contextlib.contextmanager
def _explained(action: str) -> Iterator[None]:
    try:
        with refusals_explained(action):
            yield
    except (httpx.HTTPError, kr8s.APITimeoutError, OSError) as error:
        raise LstfillError(
            f"could not {action}: Kubernetes does not answer ({type(error).__name__}: {error}): "
            "check the kubeconfig, or the network policies of the step's pod"
        ) from error


def _refusal(error: kr8s.ServerError) -> str:
    status = error.response.status_code if error.response is not None else 0
    text = str(error)
    right = re.search(r'cannot (\w+) resource "([\w/]+)"', text)
    if status == 403 and "exceeded quota" in text:
        return f"{text}: ask for fewer or smaller workers (cluster.workers, cluster.memory), or for a larger quota"
    if status == 403 and right:
        return (
            f"its service account has no right to {right[1]} {right[2]} ({text}): "
            "bind the Role lstfill-dask-user of manifests/base/rbac to it"
        )
    if status == 404:
        return "Kubernetes does not know this resource: install the Dask operator, manifests/ has it"
    if status == 401:
        return f"Kubernetes does not accept the credentials ({text}): renew the kubeconfig or the service account"
    return f"Kubernetes refused with status {status}: {text}"
