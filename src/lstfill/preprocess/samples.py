"""Samples: the usable cells of a chunk as rows of features, target and cell index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from lstfill.split.balance import usable
from lstfill.split.blocks import Part

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.preprocess.thinning import Selection

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


def extract(chunk: Chunk, part: Part, missing: Missing = "drop", selection: Selection | None = None) -> Samples:
    """Takes the samples of a part out of a chunk, in C order.

    Args:
        chunk: the cells, with their part.
        part: which part of the split.
        missing: as in ``usable``; a missing feature stays NaN, so that statistics see only what was there.
        selection: which cells to keep where ``max_samples`` sets a limit; None keeps all.
    """
    positions = _positions(chunk, missing, part)
    samples = _samples(chunk, positions)
    return samples if selection is None else samples.take(np.flatnonzero(selection.keep(samples.cell)))


def extract_all(chunk: Chunk, missing: Missing = "drop") -> tuple[Samples, NDArray[np.int8]]:
    """Takes the samples of all parts out of a chunk in one go, in C order, and says the part of each ``(n,)``.

    Args:
        chunk: the cells, with their part.
        missing: as in ``extract``.
    """
    positions = _positions(chunk, missing, None)
    return _samples(chunk, positions), _parts(chunk).ravel()[positions]


def _positions(chunk: Chunk, missing: Missing, part: Part | None) -> NDArray[np.intp]:
    """Where the usable cells of a part, or of any part, stand in the chunk ``(n,)``."""
    parts = _parts(chunk)
    chosen = usable(chunk, missing) & (parts != Part.NONE if part is None else parts == part)
    return np.flatnonzero(chosen)


def _samples(chunk: Chunk, positions: NDArray[np.intp]) -> Samples:
    x = np.empty((len(positions), len(chunk.features)), np.float32)
    for column, values in enumerate(chunk.features.values()):
        x[:, column] = values.ravel()[positions]
    if not np.isfinite(x).all():
        x[~np.isfinite(x)] = np.nan
    target = chunk.target.ravel()[positions].astype(np.float32, copy=False)
    return Samples(x, target, _cells(chunk, positions))


def _cells(chunk: Chunk, positions: NDArray[np.intp]) -> NDArray[np.int64]:
    """Index in the whole cube; without an array of the indices of all cells, which would outweigh the chunk."""
    (_, rows, columns), (time, lat, lon) = chunk.window.shape, chunk.window.start
    row = positions // columns
    step = row // rows
    # In steps of whole rows and dates: the rest of the division need not be taken.
    between = (chunk.shape[2] - columns) * row + chunk.shape[2] * (chunk.shape[1] - rows) * step
    first = (time * chunk.shape[1] + lat) * chunk.shape[2] + lon
    cells: NDArray[np.int64] = positions + between + first
    return cells


def _parts(chunk: Chunk) -> NDArray[np.int8]:
    if chunk.part is None:
        raise ValueError("the chunk has no parts: draw a split first and give its parts to the chunk")
    return chunk.part
