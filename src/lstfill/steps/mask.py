"""Mask: which cells of the grid the target has a meaning in, found once and stored."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lstfill import mask as masks
from lstfill.artifacts import Pointer
from lstfill.config import Mask
from lstfill.cube import Window
from lstfill.errors import DataError
from lstfill.steps.provenance import describe, pointer_to, refuse_own_input
from lstfill.steps.reader import Grid, Reader, require
from lstfill.storage import stores

logger = logging.getLogger(__name__)


def run(mask: Mask, *, cube: str, output: str) -> Pointer:
    """Writes the mask ``land`` ``(lat, lon)``.

    Args:
        mask: land of the globe, a variable of the cube, or every cell; minus what is excluded.
        cube: address of the work cube.
        output: address of the mask.

    Raises:
        StoreError: if the work cube is missing or not whole, or the output cannot be written.
        DataError: if a variable is not in the cube, or no cell is left.
    """
    import xarray as xr

    refuse_own_input(output, cube)
    grid = Reader.open(cube).grid
    land = _land(mask, cube, grid)
    excluded = [_ever(cube, name, grid) for name in mask.exclude]
    land = masks.exclude(land, *excluded)
    if not land.any():
        raise DataError(cube, [f"mask.kind {mask.kind!r} leaves none of {land.size} cells: check mask and box"])
    logger.info("%d of %d cells are land", np.count_nonzero(land), land.size)
    facts = {"digest": masks.digest(land), "land_cells": int(np.count_nonzero(land)), "cells": int(land.size)}
    facts |= {"grid": stores.provenance(cube)["facts"]["grid"]}
    attrs = {"long_name": "cells that are filled and scored", "flag_values": [0, 1], "flag_meanings": "off on"}
    coords = {"lat": grid.lat, "lon": grid.lon}
    template = xr.Dataset({"land": (("lat", "lon"), land, attrs)}, coords)
    stores.create(output, template, chunks={"land": grid.chunks[1:]}, zarr_format=3)
    stores.write_static(output, "land", land)
    provenance = describe("mask", section=mask, inputs={"cube": cube}, facts=facts)
    stores.commit(output, provenance)
    return pointer_to(output, provenance)


def _land(mask: Mask, cube: str, grid: Grid) -> NDArray[np.bool_]:
    if mask.kind == "globe":
        return masks.land(grid.lat, grid.lon)
    if mask.variable:
        return _ever(cube, mask.variable, grid)
    return np.ones(grid.shape[1:], bool)


def _ever(cube: str, name: str, grid: Grid) -> NDArray[np.bool_]:
    """Where a variable of the cube is set, on any date if it has dates; read a few dates at a time."""
    require(cube, [name], "to make the mask from")
    found = np.zeros(grid.shape[1:], bool)
    for window in _dates(grid):
        found |= masks.from_variable(stores.read(cube, window, [name])[name])
    return found


def _dates(grid: Grid) -> Iterator[Window]:
    step = grid.chunks[0]
    for start in range(0, grid.shape[0], step):
        yield Window((start, 0, 0), (min(start + step, grid.shape[0]), *grid.shape[1:]))
