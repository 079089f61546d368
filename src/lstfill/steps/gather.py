"""Reads the parts that windows are made of ahead of them, each once, with a bound on what is held."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import TypeVar

from lstfill.cube.parts import Part

Read = TypeVar("Read")

AHEAD = 4
"""Parts that are read before their window is due: what hides the time that a distant store takes to answer."""
AHEAD_BYTES = 32 * 2**20
"""No further part is read ahead once these are held, in bytes."""


def gather(needs: Sequence[Sequence[Part]], read: Callable[[Part], Read], pool: Executor) -> Iterator[dict[Part, Read]]:
    """Yields what each window needs, in order.

    Each part is read once, for the first window that needs it, and dropped after the last. Held at once are the parts
    of one window, those of earlier windows that a later one needs, and at most ``AHEAD`` parts of windows to come; the
    last of these may pass ``AHEAD_BYTES``.

    Args:
        needs: the parts of each window.
        read: reads one of them, in a thread.
        pool: where it is read.
    """
    uses = Counter(part for parts in needs for part in parts)
    first = {part: number for number, parts in reversed(list(enumerate(needs))) for part in parts}
    waiting = deque(sorted(first, key=first.__getitem__))
    ahead: deque[Part] = deque()
    reading: dict[Part, Future[Read]] = {}
    for number, parts in enumerate(needs):
        while ahead and first[ahead[0]] <= number:
            ahead.popleft()
        while waiting and (first[waiting[0]] <= number or _room(ahead)):
            part = waiting.popleft()
            reading[part] = pool.submit(read, part)
            if first[part] > number:
                ahead.append(part)
        yield {part: reading[part].result() for part in parts}
        uses.subtract(parts)
        for part in parts:
            if not uses[part]:
                del reading[part]


def _room(ahead: deque[Part]) -> bool:
    return len(ahead) < AHEAD and sum(part.nbytes for part in ahead) < AHEAD_BYTES
