"""Preprocess: the samples of each part in one random order that no chunk can change, and their scaling."""

from __future__ import annotations

import functools
import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstfill import compute
from lstfill import preprocess as samples_of
from lstfill.artifacts import Pointer
from lstfill.compute import Engine
from lstfill.config import Cluster, Preprocess
from lstfill.cube import Window, chunk_windows
from lstfill.preprocess import Accumulator, Selection, Strata, Thinning
from lstfill.split import PARTS, Part
from lstfill.steps import sampling
from lstfill.steps.provenance import describe, pointer_to, refuse_own_input
from lstfill.steps.reader import Reader
from lstfill.storage import stores

logger = logging.getLogger(__name__)

_NOTHING = np.zeros((len(PARTS), samples_of.RANGES), np.uint32)
"""What piece 0 holds: there may be no other."""


def run(
    preprocess: Preprocess, *, cube: str, land: str, parts: str, output: str, cluster: Cluster | None = None
) -> Pointer:
    """Writes ``{part}_x`` ``(sample, feature)``, ``{part}_y`` and ``{part}_cell`` ``(sample,)`` for each part.

    Args:
        preprocess: missing features, scaling, most samples, seed.
        cube: address of the work cube.
        land: address of the mask.
        parts: address of the split.
        output: address of the samples.
        cluster: where chunks are read.

    Returns:
        A pointer whose facts hold the numbers of samples, statistics, scaling and imputed values.

    Raises:
        StoreError: if an input is missing or not whole, or the output or the scratch directory cannot be written.
        DataError: if a variable does not vary in the train part.
        ConfigError: if a custom scaling cannot be used.
    """
    refuse_own_input(output, cube, land, parts)
    reader = Reader.open(cube, land, parts)
    with sampling.waiting_place(output, cluster or Cluster()) as place, compute.cluster(cluster or Cluster()) as engine:
        chosen = _selections(engine, preprocess, reader)
        job = sampling.Sampling(reader, place, preprocess.missing, preprocess.seed, chosen)
        counts = np.stack([_NOTHING, *engine.map(job.scatter, enumerate(sampling.groups(reader), 1))])
        totals = counts.sum(axis=(0, 2))
        _create(output, reader, dict(zip(PARTS, totals.tolist(), strict=True)))
        write = functools.partial(job.write, output, int(totals[Part.TRAIN]), uuid.uuid4().hex)
        statistics = _merged(reader, engine.map(write, sampling.pieces_of_shards(counts, samples_of.SHARD_SAMPLES)))
    scaling = samples_of.fit_scaling(statistics, preprocess)
    facts = {
        "target": reader.target,
        "features": list(reader.features),
        "units": _units(cube, reader),
        "samples": {_name(part): int(total) for part, total in zip(PARTS, totals, strict=True)},
        "shape": list(reader.grid.shape),
        "statistics": statistics.to_dict(),
        "scaling": scaling.to_dict(),
        "impute": samples_of.impute_values(statistics, preprocess),
        "lineage": _lineage(cube, land, parts),
    }
    logger.info("samples: %s", facts["samples"])
    provenance = describe(
        "preprocess", section=preprocess, inputs={"cube": cube, "land": land, "parts": parts}, facts=facts
    )
    stores.commit(output, provenance)
    return pointer_to(output, provenance)


def _name(part: Part) -> str:
    return part.name.lower()


def _selections(engine: Engine, preprocess: Preprocess, reader: Reader) -> dict[Part, Selection]:
    """Which cells to keep of each part where there is a limit; takes a pass over the cube of its own."""
    table = reader.table
    if not preprocess.max_samples or table is None:
        return {}
    strata = Strata.over(reader.grid.shape, table.block)
    thinnings = {part: Thinning(strata, preprocess.max_samples, preprocess.seed) for part in PARTS}
    windows = chunk_windows(reader.grid.shape, reader.grid.chunks)
    for cells in engine.map(functools.partial(_usable_cells, reader, preprocess), windows):
        for part, thinning in thinnings.items():
            thinning.add(cells[part])
    return {part: thinning.selection() for part, thinning in thinnings.items()}


def _usable_cells(reader: Reader, preprocess: Preprocess, window: Window) -> dict[Part, NDArray[np.int64]]:
    samples, part_of = samples_of.extract_all(reader.chunk(window), preprocess.missing)
    return {part: samples.cell[part_of == part] for part in PARTS}


def _merged(reader: Reader, gathered: Iterable[Accumulator | None]) -> samples_of.Statistics:
    """Statistics of the train part alone, in the order of its shards."""
    statistics = Accumulator(reader.features, reader.target)
    for of_shard in gathered:
        if of_shard is not None:
            statistics.merge(of_shard)
    return statistics.result()


def _create(output: str, reader: Reader, counts: Mapping[Part, int]) -> None:
    import xarray as xr

    size, features = samples_of.SHARD_SAMPLES, len(reader.features)
    variables: dict[str, Any] = {}
    for part, count in counts.items():
        rows = f"{_name(part)}_sample"
        variables[f"{_name(part)}_x"] = ((rows, "feature"), _empty((count, features), np.float32))
        variables[f"{_name(part)}_y"] = ((rows,), _empty((count,), np.float32))
        variables[f"{_name(part)}_cell"] = ((rows,), _empty((count,), np.int64))
    chunks = {name: (size, features)[: len(dims)] for name, (dims, _) in variables.items()}
    stores.create(output, xr.Dataset(variables, {"lat": reader.grid.lat}), chunks=chunks, zarr_format=3)


def _empty(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """The description of an array, without its memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _units(cube: str, reader: Reader) -> dict[str, str]:
    with stores.open_whole(cube) as ds:
        return {name: str(ds[name].attrs.get("units", "1")) for name in (reader.target, *reader.features)}


def _lineage(cube: str, land: str, parts: str) -> dict[str, Any]:
    """What training records of the data, so that it need not open more than the samples."""
    split = stores.provenance(parts)["facts"]
    return {
        "cube": stores.provenance(cube)["facts"],
        "mask_digest": stores.provenance(land)["facts"]["digest"],
        "split": {key: split[key] for key in ("report", "held_out", "held_out_report")},
    }
