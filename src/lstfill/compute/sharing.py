"""The engine of a Dask client: a function goes to each worker once, a task names it and brings its items alone."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from distributed import Client, Future, Worker, WorkerPlugin, get_worker

from lstfill.compute.engine import Engine, each
from lstfill.compute.memory import bound_arenas

COUNTED_EVERY_S = 1.0
"""How long a number of workers is believed, in s."""

TASK_S = 0.2
"""How long a task should take, in s: client and scheduler spend 6 ms on each, on a core that a worker could use."""

MOST_ITEMS = 16
"""Items a task at most, so that workers end at about the same time, and results are few."""


def engine_of(client: Client, workers: Callable[[], int] | None = None) -> Engine:
    """The engine of a Dask client.

    Args:
        client: connected to a scheduler.
        workers: how many threads there are at most; without it the scheduler is asked, so that a cluster that grows
            later is used from then on.
    """
    pace = _Pace()

    @contextlib.contextmanager
    def opened(function: Callable[[Any], Any]) -> Iterator[Callable[[Sequence[Any]], _Task]]:
        name = f"lstfill-{uuid.uuid4().hex}"
        client.register_plugin(_Shared(function), name)
        pace.items = 1
        try:
            # Functions are impure, as they write stores.
            yield lambda task: _Task(client.submit(_call, name, task, pure=False), pace)
        finally:
            if client.status == "running":
                client.unregister_worker_plugin(name)

    return Engine(opened, workers or _counted(client), lambda: pace.items)


class _Pace:
    """How many items make a task that is worth its scheduling, from the time that others took."""

    items = 1

    def note(self, items: int, seconds: float) -> None:
        """Takes in how long a task took."""
        self.items = max(1, min(MOST_ITEMS, int(TASK_S * items / max(seconds, 1e-6))))


class _Task:
    """A task at the scheduler, which notes how long it took."""

    def __init__(self, future: Future, pace: _Pace) -> None:
        self._future = future
        self._pace = pace

    def result(self) -> list[Any]:
        results, seconds = self._future.result()
        self._pace.note(len(results), seconds)
        return list(results)

    def cancel(self) -> None:
        self._future.cancel()


class _Shared(WorkerPlugin):  # type: ignore[misc]  # distributed is not typed
    """What the tasks of a map have in common, on every worker, those that join later too."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - the signature of a plugin
        # Dask has its workers give back all memory at once, for which chunks of some MB pay with half of the time.
        bound_arenas()


def _call(name: str, task: Sequence[Any]) -> tuple[list[Any], float]:
    """Works on the items of a task; gives their results and the seconds it took."""
    start = time.monotonic()
    return each(get_worker().plugins[name].function, task), time.monotonic() - start


def _counted(client: Client) -> Callable[[], int]:
    """Counts threads, but asks the scheduler not for every item."""
    known, until = 1, 0.0

    def counted() -> int:
        nonlocal known, until
        if time.monotonic() > until:
            known, until = max(1, sum(client.nthreads().values())), time.monotonic() + COUNTED_EVERY_S
        return known

    return counted
