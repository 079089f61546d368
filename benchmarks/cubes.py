"""Cubes to measure on: made ones with the truth beside them, and long ones whose chunks are links to a short one's."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstfill.storage.template import dims_of

TARGET, FEATURE = "land_surface_temperature", "air_temperature_2m"
TRUTH, LAND = "lst_truth", "land"
SHAPE = (10, 2160, 4320)
CHUNKS = (10, 270, 270)
DOCUMENTS = (".zarray", ".zattrs", ".zgroup", "zarr.json")


def truth_of(cube: Path) -> Path:
    """Where the truth of a cube is expected: ``seed.zarr`` and ``seed.truth.zarr``."""
    return cube.with_name(f"{cube.stem}.truth.zarr")


def make(path: str, shape: list[int], chunks: list[int], seed: int = 0) -> dict[str, Any]:
    """Writes a synthetic cube with the traits of the Earth System Data Cube in Zarr format 2, and its truth beside it.

    Args:
        path: of the cube.
        shape: cells along time, lat and lon.
        chunks: sizes of the chunks.
        seed: of everything that is drawn.
    """
    from lstfill.synthetic import esdc_like

    cube, truth = esdc_like((shape[0], shape[1], shape[2]), seed=seed)
    cube = cube[[TARGET, FEATURE]]
    there = _land(cube["lat"].to_numpy(), cube["lon"].to_numpy())
    beside = truth.to_dataset(name=TRUTH).assign({LAND: (("lat", "lon"), there)})
    sizes = tuple(min(size, length) for size, length in zip(chunks, shape, strict=True))
    for ds, place in ((cube, Path(path)), (beside, truth_of(Path(path)))):
        named = {str(name): {"chunks": sizes} for name, variable in ds.data_vars.items() if variable.ndim == len(sizes)}
        ds.to_zarr(place, mode="w", zarr_format=2, consolidated=True, encoding=named)
    return {"shape": shape, "chunks": list(sizes), "seed": seed}


def _land(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.bool_]:
    from global_land_mask import globe

    columns, rows = np.meshgrid(lon, lat)
    return np.asarray(globe.is_land(rows, columns), bool)


def describe(path: Path) -> dict[str, Any]:
    """Shape, chunks and bytes of a cube's target and feature."""
    import zarr

    group: Any = zarr.open_group(path, mode="r")
    target = group[TARGET]
    return {
        "name": path.name,
        "shape": list(target.shape),
        "chunks": list(target.chunks),
        "bytes": sum(group[name].nbytes for name in (TARGET, FEATURE)),
        "stored_bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
    }


def regions(array: Any) -> Iterator[tuple[slice, ...]]:
    """Index of each chunk of an array."""
    starts = [range(0, length, size) for length, size in zip(array.shape, array.chunks, strict=True)]
    for corner in itertools.product(*starts):
        ends = zip(corner, array.chunks, array.shape, strict=True)
        yield tuple(slice(start, min(start + size, length)) for start, size, length in ends)


def repeat(path: Path, longer: Path, times: int) -> Path:
    """Writes a cube whose values are those of a shorter one again and again, with dates that go on.

    Chunks are hard links to those of the short cube (copies across file systems), so that a long cube takes no room.
    Bounds of time are left out.

    Args:
        path: the short cube, on disk, with whole chunks along time.
        longer: where to write.
        times: how often its dates come.

    Returns:
        ``longer``.
    """
    import zarr

    shutil.rmtree(longer, ignore_errors=True)
    _copy_documents(path, longer)
    source: Any = zarr.open_group(path, mode="r")
    for name, array in source.arrays():
        dims = dims_of(array)
        if "time" not in dims:
            shutil.copytree(path / name, longer / name)
        elif len(dims) == len(SHAPE):
            _lengthen(array, path / name, longer / name, times)
    _write_times(source["time"], path / "time", longer / "time", times)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # format 3 does not specify consolidated metadata yet
        zarr.consolidate_metadata(longer)
    return longer


def _copy_documents(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for name in DOCUMENTS:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


def _lengthen(array: Any, source: Path, target: Path, times: int) -> None:
    """Describes an array as so many times longer, and gives it the chunks of the short one for each turn."""
    steps, size = array.shape[0], array.chunks[0]
    if steps % size:
        raise ValueError(f"{source} has {steps} dates in chunks of {size}: only whole chunks can be repeated")
    _copy_documents(source, target)
    _edit(target, steps * times, size)
    counts = [-(-length // chunk) for length, chunk in zip(array.shape, array.chunks, strict=True)]
    for turn, (k, j, i) in itertools.product(range(times), np.ndindex(*counts)):
        old, new = (array.metadata.encode_chunk_key((step, j, i)) for step in (k, k + turn * counts[0]))
        if (source / old).exists():  # a chunk without values is not stored
            (target / new).parent.mkdir(parents=True, exist_ok=True)
            _link(source / old, target / new)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _edit(place: Path, steps: int, size: int) -> None:
    """Sets length and chunk size along time in an array's own description, in either format."""
    file = next(place / name for name in ("zarr.json", ".zarray") if (place / name).exists())
    document = json.loads(file.read_text(encoding="utf-8"))
    document["shape"][0] = steps
    chunks = document["chunks"] if "chunks" in document else document["chunk_grid"]["configuration"]["chunk_shape"]
    chunks[0] = size
    file.write_text(json.dumps(document), encoding="utf-8")


def _write_times(array: Any, source: Path, target: Path, times: int) -> None:
    """The dates, and after them the same again as much later as the short cube lasts."""
    import zarr

    values = array[:]
    lasts = values[-1] - values[0] + (np.median(np.diff(values)).astype(values.dtype) if len(values) > 1 else 1)
    _copy_documents(source, target)
    _edit(target, len(values) * times, len(values) * times)
    longer: Any = zarr.open_array(target, mode="r+")
    longer[:] = np.concatenate([values + turn * lasts for turn in range(times)])
    longer.attrs.put({key: value for key, value in longer.attrs.items() if key != "bounds"})
