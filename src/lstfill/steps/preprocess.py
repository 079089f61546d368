"""Preprocess: the samples of each part in one random order that no chunk can change, and their scaling."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstfill import compute
from lstfill import preprocess as samples_of
from lstfill.artifacts import Pointer
from lstfill.compute import Engine
from lstfill.config import Cluster, Preprocess
from lstfill.cube import Window, chunk_windows
from lstfill.preprocess import Accumulator, Samples, Selection, Shuffler, Strata, Thinning
from lstfill.split import PARTS, Part
from lstfill.steps.provenance import describe, pointer_to, refuse_own_input
from lstfill.steps.reader import Reader
from lstfill.storage import stores
from lstfill.storage.scratch import scratch_directory

logger = logging.getLogger(__name__)

ByPart = Mapping[Part, Samples]


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
    windows = chunk_windows(reader.grid.shape, reader.grid.chunks)
    with scratch_directory() as scratch:
        shufflers = {part: Shuffler(_directory(scratch, part), preprocess.seed) for part in PARTS}
        with compute.cluster(cluster or Cluster()) as engine:
            chosen = _selections(engine, preprocess, reader, windows)
            for extracted in engine.map(functools.partial(_extract, reader, preprocess, chosen), windows):
                for part, samples in extracted.items():
                    shufflers[part].add(samples)
        statistics = _write(output, reader, shufflers)
    scaling = samples_of.fit_scaling(statistics, preprocess)
    facts = {
        "target": reader.target,
        "features": list(reader.features),
        "units": _units(cube, reader),
        "samples": {_name(part): shuffler.n_samples for part, shuffler in shufflers.items()},
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


def _directory(scratch: Path, part: Part) -> Path:
    directory = scratch / _name(part)
    directory.mkdir()
    return directory


def _name(part: Part) -> str:
    return part.name.lower()


def _selections(engine: Engine, preprocess: Preprocess, reader: Reader, windows: list[Window]) -> dict[Part, Selection]:
    """Which cells to keep of each part where there is a limit; takes a pass over the cube of its own."""
    table = reader.table
    if not preprocess.max_samples or table is None:
        return {}
    strata = Strata.over(reader.grid.shape, table.block)
    thinnings = {part: Thinning(strata, preprocess.max_samples, preprocess.seed) for part in PARTS}
    for cells in engine.map(functools.partial(_usable_cells, reader, preprocess), windows):
        for part, thinning in thinnings.items():
            thinning.add(cells[part])
    return {part: thinning.selection() for part, thinning in thinnings.items()}


def _usable_cells(reader: Reader, preprocess: Preprocess, window: Window) -> dict[Part, NDArray[np.int64]]:
    chunk = reader.chunk(window)
    return {part: samples_of.usable_cells(chunk, part, preprocess.missing) for part in PARTS}


def _extract(reader: Reader, preprocess: Preprocess, chosen: Mapping[Part, Selection], window: Window) -> ByPart:
    chunk = reader.chunk(window)
    return {part: samples_of.extract(chunk, part, preprocess.missing, chosen.get(part)) for part in PARTS}


def _write(output: str, reader: Reader, shufflers: Mapping[Part, Shuffler]) -> samples_of.Statistics:
    """Writes the shards of every part; statistics are taken of the train part alone, in the order of the shards."""
    _create(output, reader, {part: shuffler.n_samples for part, shuffler in shufflers.items()})
    statistics = Accumulator(reader.features, reader.target)
    for part, shuffler in shufflers.items():
        for start, shard in _placed(samples_of.recut(shuffler.shards(), samples_of.SHARD_SAMPLES)):
            _put(output, part, start, shard)
            if part is Part.TRAIN:
                statistics.add(shard.x, shard.y)
    return statistics.result()


def _placed(shards: Iterable[Samples]) -> Iterator[tuple[int, Samples]]:
    start = 0
    for shard in shards:
        yield start, shard
        start += len(shard)


def _put(output: str, part: Part, start: int, shard: Samples) -> None:
    stores.write_block(output, f"{_name(part)}_x", (start, 0), shard.x)
    stores.write_block(output, f"{_name(part)}_y", (start,), shard.y)
    stores.write_block(output, f"{_name(part)}_cell", (start,), shard.cell)


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
