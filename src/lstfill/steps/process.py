"""How a process is set that runs a step, or a pipeline, and ends."""

from __future__ import annotations

import atexit
import gc

from lstfill import compute

_YOUNG, _MIDDLE, _OLD = 700, 10, 1000


def settle() -> None:
    """Bounds the heaps of this process, and spares it the search for garbage among what it holds until its end.

    Modules are most of what it holds: objects by the hundred thousand, of which none is garbage. Python would walk
    through them over and over while they are loaded, and again when it ends, seconds for a step with Keras. Young
    objects are looked at as ever, so the arrays of a chunk do not wait.
    """
    compute.bound_arenas()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
