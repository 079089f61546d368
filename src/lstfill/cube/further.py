"""Dimensions beside time, lat and lon: of each, the one coordinate that the configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lstfill.cube.windows import DIMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from lstfill.config import Source

_SHOWN = 20


def flattened(ds: xr.Dataset, source: Source) -> xr.Dataset:
    """Takes the coordinates of ``source.select`` along the further dimensions of a source that was checked.

    Lazy, and nothing is done twice: a dimension that is no longer there counts as taken.

    Args:
        ds: an opened source.
        source: its ``select`` names a coordinate for each dimension.

    Raises:
        ValueError: as ``position``.
    """
    wanted = {dim: value for dim, value in source.select.items() if dim in ds.dims}
    return ds.isel({dim: position(ds, dim, value) for dim, value in wanted.items()})


def position(ds: xr.Dataset, dim: str, value: float | str) -> int:
    """Where along a dimension a coordinate is.

    Args:
        ds: a source with this dimension.
        dim: name of the dimension.
        value: a coordinate as it is there; a date as ISO text, of which a day or a month stands for all of it; an index
            where the dimension has no coordinate. A number may be given as text, as an environment variable is.

    Raises:
        ValueError: if no coordinate or more than one is meant, with those there are.
    """
    values = _coordinate(ds, dim)
    found = np.flatnonzero(_equal(values, value))
    if found.size == 1:
        return int(found[0])
    fact = "is not there" if not found.size else f"stands for {found.size} of them"
    raise ValueError(f"{value!r} {fact}; there are {told(ds, dim)}")


def told(ds: xr.Dataset, dim: str) -> str:
    """The coordinates along a dimension, as they may be named."""
    values = _coordinate(ds, dim)
    if dim not in ds.variables:
        return f"indices 0 to {values.size - 1}"
    named = ", ".join(_text(value) for value in values[:_SHOWN])
    return named + (f", … ({values.size} in all)" if values.size > _SHOWN else "")


def selection_issues(ds: xr.Dataset, source: Source, present: Mapping[str, xr.Variable]) -> list[str]:
    """What is wrong with ``source.select``, in sentences with the remedy.

    Args:
        ds: an opened source.
        source: what is asked of it.
        present: those of its variables that are there.
    """
    further = sorted({str(dim) for variable in present.values() for dim in variable.dims} - set(DIMS))
    issues = []
    for dim, value in source.select.items():
        if dim not in further:
            there = f"there are {', '.join(further)}" if further else "there are none"
            issues.append(f"source.select names {dim!r}, along which no variable used lies; {there}: leave it out")
            continue
        try:
            position(ds, dim, value)
        except ValueError as error:
            issues.append(f"source.select.{dim}: {error}")
    return issues


def _coordinate(ds: xr.Dataset, dim: str) -> NDArray[Any]:
    values: NDArray[Any] = ds[dim].to_numpy() if dim in ds.variables else np.arange(ds.sizes[dim])
    return values


def _equal(values: NDArray[Any], value: float | str) -> NDArray[np.bool_]:
    nowhere = np.zeros(values.shape, bool)
    try:
        if values.dtype.kind == "M":
            date = np.datetime64(str(value).removesuffix("Z"))
            return np.asarray(values.astype(date.dtype) == date, bool)
        if values.dtype.kind not in "iufb":
            return np.array([str(one) == str(value) for one in values], bool)
        number = float(value)
        # A coordinate in single precision is met by the decimal fraction that a person reads there.
        wanted = values.dtype.type(number) if values.dtype.kind == "f" else number
    except ValueError:
        return nowhere
    return np.asarray(values == wanted, bool)


def _text(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return np.datetime_as_string(value, unit="s").removesuffix("T00:00:00")
    return f"{value:g}" if isinstance(value, np.floating) else str(value)
