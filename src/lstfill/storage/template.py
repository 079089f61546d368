"""What a new store holds before any data: groups, coordinates, and arrays described by a template."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.errors import StoreError

if TYPE_CHECKING:
    import xarray as xr

PROVENANCE = "lstfill"
_DIMS_ATTRIBUTE = "_ARRAY_DIMENSIONS"  # how xarray names dimensions in Zarr format 2
# Attributes that would make a reader decode values a second time.
_ENCODING = {"_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "coordinates", _DIMS_ATTRIBUTE}
_TIME_UNITS_NS = {"days": 86_400_000_000_000, "seconds": 1_000_000_000, "nanoseconds": 1}


def described(
    template: xr.Dataset, chunks: Mapping[str, tuple[int, ...]], attributes: Mapping[str, Any], zarr_format: int
) -> dict[str, Any]:
    """All documents of a new store by key: coordinates with values, variables without, metadata consolidated.

    They are made in memory, because a library that makes them at a distance first asks for each whether it is there.

    Args:
        template: dimensions, dtypes, attributes and coordinates; values of data variables are not looked at.
        chunks: chunk sizes by variable; one that is not named is one chunk.
        attributes: of the store.
        zarr_format: 2 or 3.
    """
    import zarr

    documents: dict[str, Any] = {}
    store = zarr.storage.MemoryStore(documents)
    root = zarr.create_group(store, zarr_format=zarr_format, attributes=dict(attributes))
    for name, coordinate in template.coords.items():
        values, attrs = _encode(str(name), coordinate.values, dict(coordinate.attrs))
        array = _make(root, str(name), coordinate.dims, values, attrs, values.shape)
        array[...] = values
    for name, variable in template.data_vars.items():
        _make(root, str(name), variable.dims, variable, dict(variable.attrs), chunks.get(str(name), variable.shape))
    with warnings.catch_warnings():
        # That format 3 does not specify consolidated metadata yet is no news for a user.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(store)
    return documents


def dims_of(array: Any) -> tuple[str, ...]:
    """Names of an array's dimensions in either Zarr format."""
    return tuple(getattr(array.metadata, "dimension_names", None) or array.attrs.get(_DIMS_ATTRIBUTE, ()))


def clean_attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON can hold them, without those that belong to the encoding or to another store's provenance."""
    left_out = _ENCODING | {PROVENANCE}
    return {str(name): _plain(value) for name, value in attrs.items() if name not in left_out and value is not None}


def _make(
    root: Any, name: str, dims: tuple[Any, ...], like: Any, attrs: dict[str, Any], chunks: tuple[int, ...]
) -> Any:
    attributes, dtype, zarr_format = clean_attributes(attrs), np.dtype(like.dtype), root.metadata.zarr_format
    if zarr_format == 2:
        attributes[_DIMS_ATTRIBUTE] = [str(dim) for dim in dims]
    return root.create_array(
        name,
        shape=like.shape,
        dtype=dtype,
        chunks=tuple(max(1, min(size, length)) for size, length in zip(chunks, like.shape, strict=True)),
        compressors=(_compressor(zarr_format),),
        fill_value=_fill_value(dtype, zarr_format),
        attributes=attributes,
        dimension_names=None if zarr_format == 2 else [str(dim) for dim in dims],
    )


def _fill_value(dtype: np.dtype[Any], zarr_format: int) -> Any:
    """NaN for floats. In format 2 readers take the fill value for "missing", so that whole numbers must have none."""
    if dtype.kind == "f":
        return dtype.type("nan")
    return None if zarr_format == 2 else dtype.type(0)


def _compressor(zarr_format: int) -> Any:
    """Blosc with LZ4 and byte shuffle, which every reader of Zarr knows.

    Temperature shrinks to 0.31 of its bytes, as the source's own chunks do. Zstandard's 0.30 costs three times the CPU
    to write and twice as much at each of the reads of the steps after.
    """
    if zarr_format == 2:
        import numcodecs

        return numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
    from zarr.codecs import BloscCodec

    return BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")


def _encode(name: str, values: NDArray[Any], attrs: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    if values.dtype.kind == "M":
        return _encode_time(name, values, attrs)
    if values.dtype.kind not in "iufb":
        raise StoreError(
            f"coordinate {name!r} is of type {values.dtype}, which cannot be written: numbers or dates can"
        )
    return values, attrs


def _encode_time(name: str, values: NDArray[Any], attrs: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Whole numbers in the coarsest CF unit that is exact."""
    if np.isnat(values).any():
        raise StoreError(f"coordinate {name!r} has missing dates, which cannot be written: remove those steps")
    nanoseconds = values.astype("datetime64[ns]").astype(np.int64)
    unit, size = next((unit, size) for unit, size in _TIME_UNITS_NS.items() if not (nanoseconds % size).any())
    epoch = "1970-01-01" if unit == "days" else "1970-01-01 00:00:00"
    return nanoseconds // size, {**attrs, "units": f"{unit} since {epoch}", "calendar": "proleptic_gregorian"}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    # JSON knows no NaN, and a number that is none would break readers other than Python.
    return value if isinstance(value, str | int | float | None) and np.isfinite(_number(value)) else str(value)


def _number(value: Any) -> float:
    return value if isinstance(value, float) else 0.0
