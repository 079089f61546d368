"""Ingest: opens, checks and normalises the source and cuts it once into the work cube, the only full copy."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill import compute
from lstfill.artifacts import Pointer
from lstfill.config import Cluster, Source
from lstfill.cube import DIMS, Recipe, Window, assert_source, chunk_windows, normalise, read_window, select
from lstfill.errors import DataError
from lstfill.steps.provenance import describe, pointer_to, refuse_own_input
from lstfill.storage import stores

if TYPE_CHECKING:
    import xarray as xr

logger = logging.getLogger(__name__)

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class _Copied:
    """What one window contributed: digest of its bytes, values out of range, observed values."""

    digest: str
    out_of_range: int
    observed: int


def run(source: Source, *, output: str, cluster: Cluster | None = None) -> Pointer:
    """Writes the work cube.

    Args:
        source: the cube, and which part of it.
        output: address of the work cube.
        cluster: where windows are copied; threads if not given.

    Returns:
        A pointer whose facts say target, features, chunks, grid, and how many values were out of range.

    Raises:
        StoreError: if the source cannot be opened or the output not be written.
        DataError: listing all that is wrong with the source.
    """
    refuse_own_input(output, source.uri)
    key = (source.model_dump_json(), uuid.uuid4().hex)
    cube, selected, _ = _opened(*key)
    shape: Triple = tuple(cube.sizes[dim] for dim in DIMS)  # type: ignore[assignment]
    chunks = _chunks(selected, source, shape)
    zarr_format = stores.source_zarr_format(source)
    stores.create(output, cube, chunks=_by_variable(cube, chunks), zarr_format=zarr_format)
    windows = chunk_windows(shape, chunks)
    with compute.cluster(cluster or Cluster()) as engine:
        copy = functools.partial(_copy, key, output)
        copied = list(engine.map(copy, windows))
    facts = {**_facts(cube, source, chunks, copied), "zarr_format": zarr_format}
    digest = hashlib.sha256("".join([facts["grid"], *(item.digest for item in copied)]).encode()).hexdigest()
    provenance = describe("ingest", section=source, content=digest, facts=facts)
    stores.commit(output, provenance)
    return pointer_to(output, provenance)


@functools.lru_cache(maxsize=2)
def _opened(source_json: str, run: str) -> tuple[xr.Dataset, xr.Dataset, dict[str, Recipe]]:  # noqa: ARG001
    """The normalised cube (lazy), the selected source and its recipes; opened once a process and run.

    Between two runs the source may have been written anew, and a process may live longer than a run.
    """
    source = Source.model_validate_json(source_json)
    ds = stores.open_source(source)
    assert_source(ds, source)
    selected = select(ds, source)
    cube, recipes = normalise(selected, source)
    return cube, selected, recipes


def _copy(key: tuple[str, str], output: str, window: Window) -> _Copied:
    source = Source.model_validate_json(key[0])
    _, selected, recipes = _opened(*key)
    with stores.source_errors(source):
        values, out_of_range = read_window(selected, _due(recipes, window), window)
    for name, part in values.items():
        stores.write_block(output, name, window.start[1:] if recipes[name].static else window.start, part)
    digest = hashlib.sha256()
    for name in sorted(values):
        digest.update(np.ascontiguousarray(values[name]).tobytes())
    return _Copied(digest.hexdigest(), out_of_range, int(np.count_nonzero(np.isfinite(values[source.target]))))


def _due(recipes: dict[str, Recipe], window: Window) -> dict[str, Recipe]:
    """Variables without time are copied with the first dates only."""
    return {name: recipe for name, recipe in recipes.items() if not recipe.static or window.start[0] == 0}


def _chunks(selected: xr.Dataset, source: Source, shape: Triple) -> Triple:
    stored = stores.source_chunks(selected, source.target)
    asked = (source.chunks.time, source.chunks.lat, source.chunks.lon)
    return tuple(min(a or s, n) for a, s, n in zip(asked, stored, shape, strict=True))  # type: ignore[return-value]


def _by_variable(cube: xr.Dataset, chunks: Triple) -> dict[str, tuple[int, ...]]:
    return {str(name): chunks if "time" in var.dims else chunks[1:] for name, var in cube.data_vars.items()}


def _facts(cube: xr.Dataset, source: Source, chunks: Triple, copied: list[_Copied]) -> dict[str, Any]:
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
