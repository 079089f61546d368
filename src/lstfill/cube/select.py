"""The part of a source that is asked for: variables, dates and box. Lazy: only coordinates are looked at."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from lstfill.cube.further import flattened
from lstfill.cube.times import standard_time
from lstfill.cube.windows import DIMS

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from lstfill.config import Source

BBox = tuple[float, float, float, float]

# About 0.1 m: coordinates stored in single precision miss a box's edge by less.
TOLERANCE_DEG = 1e-6
_ISO_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?Z?)?)?)?")
# Attributes by which one variable names others (CF 1.11, appendix A).
_REFERENCES = ("bounds", "climatology", "ancillary_variables", "cell_measures", "coordinates", "formula_terms")


def select(ds: xr.Dataset, source: Source) -> xr.Dataset:
    """Cuts the variables, the dates and the box of the configuration out of a source that was checked.

    Nothing is read but coordinates. The latitudes keep their direction. A box over the seam of the source's longitudes
    gives longitudes that keep growing, from the box's own west: 170 to 190, or -10 to 30.

    Args:
        ds: an opened source, ``(time, lat, lon)`` in any order, with the further ones that ``source.select`` names.
        source: which part of it.

    Returns:
        The variables of ``source.variables()`` on ``time``, ``lat`` and ``lon``, and no other variable or coordinate.
    """
    cut = _only(standard_time(flattened(ds, source)), source.variables())
    cut = cut.isel(time=time_positions(cut["time"].to_numpy(), source.time))
    if source.bbox_deg:
        cut = _boxed(cut, source.bbox_deg)
    return _extent_stated(_references_resolved(cut))


def positions(ds: xr.Dataset, source: Source) -> dict[str, NDArray[np.int64]]:
    """Where in the source each cell is that ``select`` gives: indices along ``time``, ``lat`` and ``lon``."""
    columns: dict[str, slice | NDArray[np.int64]] = {
        "time": time_positions(standard_time(ds)["time"].to_numpy(), source.time)
    }
    if source.bbox_deg:
        columns["lat"] = lat_positions(ds["lat"].to_numpy(), source.bbox_deg)
        columns["lon"] = lon_positions(ds["lon"].to_numpy(), source.bbox_deg)
    return {dim: np.arange(ds.sizes[dim])[columns.get(dim, slice(None))] for dim in DIMS}


def time_positions(time: NDArray[np.datetime64], period: tuple[str, str] | None) -> slice:
    """Positions of the dates from the first to the last of a period, both included.

    Args:
        time: dates that increase ``(time,)``.
        period: two dates as in ISO 8601; a year, a month or a day stands for all of it.

    Raises:
        ValueError: if one of the two is no date.
    """
    if period is None:
        return slice(0, time.size)
    first, last = (_parsed(text) for text in period)
    # Microseconds reach every year that four digits can name, nanoseconds do not.
    dates = time.astype("datetime64[us]")
    # One more year, month or day, whichever the text names.
    after = (last.astype(np.int64) + 1).astype(last.dtype)
    bounds = [first.astype("datetime64[us]"), after.astype("datetime64[us]")]
    start, stop = np.searchsorted(dates, np.array(bounds), side="left")
    return slice(int(start), max(int(start), int(stop)))


def lat_positions(lat: NDArray[Any], bbox_deg: BBox) -> slice:
    """Positions of the rows whose centres lie in a box, in the order they have."""
    south, north = bbox_deg[1] - TOLERANCE_DEG, bbox_deg[3] + TOLERANCE_DEG
    return _as_slice(np.flatnonzero((lat >= south) & (lat <= north)))


def lon_positions(lon: NDArray[Any], bbox_deg: BBox) -> NDArray[np.int64]:
    """Positions of the columns whose centres lie in a box, from west to east.

    Args:
        lon: longitudes that increase, in degrees east, -180..180 or 0..360.
        bbox_deg: west, south, east, north in degrees, in either convention; west > east crosses the date line.
    """
    west, east = bbox_deg[0], bbox_deg[2]
    width = min(east - west, 360.0) if east >= west else (east - west) % 360.0
    offset = (lon.astype(np.float64) - west + TOLERANCE_DEG) % 360.0
    inside = np.flatnonzero(offset <= width + 2 * TOLERANCE_DEG)
    # A box around the whole globe has no west: the source's own order is kept.
    return inside if inside.size == lon.size else inside[np.argsort(offset[inside], kind="stable")]


def _parsed(text: str) -> np.datetime64:
    """A date in the resolution it is written in, so that one more is the end of the year, month or day."""
    if not _ISO_DATE.fullmatch(text):
        raise ValueError(f"{text!r} is no date")
    try:
        return np.datetime64(text.removesuffix("Z"))
    except ValueError:
        raise ValueError(f"{text!r} is no date") from None


def _only(ds: xr.Dataset, names: list[str]) -> xr.Dataset:
    kept = ds.reset_coords([name for name in names if name in ds.coords])[names]
    return kept.drop_vars([name for name in kept.coords if name not in DIMS])


def _boxed(ds: xr.Dataset, bbox_deg: BBox) -> xr.Dataset:
    lon = ds["lon"].to_numpy()
    columns = lon_positions(lon, bbox_deg)
    cut = ds.isel(lat=lat_positions(ds["lat"].to_numpy(), bbox_deg))
    if np.all(np.diff(columns) == 1):
        return cut.isel(lon=_as_slice(columns))
    # One array of positions keeps a lazy variable lazy, where concatenating two slices would read it.
    joined = cut.isel(lon=columns)
    return joined.assign_coords(lon=("lon", _continued(lon[columns], bbox_deg[0]), dict(ds["lon"].attrs)))


def _continued(lon: NDArray[Any], west: float) -> NDArray[np.float64]:
    """Moves longitudes by whole turns, so that they grow from ``west`` on."""
    wide = lon.astype(np.float64)
    turns = np.ceil((west - TOLERANCE_DEG - wide) / 360.0)
    moved: NDArray[np.float64] = wide + 360.0 * turns
    return moved


def _as_slice(positions: NDArray[np.int64]) -> slice:
    return slice(int(positions[0]), int(positions[-1]) + 1) if positions.size else slice(0, 0)


def _references_resolved(ds: xr.Dataset) -> xr.Dataset:
    """Takes out the attributes that name a variable which was left behind."""
    resolved = ds.copy(deep=False)
    for variable in resolved.variables.values():
        for key in (*_REFERENCES, "grid_mapping"):
            words = str(variable.attrs.get(key, "")).replace(":", " : ").split()
            if any(word not in resolved.variables for word in _named(key, words)):
                del variable.attrs[key]
    return resolved


def _named(key: str, words: list[str]) -> list[str]:
    """Names of variables in a reference: in pairs like ``area: cell_area`` the second is one."""
    if key in ("cell_measures", "formula_terms"):
        return [word for before, word in itertools.pairwise(words) if before == ":"]
    return [word for word in words if word != ":"]


def _extent_stated(ds: xr.Dataset) -> xr.Dataset:
    """Corrects the attributes that state the extent, where there are any (named as in ACDD 1.3)."""
    if not all(ds.sizes[name] for name in DIMS):
        return ds
    lat, lon, time = ds["lat"].to_numpy(), ds["lon"].to_numpy(), ds["time"].to_numpy()
    extent = {
        "geospatial_lat_min": float(lat.min()),
        "geospatial_lat_max": float(lat.max()),
        "geospatial_lon_min": float(lon.min()),
        "geospatial_lon_max": float(lon.max()),
        "time_coverage_start": str(time[0].astype("datetime64[s]")),
        "time_coverage_end": str(time[-1].astype("datetime64[s]")),
    }
    return ds.assign_attrs({key: value for key, value in extent.items() if key in ds.attrs})
