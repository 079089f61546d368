"""Samples: the usable cells of a chunk as rows of features, target and cell index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from lstfill.split.balance import usable

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.preprocess.thinning import Selection
    from lstfill.split.blocks import Part

Missing = Literal["drop", "mean", "constant"]


@dataclass(frozen=True)
class Samples:
    """Rows to learn from.

    Attributes:
        x: features ``(n, f)``, float32 in their stored units, NaN where one is missing and to be imputed.
        y: target ``(n,)``, float32 in K.
        cell: C-order index of the cell in the whole cube ``(n,)``, int64.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    cell: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cell)

    def take(self, rows: NDArray[np.intp] | slice) -> Samples:
        """The given rows, in the given order."""
        return Samples(self.x[rows], self.y[rows], self.cell[rows])


def usable_cells(chunk: Chunk, part: Part, missing: Missing = "drop") -> NDArray[np.int64]:
    """Index in the whole cube of the usable cells of a part ``(n,)``, in C order.

    Args:
        chunk: the cells, with their part.
        part: which part of the split.
        missing: as in ``usable``.
    """
    cells: NDArray[np.int64] = chunk.window.cell_index(chunk.shape)[_chosen(chunk, part, missing)]
    return cells


def extract(chunk: Chunk, part: Part, missing: Missing = "drop", selection: Selection | None = None) -> Samples:
    """Takes the samples of a part out of a chunk, in C order.

    Args:
        chunk: the cells, with their part.
        part: which part of the split.
        missing: as in ``usable``; a missing feature stays NaN, so that statistics see only what was there.
        selection: which cells to keep where ``max_samples`` sets a limit; None keeps all.
    """
    chosen = _chosen(chunk, part, missing)
    cell = chunk.window.cell_index(chunk.shape)[chosen]
    if selection is not None:
        kept = selection.keep(cell)
        chosen[chosen] = kept
        cell = cell[kept]
    x = np.empty((len(cell), len(chunk.features)), np.float32)
    for column, values in enumerate(chunk.features.values()):
        x[:, column] = values[chosen]
    return Samples(np.where(np.isfinite(x), x, np.float32(np.nan)), chunk.target[chosen].astype(np.float32), cell)


def _chosen(chunk: Chunk, part: Part, missing: Missing) -> NDArray[np.bool_]:
    if chunk.part is None:
        raise ValueError("the chunk has no parts: draw a split first and give its parts to the chunk")
    chosen: NDArray[np.bool_] = usable(chunk, missing) & (chunk.part == part)
    return chosen
