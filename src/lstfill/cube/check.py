"""What a source must hold before anything is read from it: all that is amiss, listed at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lstfill.cube.further import selection_issues, told
from lstfill.cube.select import lat_positions, lon_positions, time_positions
from lstfill.cube.times import to_datetime64
from lstfill.cube.units import canonical_unit, declared_unit
from lstfill.cube.windows import DIMS
from lstfill.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from lstfill.config import Source

_NUMBERS = "iuf"
_SHOWN = 20


def assert_source(ds: xr.Dataset, source: Source) -> None:
    """Accepts a source that can be selected from and normalised.

    Raises:
        DataError: listing all that ``check_source`` finds.
    """
    issues = check_source(ds, source)
    if issues:
        raise DataError(f"source {source.uri}", issues)


def check_source(ds: xr.Dataset, source: Source) -> list[str]:
    """Lists what keeps a source from being used, in sentences with the remedy; reads nothing but coordinates.

    Args:
        ds: an opened source, before ``select``.
        source: what is asked of it.
    """
    present = [name for name in source.variables() if name in ds.variables]
    axes = {dim: _axis_issues(ds, dim) for dim in DIMS}
    return [
        *_missing(ds, source),
        *(issue for name in present for issue in _variable_issues(ds, name, source)),
        *selection_issues(ds, source, {name: ds[name].variable for name in present}),
        *_unit_keys(source),
        *(issue for issues in axes.values() for issue in issues),
        *([] if axes["time"] else _period_issues(ds, source)),
        *([] if axes["lat"] or axes["lon"] else _box_issues(ds, source)),
    ]


def _missing(ds: xr.Dataset, source: Source) -> list[str]:
    there = ", ".join(sorted(str(name) for name in ds.variables if name not in DIMS)[:_SHOWN]) or "no variables"
    more = f", … ({len(ds.variables)} in all)" if len(ds.variables) > _SHOWN + len(DIMS) else ""
    return [
        f"source.{_role(name, source)} names {name!r}, which is not there; there are: {there}{more}"
        for name in source.variables()
        if name not in ds.variables
    ]


def _role(name: str, source: Source) -> str:
    roles = {"features": source.features, "covariates": source.covariates}
    return "target" if name == source.target else next((role for role, of in roles.items() if name in of), "extras")


def _may_be_static(name: str, source: Source) -> bool:
    return _role(name, source) in ("covariates", "extras")


def _variable_issues(ds: xr.Dataset, name: str, source: Source) -> list[str]:
    variable = ds[name].variable
    issues = [*_dimension_issues(ds, name, source), *_dtype_issues(variable, name, source)]
    return issues if _may_be_static(name, source) else issues + _unit_issues(variable, name, source)


def _dimension_issues(ds: xr.Dataset, name: str, source: Source) -> list[str]:
    has = [str(dim) for dim in ds[name].dims]
    static = _may_be_static(name, source) and {"lat", "lon"} <= set(has)
    missing = [] if static else [dim for dim in DIMS if dim not in has]
    extra = [dim for dim in has if dim not in (*DIMS, *source.select)]
    wanted = "time, lat, lon" + (" or lat, lon" if _may_be_static(name, source) else "")
    facts = [f"{what}: {', '.join(dims)}" for what, dims in (("missing", missing), ("extra", extra)) if dims]
    fact = f"{name!r} has the dimensions ({', '.join(has)}), needed are {wanted} ({'; '.join(facts)})"
    if missing:
        return [f"{fact}: rename or add them in the source"]
    return [f"{fact}: take one in source.select.{dim}; there are {told(ds, dim)}" for dim in extra]


def _dtype_issues(variable: xr.Variable, name: str, source: Source) -> list[str]:
    kinds = _NUMBERS + ("b" if _may_be_static(name, source) else "")
    if variable.dtype.kind in kinds:
        return []
    return [f"{name!r} holds {variable.dtype}, not numbers: store it as float32, or name another variable"]


def _unit_issues(variable: xr.Variable, name: str, source: Source) -> list[str]:
    unit = declared_unit(name, variable.attrs, source.units)
    if unit is None:
        return [
            f"{name!r} has no units attribute: declare its unit in the configuration, source.units: {{{name}: K}}"
            + ("" if name == source.target else " (or '1' for what has none)")
        ]
    temperature = name == source.target or _is_temperature(variable, name, source)
    if temperature and canonical_unit(unit) is None:
        return [
            (
                f"{name!r} has the unit {unit!r}, which is no known unit of temperature (K, degC, degF):"
                f" declare the right one in the configuration, source.units: {{{name}: K}}"
                + ("" if name == source.target else " (or '1' for what is none)")
            )
        ]
    return []


def _is_temperature(variable: xr.Variable, name: str, source: Source) -> bool:
    """Whether a feature is called a temperature; a spelling of its unit that we do not know must not pass as K."""
    called = (name, str(variable.attrs.get("standard_name", "")))
    return source.units.get(name) != "1" and any("temperature" in text.lower() for text in called)


def _unit_keys(source: Source) -> list[str]:
    known = source.variables()
    return [
        f"source.units names {name!r}, which is none of the variables used: {', '.join(known)}"
        for name in source.units
        if name not in known
    ]


def _axis_issues(ds: xr.Dataset, dim: str) -> list[str]:
    if dim not in ds.variables or ds[dim].dims != (dim,):
        shape = f"has the dimensions {ds[dim].dims}" if dim in ds.variables else "is not there"
        dims = ", ".join(f"{name} {size}" for name, size in ds.sizes.items())
        return [f"the coordinate {dim!r} {shape}: it must be 1-D, along the dimension {dim!r}; dimensions are: {dims}"]
    if not ds.sizes[dim]:
        return [f"the dimension {dim!r} is empty"]
    return _time_issues(ds["time"].values) if dim == "time" else _degree_issues(dim, ds[dim].values)


def _time_issues(values: NDArray[Any]) -> list[str]:
    try:
        dates = to_datetime64(values)
    except ValueError as error:
        return [str(error)]
    missing = np.flatnonzero(np.isnat(dates))
    if missing.size:
        return [f"time has {missing.size} missing dates, the first at index {missing[0]}: drop them"]
    return _order_issues("time", dates, dates.astype(np.int64), ascending=True)


def _degree_issues(dim: str, values: NDArray[Any]) -> list[str]:
    if values.dtype.kind not in _NUMBERS:
        return [f"{dim} holds {values.dtype}, not degrees: store it as float64"]
    missing = np.flatnonzero(~np.isfinite(values))
    if missing.size:
        return [f"{dim} has {missing.size} values that are not finite, the first at index {missing[0]}: correct them"]
    degrees = values.astype(np.float64)
    ascending = dim == "lon" or degrees[-1] >= degrees[0]
    return [*_order_issues(dim, values, degrees, ascending), *_range_issues(dim, degrees)]


def _order_issues(dim: str, values: NDArray[Any], numbers: NDArray[Any], ascending: bool) -> list[str]:
    if np.unique(numbers).size < numbers.size:
        unique, counts = np.unique(values, return_counts=True)
        twice = unique[counts > 1]
        return [
            (
                f"{dim} holds {twice.size} duplicate values, the first {_text(twice[0])}: drop them"
                f" with ds.drop_duplicates({dim!r})"
            )
        ]
    steps = np.diff(numbers)
    wrong = np.flatnonzero((steps if ascending else -steps) < 0)
    if not wrong.size:
        return []
    at = int(wrong[0])
    return [
        (
            f"{dim} is not sorted: {_text(values[at + 1])} follows {_text(values[at])} at index {at + 1}:"
            f" sort the source with ds.sortby({dim!r})"
        )
    ]


def _range_issues(dim: str, degrees: NDArray[np.float64]) -> list[str]:
    low, high = degrees.min(), degrees.max()
    limit = 90.0 if dim == "lat" else 360.0
    if low < -limit - 1e-6 or high > limit + 1e-6:
        return [
            f"{dim} reaches from {low:g} to {high:g}, not within {-limit:g}..{limit:g} degrees: correct the coordinate"
        ]
    if dim == "lon" and high - low > 360.0 - 1e-6:
        return [f"lon spans {high - low:g} degrees, {low:g}..{high:g}: drop the columns that are there twice"]
    return []


def _period_issues(ds: xr.Dataset, source: Source) -> list[str]:
    dates = to_datetime64(ds["time"].to_numpy())
    asked = f"source.time {list(source.time or ())}"
    try:
        found = time_positions(dates, source.time)
    except ValueError as error:
        return [f"{asked}: {error}; write it like 2002-05-21, 2002-05 or 2002"]
    if found.stop > found.start:
        return []
    span = f"it has {dates.size} from {_text(dates[0])} to {_text(dates[-1])}"
    return [f"{asked} holds no date of the source: {span}"]


def _box_issues(ds: xr.Dataset, source: Source) -> list[str]:
    lat, lon = ds["lat"].values, ds["lon"].values
    if source.bbox_deg is None:
        return []
    rows = range(*lat_positions(lat, source.bbox_deg).indices(lat.size))
    if rows and lon_positions(lon, source.bbox_deg).size:
        return []
    return [
        (
            f"source.bbox_deg {list(source.bbox_deg)} (west, south, east, north) holds no cell's centre of the source:"
            f" it has lat {lat.min():g}..{lat.max():g}, lon {lon.min():g}..{lon.max():g}"
        )
    ]


def _text(value: Any) -> str:
    return str(value)[:19].removesuffix("T00:00:00") if isinstance(value, np.datetime64) else f"{value:g}"
