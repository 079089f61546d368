"""SIGTERM as an exception: what is open is closed before the process ends.

Kubernetes ends a pod with SIGTERM and, half a minute later, SIGKILL. Python's default is to die at once, and with it
everything that a ``finally`` would have removed.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_STATUS = 128 + signal.SIGTERM
"""What a shell reports for a process that SIGTERM ended."""


@contextlib.contextmanager
def sigterm_raised() -> Iterator[None]:
    """Raises ``SystemExit`` at the first SIGTERM; later ones find the closing under way and change nothing.

    Outside of the main thread, where Python lets nobody handle signals, it does nothing; nor does it where the caller
    ignores SIGTERM or handles it by itself.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise_once(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(EXIT_STATUS)
