"""Time axes: dates of other calendars, and dates of other resolutions, as datetime64[ns]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

# Each of their dates is a date of the standard calendar too, but for 29 and 30 February. A date of the Julian calendar
# is another day than the same date of the Gregorian one, so that calendar is not among them.
_RELABELLED = ("standard", "gregorian", "proleptic_gregorian", "noleap", "365_day", "all_leap", "366_day", "360_day")
# datetime64[ns] counts from 1970 in 64 bits.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261


def standard_time(ds: xr.Dataset) -> xr.Dataset:
    """The same cube with its time as datetime64[ns] of the standard calendar.

    Raises:
        ValueError: if a date has no counterpart there, as ``to_datetime64`` says.
    """
    values = ds["time"].values
    dates = to_datetime64(values)
    return ds if dates is values else ds.assign_coords(time=("time", dates, dict(ds["time"].attrs)))


def to_datetime64(values: NDArray[Any]) -> NDArray[np.datetime64]:
    """Dates as datetime64[ns]; dates of a model's calendar become the same year, month and day of the standard one.

    Args:
        values: datetime64 of any resolution, or cftime objects ``(time,)``.

    Raises:
        ValueError: if the values are no dates, the calendar has dates that do not exist in the standard one, or the
            years do not fit datetime64[ns].
    """
    if values.dtype == np.dtype("datetime64[ns]"):
        return values
    dates = values if values.dtype.kind == "M" else _from_cftime(values)
    years = dates[~np.isnat(dates)].astype("datetime64[Y]").astype(np.int64) + 1970
    if years.size and (years.min() < _FIRST_YEAR or years.max() > _LAST_YEAR):
        raise ValueError(
            f"time reaches from year {years.min()} to {years.max()}; only {_FIRST_YEAR} to {_LAST_YEAR} can be told"
            " to the nanosecond: set source.time, or correct the time axis"
        )
    return dates.astype("datetime64[ns]")


def _from_cftime(values: NDArray[Any]) -> NDArray[np.datetime64]:
    calendar = getattr(values.flat[0], "calendar", None) if values.size else None
    if values.dtype != object or calendar is None:
        raise ValueError(
            f"time holds {values.dtype} and no dates: give it units like 'days since 1970-01-01' and a calendar"
        )
    if calendar not in _RELABELLED:
        raise ValueError(
            f"time has calendar {calendar!r}, whose dates are other days than the standard calendar's: convert it"
            " with ds.convert_calendar('standard')"
        )
    return np.array([_from_one(date) for date in values], "datetime64[us]")


def _from_one(date: Any) -> np.datetime64:
    try:
        return np.datetime64(date.isoformat(), "us")
    except ValueError:
        raise ValueError(
            f"time has calendar {date.calendar!r} and the date {date.isoformat()[:10]}, which the standard calendar"
            " does not have: convert it with ds.convert_calendar('standard', align_on='year')"
        ) from None
