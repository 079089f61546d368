"""Maps functions over items, in order, with only a few in flight: memory is bounded by chunks and not by the cube."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT_PER_WORKER = 2
"""One task at work and one waiting: a worker never idles, and never holds more than that."""


class _Submitted(Protocol):
    def result(self) -> Any: ...
    def cancel(self) -> Any: ...


Opened = Callable[[Callable[[Any], Any]], AbstractContextManager[Callable[[Sequence[Any]], _Submitted]]]


class Engine:
    """Maps functions over items with a bounded number in flight."""

    def __init__(self, opened: Opened, workers: Callable[[], int], items_a_task: Callable[[], int] = lambda: 1) -> None:
        """Keeps what it is given.

        Args:
            opened: takes a function to the workers, once for all items; gives what submits a task of a few items to
                it, whose results are in their order.
            workers: how many tasks are worked on at a time.
            items_a_task: how many items the next task should have.
        """
        self._opened = opened
        self._workers = workers
        self._items_a_task = items_a_task

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
        """Yields ``function(item)`` in the order of the items.

        Args:
            function: picklable for kinds other than threads; it goes to each worker once, items one by one.
            items: what to work on; taken lazily.

        Raises:
            Exception: the first failure of ``function``, as it was raised; what is still waiting is cancelled.
        """
        waiting: deque[_Submitted] = deque()
        left = iter(items)
        with self._opened(function) as submit:
            try:
                while task := list(itertools.islice(left, self._items_a_task())):
                    waiting.append(submit(task))
                    if len(waiting) >= IN_FLIGHT_PER_WORKER * self._workers():
                        yield from waiting.popleft().result()
                while waiting:
                    yield from waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def each(function: Callable[[Any], Any], task: Sequence[Any]) -> list[Any]:
    """What a worker does with the items of a task."""
    return [function(item) for item in task]
