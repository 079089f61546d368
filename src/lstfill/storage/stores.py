"""Stores of a run: described first, written by region, committed last.

A store is *whole* once ``commit`` has written, last of all, the attribute ``lstfill`` with its provenance into its
consolidated metadata. Whatever is killed before leaves a store that ``provenance``, ``open_whole`` and ``read`` refuse,
and that the next ``create`` at the same place wipes. Descriptions are read anew at each call, so that a store written
anew by another process is read as it is; a caller who says which store it means has it opened once a process.
"""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lstfill.cube.windows import Window
from lstfill.errors import StoreError
from lstfill.storage import objects
from lstfill.storage.address import bucket_and_key, is_s3, join, local_path, shown
from lstfill.storage.buckets import bucket_is_missing
from lstfill.storage.failures import explained
from lstfill.storage.handles import options_of, put, s3_filesystem, zarr_store
from lstfill.storage.sources import open_source, source_chunks, source_errors, source_zarr_format
from lstfill.storage.template import PROVENANCE, clean_attributes, described, dims_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = [
    "commit", "create", "open_source", "open_whole", "provenance", "read", "read_block", "source_chunks",
    "source_errors", "source_zarr_format", "write", "write_block", "write_static",
]  # fmt: skip

# The format last seen at an address, to ask for its documents alone; a wrong one costs a second look.
_formats: dict[str, int] = {}

_opening = threading.Lock()

# What makes a directory a Zarr store; the first is what makes one of ours whole.
_ROOT_DOCUMENTS = ("zarr.json", ".zmetadata", ".zattrs", ".zgroup", ".zarray")


def create(
    uri: str,
    template: xr.Dataset,
    *,
    chunks: Mapping[str, tuple[int, ...]],
    zarr_format: int,
    attrs: Mapping[str, Any] | None = None,
) -> None:
    """Starts a store: wipes what is there, writes coordinates and the description of every variable, but no values.

    Encoding inherited from a source is left out. Floats are filled with NaN; time is written as whole numbers in a
    CF unit, in one chunk. The store is not whole before ``commit``.

    Args:
        uri: where; a path must be free, empty or a Zarr store.
        template: dimensions, dtypes, attributes and coordinates; its values are not looked at.
        chunks: chunk sizes by variable; one that is not named is one chunk.
        zarr_format: 2 or 3.
        attrs: further attributes of the store, over those of the template.

    Raises:
        StoreError: if the place cannot be written, or holds something else than a Zarr store.
    """
    with explained(uri, options_of(uri), "write"):
        _wipe(uri)
        attributes = clean_attributes({**template.attrs, **(attrs or {})})
        inner = [str(name) for name in template.coords if name not in template.dims]
        if inner:
            attributes["coordinates"] = " ".join(inner)  # or readers would take them for variables
        documents = described(template, chunks, attributes, zarr_format)
        root = {name: documents.pop(name) for name in _ROOT_DOCUMENTS if name in documents}
        # The root first: a place with anything else would not be wiped by the next ``create``, if this one is killed.
        for some in (root, documents):
            put(zarr_store(uri, read_only=False), some)
        _formats[uri] = zarr_format


def write(uri: str, window: Window, arrays: Mapping[str, NDArray[Any]], *, run: str = "") -> None:
    """Writes the values of one window; threads and processes may write different windows at once.

    Args:
        uri: a store that ``create`` has started.
        window: cells that are whole chunks of every variable, or end where the cube ends.
        arrays: values ``(time, lat, lon)`` by variable, of the dtype of the store.
        run: as in ``write_block``.

    Raises:
        StoreError: if a window cuts a chunk, shape or dtype do not fit, or the store cannot be written.
    """
    for name, values in arrays.items():
        write_block(uri, name, window.start, values, run=run)


def write_static(uri: str, name: str, values: NDArray[Any]) -> None:
    """Writes all values of a variable of any dimensions, like a mask ``(lat, lon)`` or a table.

    Raises:
        StoreError: if shape or dtype do not fit, or the store cannot be written.
    """
    with explained(uri, options_of(uri), "write"):
        array = _writable(uri, name)
        if values.shape != array.shape:
            raise StoreError(f"{name!r} in {shown(uri)} has the shape {array.shape}, the values have {values.shape}")
        _put(uri, array, (0,) * values.ndim, values)


