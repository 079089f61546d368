"""Writes the synthetic cube that the demo fills, as a store of the Earth System Data Cube looks."""

from __future__ import annotations

from lstfill.artifacts import Pointer
from lstfill.steps.provenance import describe, pointer_to
from lstfill.storage import stores

SHAPE = (24, 180, 360)
CHUNKS = (12, 90, 90)


def run(*, output: str, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> Pointer:
    """Writes a synthetic cube in Zarr format 2.

    Args:
        output: address of the cube.
        shape: cells along time, lat and lon.
        seed: of everything that is drawn.

    Raises:
        StoreError: if the output cannot be written.
    """
    from lstfill.synthetic import esdc_like

    cube, _ = esdc_like(shape, seed=seed)
    chunks = {str(name): CHUNKS for name, variable in cube.data_vars.items() if variable.ndim == len(CHUNKS)}
    stores.create(output, cube, chunks=chunks, zarr_format=2)
    for name, variable in cube.data_vars.items():
        stores.write_static(output, str(name), variable.to_numpy())
    provenance = describe("synthetic", content=f"{shape} {seed}", facts={"shape": list(shape), "seed": seed})
    stores.commit(output, provenance)
    return pointer_to(output, provenance)
