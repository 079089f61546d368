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
READING_BYTES = 64 * 2**20
"""Chunks of the source that are fetched and decoded at once, in bytes when decoded; one may be larger."""


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
        uses.subtract(parts)
        yield {part: (reading[part] if uses[part] else reading.pop(part)).result() for part in parts}


def readers(needs: Sequence[Sequence[Part]]) -> int:
    """Threads that may read at once, so that large chunks are fetched and decoded one by one."""
    largest = max(part.chunk_bytes for parts in needs for part in parts)
    return max(1, min(AHEAD, READING_BYTES // largest))


def _room(ahead: deque[Part]) -> bool:
    return len(ahead) < AHEAD and sum(part.nbytes for part in ahead) < AHEAD_BYTES
