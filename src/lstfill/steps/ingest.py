"""Ingest: opens, checks and normalises the source and cuts it once into the work cube, the only full copy."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill import compute
from lstfill.artifacts import Pointer
from lstfill.config import Cluster, Source
from lstfill.cube import DIMS
from lstfill.cube.parts import Triple
from lstfill.errors import DataError
from lstfill.steps.copying import Copied, Copy, Opened, opened
from lstfill.steps.provenance import describe, pointer_to, refuse_own_input
from lstfill.storage import stores

if TYPE_CHECKING:
    import xarray as xr

logger = logging.getLogger(__name__)


def run(source: Source, *, output: str, cluster: Cluster | None = None) -> Pointer:
    """Writes the work cube.

    Args:
        source: the cube, and which part of it.
        output: address of the work cube.
        cluster: where windows are copied; threads if not given.

    Returns:
        A pointer whose facts say target, features, covariates, chunks, grid, and how many values were out of range.

    Raises:
        StoreError: if the source cannot be opened or the output not be written.
        DataError: listing all that is wrong with the source.
    """
    refuse_own_input(output, source.uri)
    key = (source.model_dump_json(), uuid.uuid4().hex)
    found = opened(*key)
    chunks, zarr_format = _chunks(found, source), stores.source_zarr_format(found.ds)
    stores.create(output, found.cube, chunks=_by_variable(found.cube, chunks), zarr_format=zarr_format)
    copy = Copy(*key, output, chunks, source.target)
    with compute.cluster(cluster or Cluster()) as engine:
        copied = list(engine.map(copy, copy.tasks()))
    facts = {**_facts(found.cube, source, chunks, copied), "zarr_format": zarr_format}
    # In the order of the cube, in whatever order it was copied.
    digests = dict(sorted(item for task in copied for item in task.digests.items()))
    digest = hashlib.sha256("".join([facts["grid"], *digests.values()]).encode()).hexdigest()
    provenance = describe("ingest", section=source, content=digest, facts=facts)
    stores.commit(output, provenance)
    return pointer_to(output, provenance)


def _chunks(found: Opened, source: Source) -> Triple:
    shape, stored = (found.cube.sizes[dim] for dim in DIMS), stores.source_chunks(found.ds, source.target)
    asked = (source.chunks.time, source.chunks.lat, source.chunks.lon)
    return tuple(min(a or s, n) for a, s, n in zip(asked, stored, shape, strict=True))  # type: ignore[return-value]


def _by_variable(cube: xr.Dataset, chunks: Triple) -> dict[str, tuple[int, ...]]:
    return {str(name): chunks if "time" in var.dims else chunks[1:] for name, var in cube.data_vars.items()}


def _facts(cube: xr.Dataset, source: Source, chunks: Triple, copied: list[Copied]) -> dict[str, Any]:
    observed = sum(item.observed for item in copied)
    out_of_range = sum(item.out_of_range for item in copied)
    if not observed:
        low, high = source.valid_range_k
        fact = f"no value of {source.target} in {low:g}..{high:g} K in the asked part ({out_of_range} are out of it)"
        raise DataError(
            source.uri, [f"{fact}: check source.time, source.bbox_deg, source.units and source.valid_range_k"]
        )
    if out_of_range:
        logger.warning(
            "%d values of %s were out of %s K and are missing now", out_of_range, source.target, source.valid_range_k
        )
    return {
        "target": source.target,
        "features": source.features,
        "covariates": source.covariates,
        "chunks": list(chunks),
        "shape": [cube.sizes[dim] for dim in DIMS],
        "grid": grid_digest(*(cube[dim].to_numpy() for dim in DIMS)),
        "time": [str(cube["time"].to_numpy()[i].astype("datetime64[D]")) for i in (0, -1)],
        "observed": observed,
        "out_of_range": out_of_range,
    }


def grid_digest(time: NDArray[Any], lat: NDArray[Any], lon: NDArray[Any]) -> str:
    """A short digest of a grid, by which stores that belong together know each other."""
    parts = [time.astype("datetime64[ns]").astype(np.int64), lat.astype(np.float64), lon.astype(np.float64)]
    return hashlib.sha256(json.dumps([part.tolist() for part in parts]).encode()).hexdigest()[:16]