def write_block(uri: str, name: str, start: tuple[int, ...], values: NDArray[Any], *, run: str = "") -> None:
    """Writes a block of whole chunks into a variable of any dimensions, like rows of samples.

    Args:
        uri: a store that ``create`` has started.
        name: the variable.
        start: index of the first value along each dimension, a multiple of the chunk size.
        values: of the dtype of the store; the block ends on a chunk's edge or where the variable ends.
        run: any text that no other ``create`` at this place goes with; with it the variable's description is read
            once a process instead of at each call.

    Raises:
        StoreError: if the block cuts a chunk, shape or dtype do not fit, or the store cannot be written.
    """
    with explained(uri, options_of(uri), "write"):
        array = _run_array(uri, name, run) if run else _writable(uri, name)
        _put(uri, array, start, values)


def commit(uri: str, provenance: Mapping[str, Any]) -> None:
    """Makes a store whole: the provenance is the last thing written.

    Args:
        uri: a store whose values are all written.
        provenance: step, version, configuration hash, source, identity; as JSON can hold it, without NaN.

    Raises:
        StoreError: if the store was not started, or cannot be written.
    """
    import zarr

    record = json.loads(json.dumps(dict(provenance), allow_nan=False))

    def opened(zarr_format: int | None) -> Any:
        return zarr.open_group(zarr_store(uri, read_only=False), mode="r+", zarr_format=zarr_format)

    with explained(uri, options_of(uri), "write"):
        group = _look(uri, opened)
        if group is None:
            raise StoreError(_gone(uri))
        group.update_attributes({PROVENANCE: record})


def provenance(uri: str) -> dict[str, Any]:
    """What ``commit`` recorded, which is also the proof that the store is whole.

    Raises:
        StoreError: if nothing is there, or the store is not whole.
    """
    return dict(_open_whole_group(uri).attrs[PROVENANCE])


def open_whole(uri: str) -> xr.Dataset:
    """Opens a whole store lazily, without dask.

    Raises:
        StoreError: as ``provenance``.
    """
    import xarray as xr

    group = _open_whole_group(uri)
    with explained(uri, options_of(uri)):
        dataset: xr.Dataset = xr.open_zarr(
            group.store, consolidated=True, zarr_format=group.metadata.zarr_format, chunks=None
        )
        return dataset


def read(uri: str, window: Window, names: Iterable[str], *, identity: str = "") -> dict[str, NDArray[Any]]:
    """Reads variables of a whole store in one window, without xarray; safe in threads and processes.

    Args:
        uri: the store.
        window: the cells; a variable ``(lat, lon)`` is cut along these two, one without any is read whole.
        names: the variables.
        identity: of the store that is meant, from its provenance; with it the store's description is read once a
            process instead of at each call.

    Raises:
        StoreError: as ``provenance``; or if a variable is not there.
    """
    arrays, cut = _arrays(uri, names, identity), window.indexers
    with explained(uri, options_of(uri)):
        return {
            name: array[tuple(cut.get(dim, slice(None)) for dim in dims_of(array))] for name, array in arrays.items()
        }


def read_block(uri: str, name: str, block: tuple[slice, ...] = (), *, identity: str = "") -> NDArray[Any]:
    """Reads a block of a variable of any dimensions of a whole store; all of it by default.

    Args:
        uri: the store.
        name: the variable.
        block: which part of it.
        identity: as in ``read``.

    Raises:
        StoreError: as ``read``.
    """
    array = _arrays(uri, [name], identity)[name]
    with explained(uri, options_of(uri)):
        values: NDArray[Any] = array[block or ...]
        return values


def _wipe(uri: str) -> None:
    if not is_s3(uri):
        path = local_path(uri)
        if path.is_dir() and any(path.iterdir()) and not any((path / name).exists() for name in _ROOT_DOCUMENTS):
            raise StoreError(f"{path} holds files that are no Zarr store: nothing was wiped; choose another place")
    elif bucket_and_key(uri)[1]:
        _remove_root(uri)
    objects.remove(uri)


def _remove_root(uri: str) -> None:
    """The root first: a wipe that is killed must not leave a store that looks whole and lacks chunks."""
    bucket, key = bucket_and_key(uri)
    names = [{"Key": join(key, name)} for name in _ROOT_DOCUMENTS]
    # One request, without a look at what is there.
    s3_filesystem(options_of(uri)).call_s3("delete_objects", Bucket=bucket, Delete={"Objects": names, "Quiet": True})


