"""Which values a baseline may see while a set of cells is scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from lstfill.split.blocks import Part

if TYPE_CHECKING:
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


def as_seen_for(chunk: Chunk, scored: ScoredSet) -> Chunk:
    """The chunk as a model sees it while a set of cells is scored: of the test part nothing while that is scored."""
    return chunk.hiding(chunk.part == Part.TEST) if scored == "test" and chunk.part is not None else chunk


def scored_cells(chunk: Chunk, scored: ScoredSet) -> NDArray[np.bool_]:
    """Where a set of cells is scored if a model predicts it ``(time, lat, lon)``."""
    nowhere = np.zeros(chunk.target.shape, bool)
    if scored == "held_out_gaps":
        return nowhere if chunk.held_out is None else chunk.held_out & chunk.land[None]
    return nowhere if chunk.part is None else (chunk.part == Part.TEST) & chunk.visible()


def truth_of(chunk: Chunk, scored: ScoredSet) -> NDArray[np.floating]:
    """What predictions are scored against ``(time, lat, lon)`` in K."""
    return chunk.target if scored == "test" or chunk.truth is None else chunk.truth
