"""Time axes: what becomes of other calendars and resolutions, and what is refused."""

import numpy as np
import pytest
import xarray as xr

from lstfill.cube.times import standard_time, to_datetime64


def calendar(name, start="2008-02-27", n=3):
    return xr.date_range(start, periods=n, calendar=name, use_cftime=True).values


def test_nanoseconds_are_returned_as_they_are():
    dates = np.array(["2008-01-01"], "datetime64[ns]")
    assert to_datetime64(dates) is dates


@pytest.mark.parametrize("unit", ["s", "ms", "us", "D"])
def test_other_resolutions_keep_the_moment(unit):
    dates = np.array(["2008-01-01", "NaT"], f"datetime64[{unit}]")
    got = to_datetime64(dates)
    assert got.dtype == "datetime64[ns]"
    np.testing.assert_array_equal(got, dates)


@pytest.mark.parametrize("name", ["standard", "proleptic_gregorian", "noleap", "all_leap", "360_day"])
def test_dates_of_models_keep_year_month_and_day(name):
    got = to_datetime64(calendar(name))
    third = "2008-03-01" if name == "noleap" else "2008-02-29"
    assert [str(date)[:10] for date in got] == ["2008-02-27", "2008-02-28", third]


def test_hours_of_models_are_kept():
    hours = xr.date_range("2001-02-28T18:30", periods=2, freq="6h", calendar="noleap", use_cftime=True).values
    assert [str(date)[:16] for date in to_datetime64(hours)] == ["2001-02-28T18:30", "2001-03-01T00:30"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.arange(3), "time holds int64 and no dates"),
        (np.array(["2008-01-01"]), "time holds <U10 and no dates"),
        (np.array([None, 1], object), "time holds object and no dates"),
        (calendar("360_day", "2008-02-30"), "'360_day' and the date 2008-02-30, which the standard calendar does not"),
        (calendar("all_leap", "2007-02-29"), "'all_leap' and the date 2007-02-29"),
        (calendar("julian"), "calendar 'julian', whose dates are other days"),
        (np.array(["1600-01-01"], "datetime64[s]"), "time reaches from year 1600 to 1600; only 1678 to 2261"),
    ],
)
def test_what_is_refused(values, text):
    with pytest.raises(ValueError, match=text):
        to_datetime64(values)


def test_a_cube_of_the_standard_calendar_is_returned_as_it_is():
    ds = xr.Dataset(coords={"time": np.array(["2008-01-01"], "datetime64[ns]")})
    assert standard_time(ds) is ds


def test_a_cube_of_a_model_keeps_the_attributes_of_its_time():
    ds = xr.Dataset({"t": ("time", [1, 2, 3])}, {"time": ("time", calendar("noleap"), {"long_name": "model time"})})
    ds["time"].encoding["calendar"] = "noleap"
    got = standard_time(ds)
    assert got["time"].attrs == {"long_name": "model time"}
    assert got["time"].encoding == {}  # a store written with the old calendar would be refused
    assert got.indexes["time"].dtype == "datetime64[ns]"
