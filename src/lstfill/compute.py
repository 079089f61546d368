"""The one door to parallel work: threads of the step, processes of this machine, or a Dask cluster.

Science never knows which. A function is mapped over items, results come back in the items' order, and only a few items
are in flight at a time, so that memory is bounded by chunks and not by the cube.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lstfill.config import Cluster
from lstfill.errors import LstfillError

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT_PER_WORKER = 2
"""One item at work and one waiting: a worker never idles, and never holds more than that."""

CONNECT_TIMEOUT_S = 20

_M_ARENA_MAX = -8  # malloc.h of glibc
_ARENAS = 2


class _Submitted(Protocol):
    def result(self) -> Any: ...
    def cancel(self) -> Any: ...


class Engine:
    """Maps functions over items with a bounded number in flight."""

    def __init__(self, submit: Callable[..., _Submitted], workers: Callable[[], int]) -> None:
        self._submit = submit
        self._workers = workers

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields ``function(item)`` in the order of the items.

        Args:
            function: picklable for kinds other than threads; its arguments should be addresses and windows, not data.
            items: what to work on; taken lazily.

        Raises:
            Exception: the first failure of ``function``, as it was raised; what is still waiting is cancelled.
        """
        waiting: deque[_Submitted] = deque()
        try:
            for item in items:
                waiting.append(self._submit(function, item))
                if len(waiting) >= IN_FLIGHT_PER_WORKER * self._workers():
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def bound_arenas() -> None:
    """Keeps the C library from giving every thread a heap of its own, which it never gives back.

    With them a step's peak grows with the number of chunks it has seen; with two it stays the same. Takes effect for
    threads that start later; without glibc it does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


@contextlib.contextmanager
def cluster(config: Cluster) -> Iterator[Engine]:
    """Opens the workers of a configuration and closes them in every ending.

    Args:
        config: kind, number of workers, memory, address.

    Raises:
        LstfillError: if a scheduler does not answer.
    """
    bound_arenas()
    opened = {"threads": _threads, "local": _local, "scheduler": _scheduler}[config.kind]
    with opened(config) as engine:
        yield engine


@contextlib.contextmanager
def _threads(config: Cluster) -> Iterator[Engine]:
    pool = ThreadPoolExecutor(config.workers, thread_name_prefix="lstfill")
    try:
        yield Engine(pool.submit, lambda: config.workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _local(config: Cluster) -> Iterator[Engine]:
    from distributed import Client, LocalCluster

    processes = LocalCluster(
        n_workers=config.workers,
        threads_per_worker=config.threads_per_worker,
        memory_limit=config.memory_limit or "auto",
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # None is the default port, for which two runs would contend
        silence_logs=logging.ERROR,
    )
    with processes, Client(processes) as client:
        yield _of_client(client)


@contextlib.contextmanager
def _scheduler(config: Cluster) -> Iterator[Engine]:
    from distributed import Client

    try:
        client = Client(config.address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise LstfillError(
            f"no Dask scheduler answers at {config.address} within {CONNECT_TIMEOUT_S} s ({type(error).__name__}): "
            "check cluster.address, or use cluster.kind 'threads'"
        ) from error
    with client:
        yield _of_client(client)


def _of_client(client: Client) -> Engine:
    """The engine of a Dask client; functions are impure, as they write stores."""

    def submit(function: Callable[[Any], Any], item: Any) -> _Submitted:
        future: _Submitted = client.submit(function, item, pure=False)
        return future

    def workers() -> int:
        # A cluster that scales up later is used from then on.
        threads: dict[str, int] = client.nthreads()
        return max(1, sum(threads.values()))

    return Engine(submit, workers)
