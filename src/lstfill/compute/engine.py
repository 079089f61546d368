"""Maps functions over items, in order, with only a few in flight: memory is bounded by chunks and not by the cube."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT_PER_WORKER = 2
"""One item at work and one waiting: a worker never idles, and never holds more than that."""


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


def engine_of(client: Client, workers: Callable[[], int] | None = None) -> Engine:
    """The engine of a Dask client.

    Args:
        client: connected to a scheduler.
        workers: how many threads there are at most; without it the scheduler is asked, so that a cluster that grows
            later is used from then on.
    """

    def submit(function: Callable[[Any], Any], item: Any) -> _Submitted:
        # Functions are impure, as they write stores.
        future: _Submitted = client.submit(function, item, pure=False)
        return future

    def counted() -> int:
        threads: dict[str, int] = client.nthreads()
        return max(1, sum(threads.values()))

    return Engine(submit, workers or counted)