def _arrays(uri: str, names: Iterable[str], identity: str) -> dict[str, Any]:
    if identity:
        return {name: _known_member(uri, identity, name, os.getpid()) for name in names}
    group = _open_whole_group(uri)
    return {name: _member(uri, group, name) for name in names}


@functools.lru_cache(maxsize=64)
def _known_member(uri: str, identity: str, name: str, pid: int) -> Any:
    return _member(uri, _known_group(uri, identity, pid), name)


@functools.lru_cache(maxsize=16)
def _known_group(uri: str, identity: str, pid: int) -> Any:  # noqa: ARG001 - parts of the key alone
    return _open_whole_group(uri)


def _run_array(uri: str, name: str, run: str) -> Any:
    # Threads that begin together would each ask for the description.
    with _opening:
        return _known_array(uri, name, run, os.getpid())


@functools.lru_cache(maxsize=64)
def _known_array(uri: str, name: str, run: str, pid: int) -> Any:  # noqa: ARG001 - parts of the key alone
    return _writable(uri, name)


def _open_whole_group(uri: str) -> Any:
    import zarr

    with explained(uri, options_of(uri)):
        group = _look(uri, lambda zarr_format: zarr.open_group(zarr_store(uri), mode="r", zarr_format=zarr_format))
        if group is None:
            raise StoreError(_gone(uri))
    if group.metadata.consolidated_metadata is None or PROVENANCE not in group.attrs:
        raise StoreError(
            f"the store at {shown(uri)} is not whole: the step that wrote it did not finish (it has no provenance). "
            "Run that step again; it overwrites what is there"
        )
    return group


def _writable(uri: str, name: str) -> Any:
    import zarr

    def opened(zarr_format: int | None) -> Any:
        return zarr.open_array(zarr_store(uri, read_only=False), path=name, mode="r+", zarr_format=zarr_format)

    array = _look(uri, opened)
    if array is None:
        raise StoreError(f"there is no variable {name!r} to write in {shown(uri)}: the store was not started with it")
    return array


def _look(uri: str, opened: Callable[[int | None], Any]) -> Any:
    """Opens with the format that is known, then with any; None if nothing is there."""
    hint = _formats.get(uri)
    for zarr_format in (hint, None) if hint else (None,):
        with suppress(FileNotFoundError):
            found = opened(zarr_format)
            _formats[uri] = found.metadata.zarr_format
            return found
    return None


def _gone(uri: str) -> str:
    if is_s3(uri) and bucket_is_missing(uri, options_of(uri)):
        return f"there is no store at {shown(uri)}, not even its bucket: check the address and the endpoint"
    return (
        f"there is no store at {shown(uri)}: it may have been deleted. "
        "A cached run may have outlived its data: run again without caching"
    )


def _member(uri: str, group: Any, name: str) -> Any:
    try:
        with explained(uri, options_of(uri)):
            return group[name]
    except KeyError:
        names = ", ".join(sorted(group.array_keys()))
        raise StoreError(f"there is no variable {name!r} in {shown(uri)}; there are {names}") from None


def _put(uri: str, array: Any, start: tuple[int, ...], values: NDArray[Any]) -> None:
    where = f"{array.basename!r} in {shown(uri)}"
    if values.dtype != array.dtype:
        raise StoreError(f"{where} is of type {array.dtype}, the values are of type {values.dtype}: convert them first")
    if len(start) != array.ndim or values.ndim != array.ndim:
        raise StoreError(
            f"{where} has {array.ndim} dimensions, the values have {values.ndim}, their place {len(start)}"
        )
    stop = tuple(first + size for first, size in zip(start, values.shape, strict=True))
    for dim, first, last, size, length in zip(dims_of(array), start, stop, array.chunks, array.shape, strict=True):
        if first % size or (last % size and last != length) or last > length:
            raise StoreError(
                f"{where}: {dim} {first}..{last} cuts chunks of {size} of {length}: write whole chunks, "
                "or two writers of one chunk would lose each other's values"
            )
    array[tuple(slice(first, last) for first, last in zip(start, stop, strict=True))] = values
