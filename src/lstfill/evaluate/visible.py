"""Which values a baseline may see while a set of cells is scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lstfill.split.blocks import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lstfill.cube.chunk import Chunk

ScoredSet = Literal["test", "held_out_gaps"]
SCORED_SETS: tuple[ScoredSet, ...] = ("test", "held_out_gaps")


def sets_of(held_out: bool) -> tuple[ScoredSet, ...]:
    """The sets that are scored, with values held out or without."""
    return SCORED_SETS if held_out else SCORED_SETS[:1]


def visible_for(chunk: Chunk, scored: ScoredSet) -> NDArray[np.bool_]:
    """Where a baseline may see the target while a set of cells is scored ``(time, lat, lon)``.

    Held-out values are never seen. Test cells are seen while held-out gaps are scored, as by a user who fills the
    finished cube, and hidden while they are scored themselves.
    """
    visible = chunk.visible()
    if scored == "test" and chunk.part is not None:
        visible &= chunk.part != Part.TEST
    return visible
