"""Opening the cube that a user names: any place, either Zarr format, lazily, with clear words when it cannot be."""

from __future__ import annotations

import json
import warnings
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from lstfill.cube.windows import DIMS
from lstfill.errors import StoreError
from lstfill.storage.address import is_s3, scheme, shown
from lstfill.storage.failures import explained
from lstfill.storage.handles import zarr_store
from lstfill.storage.options import source_options

if TYPE_CHECKING:
    import xarray as xr

    from lstfill.config import Source


def open_source(source: Source) -> xr.Dataset:
    """Opens the source as it is stored: every variable, decoded, nothing read but metadata and coordinates.

    Arrays are lazily indexed, without dask; read them inside ``source_errors``. Calendars that datetime64 does not
    know are decoded to cftime.

    Raises:
        StoreError: if the store is not there, may not be read, cannot be reached, or is no Zarr group.
    """
    with source_errors(source):
        root = _open_root(source)
        group = _open_group(root, source)
        dataset = _open_dataset(source, root)
    if not dataset.variables:
        raise StoreError(_nothing_there(group, source))
    dataset.encoding["zarr_format"] = root.metadata.zarr_format
    return dataset


def source_zarr_format(dataset: xr.Dataset) -> int:
    """Zarr format of an opened source, 2 or 3."""
    return int(dataset.encoding["zarr_format"])


def source_chunks(dataset: xr.Dataset, name: str) -> tuple[int, int, int]:
    """Chunk sizes ``(time, lat, lon)`` in which a variable is stored, never larger than the variable.

    Args:
        dataset: as opened, or cut from it.
        name: the variable; a dimension that it lacks counts 1.
    """
    variable = dataset[name]
    stored = variable.encoding.get("preferred_chunks", {})
    sizes = variable.sizes
    time, lat, lon = (max(1, min(stored.get(dim, sizes.get(dim, 1)), sizes.get(dim, 1))) for dim in DIMS)
    return (time, lat, lon)


def source_errors(source: Source) -> AbstractContextManager[None]:
    """The context to read values of an opened source in: failures of the store become a ``StoreError``."""
    return explained(source.uri, source_options(source) if is_s3(source.uri) else None)


def _open_root(source: Source) -> Any:
    """The root group. Buckets that may not be listed answer 403 for what is not there: then each format is tried."""
    wanted = source.zarr_options.zarr_format
    try:
        return _open_as(source, wanted)
    except PermissionError:
        if scheme(source.uri) == "file":
            raise
        for zarr_format in (2, 3) if wanted is None else (wanted,):
            # Whatever is refused counts as not there; if nothing of the root is readable, the refusal stands.
            with suppress(StoreError):
                return _open_as(source, zarr_format, refused_is_missing=True)
        raise


def _open_as(source: Source, zarr_format: int | None, *, refused_is_missing: bool = False) -> Any:
    import zarr

    options = source_options(source) if is_s3(source.uri) else None
    store = zarr_store(source.uri, options, refused_is_missing=refused_is_missing)
    wanted = source.zarr_options.consolidated
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return zarr.open_group(store, mode="r", zarr_format=zarr_format, use_consolidated=wanted)
    except zarr.errors.ContainsArrayError:
        raise StoreError(_single_array(source)) from None
    except FileNotFoundError:
        raise StoreError(_single_array(source) if _holds_array(store) else _not_found(source, zarr_format)) from None
    except ValueError as error:
        if wanted and not isinstance(error, json.JSONDecodeError):
            raise StoreError(
                f"{shown(source.uri)} has no consolidated metadata: leave out source.zarr_options.consolidated"
            ) from None
        raise


def _holds_array(store: Any) -> bool:
    """Whether an array of format 2 lies there, which zarr takes for nothing where it looks for a group."""
    import zarr

    with suppress(FileNotFoundError, ValueError):
        zarr.open_array(store, mode="r", zarr_format=2)
        return True
    return False


def _single_array(source: Source) -> str:
    return f"{shown(source.uri)} is a single Zarr array: give the group that holds it"


def _open_group(root: Any, source: Source) -> Any:
    import zarr

    path = (source.zarr_options.group or "").strip("/")
    try:
        group = root[path] if path else root
    except KeyError:
        raise StoreError(
            f"{shown(source.uri)} has no group {path!r}; there are {_names(root.group_keys())}: "
            "set source.zarr_options.group"
        ) from None
    if isinstance(group, zarr.Array):
        raise StoreError(f"{path!r} in {shown(source.uri)} is an array: name its group in source.zarr_options.group")
    return group


def _open_dataset(source: Source, root: Any) -> xr.Dataset:
    import xarray as xr

    try:
        with warnings.catch_warnings():
            # Odd calendars and duplicate fill values are no news to a user; the cube's check says what matters.
            warnings.simplefilter("ignore")
            dataset: xr.Dataset = xr.open_zarr(
                root.store,
                group=(source.zarr_options.group or "").strip("/") or None,
                consolidated=root.metadata.consolidated_metadata is not None,
                zarr_format=root.metadata.zarr_format,
                chunks=None,
            )
            return dataset
    except ValueError as error:
        if "decode" not in str(error):
            raise
        raise StoreError(
            f"{shown(source.uri)} has a time that cannot be decoded: correct its attributes 'units' and 'calendar' "
            f"({str(error).splitlines()[0][:200]})"
        ) from error


def _not_found(source: Source, zarr_format: int | None) -> str:
    uri = shown(source.uri)
    if is_s3(source.uri):
        from lstfill.storage.buckets import bucket_is_missing

        if bucket_is_missing(source.uri, source_options(source)):
            return f"cannot read {uri}: there is no such bucket; check the address and source.endpoint_url"
    kind = "a Zarr group" if zarr_format is None else f"a Zarr group of format {zarr_format}"
    return f"there is no Zarr store at {uri}: neither zarr.json nor .zgroup makes it {kind}; check the address"


def _nothing_there(group: Any, source: Source) -> str:
    uri = shown(source.uri)
    groups = list(group.group_keys())
    if groups:
        return f"{uri} holds no variables at that level, but groups: {_names(groups)}; set source.zarr_options.group"
    if scheme(source.uri) in ("http", "https"):
        return f"{uri} shows no variables: a store over http(s) needs consolidated metadata, or a server that lists"
    return f"{uri} is a Zarr group without variables: check the address"


def _names(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"
