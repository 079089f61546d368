"""The C library's heaps, which decide what a step of many threads holds on to, and what memory costs it."""

from __future__ import annotations

import ctypes
import sys

ARENAS = 2
"""Heaps that all threads of a process share."""

LARGEST_IN_HEAP = 32 * 2**20
"""Bytes from which on an array gets pages of its own, which the kernel clears each time; no more is allowed."""

KEPT_FREE = 64 * 2**20
"""Bytes that stay with a heap after they were freed."""

# malloc.h of glibc
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def bound_arenas() -> None:
    """Keeps the C library from giving every thread a heap of its own, and from giving back what the next chunk needs.

    With heaps of their own, which are never given back, a step's peak grows with the number of chunks it has seen; with
    two it stays the same. And memory that goes back to the kernel after every array comes back cleared, page by page,
    which costs more than the work on it, most of all where Dask asks for it (MALLOC_TRIM_THRESHOLD_). Takes effect for
    threads that start later; without glibc it does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_ARENA_MAX, ARENAS)
    mallopt(_M_MMAP_THRESHOLD, LARGEST_IN_HEAP)
    mallopt(_M_TRIM_THRESHOLD, KEPT_FREE)
