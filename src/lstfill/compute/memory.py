"""The C library's heaps, which decide what a step of many threads holds on to."""

from __future__ import annotations

import ctypes
import sys

ARENAS = 2
"""Heaps that all threads of a process share."""

_M_ARENA_MAX = -8  # malloc.h of glibc


def bound_arenas() -> None:
    """Keeps the C library from giving every thread a heap of its own, which it never gives back.

    With them a step's peak grows with the number of chunks it has seen; with two it stays the same. Takes effect for
    threads that start later; without glibc it does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
