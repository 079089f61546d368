"""Opens a Dask cluster on Kubernetes for a step, and removes it in every ending."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from typing import Any

from dask_kubernetes.operator import KubeCluster
from distributed import Client
from distributed.scheduler import KilledWorker

from lstfill.compute.kubernetes import manifest, template
from lstfill.compute.kubernetes.access import Access, refusals_explained
from lstfill.compute.kubernetes.template import Template
from lstfill.compute.kubernetes.waiting import Waiting
from lstfill.compute.termination import sigterm_raised
from lstfill.config import Cluster
from lstfill.errors import ConfigError, LstfillError

logger = logging.getLogger(__name__)

REMOVAL_TIMEOUT_S = 20
"""How long to wait until the pods of a cluster are gone; Kubernetes gives the step itself 30 s when it ends it."""


@contextlib.contextmanager
def opened(config: Cluster) -> Iterator[Client]:
    """Makes scheduler and workers, lends out a client of them, and removes them.

    They are removed after the work, after a failure, and when SIGTERM ends the step. When nothing is left to do it, the
    operator removes them after ``idle_timeout_s``, or Kubernetes with the step's pod.

    Args:
        config: of kind ``kubernetes``.

    Raises:
        ConfigError: if there is no pod to take the image from.
        LstfillError: if the pods do not start, with the reason; or when workers are lost for good.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would report each look at a pod
    _named_user()
    access = Access.open(config.namespace or template.own_namespace())
    made_like = _template(config, access)
    wanted = manifest.dask_cluster(config, made_like, access.namespace)
    with sigterm_raised(), contextlib.ExitStack() as stack:
        stack.callback(_remove, access, wanted)
        access.create(wanted)
        waiting = Waiting(access, wanted, config.start_timeout_s)
        client = _join(stack, waiting, access.namespace, made_like.name)
        waiting.for_worker(client.submit(os.getpid, pure=False).done)
        if config.maximum is not None:
            access.create(manifest.dask_autoscaler(config, made_like, access.namespace))
        logger.info("Dask cluster %s in namespace %s", made_like.name, access.namespace)
        with _losses_explained(made_like.name):
            yield client


def _named_user() -> None:
    """Dask asks for the user's name; a uid without an entry in passwd, as in a pod, has none."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = "lstfill"


def _template(config: Cluster, access: Access) -> Template:
    name, home = template.own_pod_name(), template.own_namespace()
    if name is not None and home is not None:
        # The pod stands in its own namespace, wherever the workers go.
        own = Access(access.api, home).pod(name)
        return template.like(own, config.image, owned=home == access.namespace)
    if config.image is None:
        raise ConfigError(
            "cluster.kind 'kubernetes' with cluster.image None outside of a pod: give the image of scheduler and "
            "workers, with the version of lstfill and Dask that runs here"
        )
    return template.without_pod(config.image)


class _Joined(KubeCluster):  # type: ignore[misc]
    """A cluster that stands already; joining it ends in time, also where no answer comes."""

    async def _start(self) -> None:
        await asyncio.wait_for(super()._start(), self._resource_timeout)


def _join(stack: contextlib.ExitStack, waiting: Waiting, namespace: str, name: str) -> Client:
    waiting.for_scheduler()
    try:
        with refusals_explained(f"join Dask cluster {name}"):
            joined = _Joined.from_name(
                name,
                namespace=namespace,
                quiet=True,
                resource_timeout=waiting.left_s(),
                # Names of services lead somewhere only from inside.
                port_forward_cluster_ip=template.own_pod_name() is None,
            )
        stack.callback(joined.close)
        return stack.enter_context(Client(joined, timeout=waiting.left_s(), set_as_default=False))
    except (OSError, TimeoutError) as error:
        raise LstfillError(
            f"the scheduler of the Dask cluster {name} runs, but does not answer ({type(error).__name__}): "
            "check the network policies of the namespace; from a laptop, the right to forward ports of pods"
        ) from error


def _remove(access: Access, wanted: Mapping[str, Any]) -> None:
    name, started = wanted["metadata"]["name"], time.monotonic()
    try:
        access.delete(wanted)
        while left := access.pods(name):
            if time.monotonic() - started > REMOVAL_TIMEOUT_S:
                logger.warning(
                    "Dask cluster %s: %d pods are still ending after %d s", name, len(left), REMOVAL_TIMEOUT_S
                )
                return
            time.sleep(0.2)
    except LstfillError as error:
        # The work is done or has failed already; the operator removes what is idle.
        logger.warning("Dask cluster %s was not removed, which its idle timeout will do: %s", name, error)


@contextlib.contextmanager
def _losses_explained(name: str) -> Iterator[None]:
    try:
        yield
    except KilledWorker as error:
        raise LstfillError(
            f"workers of the Dask cluster {name} were lost again and again on the same chunk ({error}): "
            "give them more memory (cluster.memory), or fewer threads (cluster.threads_per_worker)"
        ) from error
    except CancelledError as error:
        raise LstfillError(
            f"the scheduler of the Dask cluster {name} was lost ({error}): the step can be run again; "
            "if it happens again give it more memory (cluster.scheduler_memory)"
        ) from error
