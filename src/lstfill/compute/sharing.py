"""The engine of a Dask client: a function goes to each worker once, a task names it and brings its item alone."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from distributed import Client, Future, Worker, WorkerPlugin, get_worker

from lstfill.compute.engine import Engine
from lstfill.compute.memory import bound_arenas

COUNTED_EVERY_S = 1.0
"""How long a number of workers is believed, in s."""


def engine_of(client: Client, workers: Callable[[], int] | None = None) -> Engine:
    """The engine of a Dask client.

    Args:
        client: connected to a scheduler.
        workers: how many threads there are at most; without it the scheduler is asked, so that a cluster that grows
            later is used from then on.
    """

    @contextlib.contextmanager
    def opened(function: Callable[[Any], Any]) -> Iterator[Callable[[Any], Future]]:
        name = f"lstfill-{uuid.uuid4().hex}"
        client.register_plugin(_Shared(function), name)
        try:
            # Functions are impure, as they write stores.
            yield lambda item: client.submit(_call, name, item, pure=False)
        finally:
            if client.status == "running":
                client.unregister_worker_plugin(name)

    return Engine(opened, workers or _counted(client))


class _Shared(WorkerPlugin):  # type: ignore[misc]  # distributed is not typed
    """What the tasks of a map have in common, on every worker, those that join later too."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - the signature of a plugin
        # Dask has its workers give back all memory at once, for which chunks of some MB pay with half of the time.
        bound_arenas()


def _call(name: str, item: Any) -> Any:
    return get_worker().plugins[name].function(item)


def _counted(client: Client) -> Callable[[], int]:
    """Counts threads, but asks the scheduler not for every item."""
    known, until = 1, 0.0

    def counted() -> int:
        nonlocal known, until
        if time.monotonic() > until:
            known, until = max(1, sum(client.nthreads().values())), time.monotonic() + COUNTED_EVERY_S
        return known

    return counted
