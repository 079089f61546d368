"""Maps functions over items, in order, with only a few in flight: memory is bounded by chunks and not by the cube."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT_PER_WORKER = 2
"""One item at work and one waiting: a worker never idles, and never holds more than that."""


class _Submitted(Protocol):
    def result(self) -> Any: ...
    def cancel(self) -> Any: ...


Opened = Callable[[Callable[[Any], Any]], AbstractContextManager[Callable[[Any], _Submitted]]]


class Engine:
    """Maps functions over items with a bounded number in flight."""

    def __init__(self, opened: Opened, workers: Callable[[], int]) -> None:
        """Keeps what it is given.

        Args:
            opened: takes a function to the workers, once for all items; gives what submits an item to it.
            workers: how many items are worked on at a time.
        """
        self._opened = opened
        self._workers = workers

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields ``function(item)`` in the order of the items.

        Args:
            function: picklable for kinds other than threads; it goes to each worker once, items one by one.
            items: what to work on; taken lazily.

        Raises:
            Exception: the first failure of ``function``, as it was raised; what is still waiting is cancelled.
        """
        waiting: deque[_Submitted] = deque()
        with self._opened(function) as submit:
            try:
                for item in items:
                    waiting.append(submit(item))
                    if len(waiting) >= IN_FLIGHT_PER_WORKER * self._workers():
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
