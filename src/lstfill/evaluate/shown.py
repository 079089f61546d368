"""What the maps of one date show of a window: values, their sources, and errors beside uncertainties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.flags import SourceFlag
from lstfill.evaluate.visible import ScoredSet, scored_cells, truth_of
from lstfill.model.calibration import LEVELS, STANDARD

if TYPE_CHECKING:
    from lstfill.cube.chunk import Chunk
    from lstfill.evaluate.estimates import Estimate
    from lstfill.evaluate.land import LandCells

_STANDARD_AT = LEVELS.index(STANDARD)


def planes(
    chunk: Chunk, land: LandCells, main: Mapping[ScoredSet, Estimate], flag: NDArray[np.uint8], step: int
) -> dict[str, NDArray[Any]]:
    """Maps ``(lat, lon)`` of one date of a window, by name.

    ``target``, ``land``, ``part``, ``held_out`` and ``feature``, the first one, are as in the chunk, where it has them.
    ``filled`` and its ``uncertainty`` are what the filled cube will hold; ``error``, predicted minus observed, and
    ``error_uncertainty`` stand where a value was hidden or belongs to the test part.

    Args:
        chunk: the window.
        land: its land cells side by side.
        main: what the model that fills says, by scored set; with held-out gaps hidden it has seen most.
        flag: ``SourceFlag`` of the land cells ``(time, n, 1)``.
        step: position of the date in the window.
    """
    fills = list(main.values())[-1]
    target = chunk.target[step]
    value = _plane(land, fills.value[step], np.nan)
    filled = np.where(np.isfinite(target), target, value)
    off_land = np.where(np.isfinite(target), SourceFlag.OBSERVED, SourceFlag.NOT_FILLABLE)
    shown = _given(chunk, step) | {
        "filled": filled.astype(np.float32),
        "flag": np.where(chunk.land, _plane(land, flag[step], 0), off_land).astype(np.uint8),
        "uncertainty": _uncertainty(fills, step, np.isfinite(filled) & ~np.isfinite(target)),
        "error": np.full(target.shape, np.nan, np.float32),
        "error_uncertainty": np.full(target.shape, np.nan, np.float32),
    }
    for name, estimate in main.items():
        error = _plane(land, estimate.value[step], np.nan) - truth_of(chunk, name)[step]
        scored = scored_cells(chunk, name)[step] & np.isfinite(error)
        shown["error"][scored] = error[scored]
        shown["error_uncertainty"][scored] = _uncertainty(estimate, step, scored)[scored]
    return shown


def _given(chunk: Chunk, step: int) -> dict[str, NDArray[Any]]:
    dated = {"target": chunk.target, "part": chunk.part, "held_out": chunk.held_out}
    dated["feature"] = next(iter(chunk.features.values()), None)
    return {"land": chunk.land, **{name: values[step] for name, values in dated.items() if values is not None}}


def _plane(land: LandCells, values: NDArray[Any], elsewhere: float) -> NDArray[Any]:
    """Values of the land cells ``(n, 1)`` where they belong."""
    plane = np.full(land.grid, elsewhere, values.dtype)
    plane[land.rows, land.columns] = values[:, 0]
    return plane


def _uncertainty(estimate: Estimate, step: int, cells: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Standard uncertainty at some cells of a date, NaN elsewhere."""
    plane = np.full(cells.shape, np.nan, np.float32)
    at = np.flatnonzero(cells)
    if estimate.half_widths is not None and at.size:
        plane.flat[at] = estimate.half_widths(at + step * cells.size)[_STANDARD_AT]
    return plane
