"""Waits for the pods of a cluster, and ends with the reason when they do not come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from lstfill.compute.kubernetes import diagnosis
from lstfill.compute.kubernetes.access import Access
from lstfill.errors import LstfillError

POLL_S = 0.5
OPERATOR_TIMEOUT_S = 60
"""How long the operator may take to notice a cluster."""

GRACE_S = 30
"""How long a trouble may last before it counts: a registry hiccups, a secret arrives a moment later."""

_LOG_LINES = 5


class Waiting:
    """One wait, with one deadline, for the scheduler and then for a worker."""

    def __init__(self, access: Access, manifest: Mapping[str, Any], timeout_s: float) -> None:
        self._access = access
        self._manifest = manifest
        self._name: str = manifest["metadata"]["name"]
        self._timeout_s = timeout_s
        self._started = time.monotonic()
        self._troubled_since: float | None = None

    def left_s(self) -> float:
        """Seconds until the deadline, never below 1."""
        return max(1.0, self._started + self._timeout_s - time.monotonic())

    def for_scheduler(self) -> None:
        """Returns when the scheduler passes its probe.

        Raises:
            LstfillError: if the operator does not act, or the pod does not start, with what the pod says.
        """
        self._until(self._scheduler_is_ready, "scheduler")

    def for_worker(self, there: Callable[[], bool]) -> None:
        """Returns when ``there`` says that a first worker is at work.

        Raises:
            LstfillError: if no worker starts, with what their pods say.
        """
        self._until(there, "worker")

    def _scheduler_is_ready(self) -> bool:
        self._refuse_absent_operator()
        return any(diagnosis.is_ready(pod) for pod in self._access.pods(self._name, "scheduler"))

    def _refuse_absent_operator(self) -> None:
        status = self._access.status(self._manifest)
        if status is None:
            raise LstfillError(f"the Dask cluster {self._name} was removed while it started: run the step again")
        if status.get("phase") == "Error":
            raise LstfillError(f"the Dask operator refused the cluster {self._name}: its log says why")
        if not status.get("phase") and time.monotonic() - self._started > OPERATOR_TIMEOUT_S:
            raise LstfillError(
                f"the Dask operator did not notice the cluster {self._name} within {OPERATOR_TIMEOUT_S} s: "
                f"check that it runs, and that it watches namespace {self._access.namespace}"
            )

    def _until(self, done: Callable[[], bool], component: str) -> None:
        self._troubled_since = None
        while not done():
            pods = self._access.pods(self._name, component)
            self._refuse_lasting_trouble(self._trouble(pods, component))
            if time.monotonic() - self._started > self._timeout_s:
                raise LstfillError(self._too_late(pods, component))
            time.sleep(POLL_S)

    def _too_late(self, pods: list[dict[str, Any]], component: str) -> str:
        fact = f"no {component} of the Dask cluster {self._name} was ready within {self._timeout_s:g} s"
        if not pods:
            return f"{fact}, and no pod was made for it: the log of the Dask operator says why"
        said = "; ".join(map(diagnosis.said_by, pods))
        return f"{fact} ({said}): ask for less (cluster.cpu, cluster.memory), or wait longer (cluster.start_timeout_s)"

    def _trouble(self, pods: list[dict[str, Any]], component: str) -> str | None:
        if not pods:
            refused = self._access.refused_pods(self._name, component)
            hint = "ask for fewer or smaller workers, or for a larger quota"
            return f"Kubernetes makes no {component} pod ({refused[-1]}): {hint}" if refused else None
        found = [(pod, told) for pod in pods if (told := diagnosis.trouble(pod))]
        if len(found) < len(pods):
            return None
        pod, told = found[0]
        tail = self._access.log_tail(pod, _LOG_LINES) if diagnosis.is_crashing(pod) else []
        return "\n  ".join([told, *tail])

    def _refuse_lasting_trouble(self, told: str | None) -> None:
        now = time.monotonic()
        self._troubled_since = (self._troubled_since or now) if told else None
        if self._troubled_since is not None and now - self._troubled_since >= GRACE_S:
            raise LstfillError(f"the Dask cluster {self._name} does not start: {told}")
