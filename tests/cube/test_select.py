"""Selection: which cells a period and a box mean, and that nothing is read for it."""

import datetime as dt

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

from lstfill.cube.select import lat_positions, lon_positions, select, time_positions

TARGET, FEATURE = "land_surface_temperature", "air_temperature_2m"


def lon_of(ds):
    return ds["lon"].values.tolist()


# --- variables ---


def test_only_what_is_asked_for_is_left(cube, source):
    got = select(cube(), source(extras=["land"]))
    assert list(got.data_vars) == [TARGET, FEATURE, "land"]
    assert set(got.coords) == {"time", "lat", "lon"}
    assert set(got.sizes) == {"time", "lat", "lon"}


def test_without_period_and_box_all_is_left_bit_for_bit(cube, source):
    ds = cube()
    got = select(ds, source())
    xr.testing.assert_equal(got[TARGET], ds[TARGET].drop_vars("crs"))


def test_an_extra_that_is_a_coordinate_becomes_a_variable(cube, source):
    got = select(cube().set_coords("land"), source(extras=["land"]))
    assert "land" in got.data_vars


def test_attributes_that_name_what_is_left_behind_go(cube, source):
    ds = cube()
    ds[TARGET].attrs |= {
        "grid_mapping": "crs",
        "ancillary_variables": "land quality",
        "cell_measures": "area: cell_area",
        "cell_methods": "time: mean",
    }
    ds[FEATURE].attrs |= {"ancillary_variables": "land"}
    got = select(ds, source(extras=["land"]))
    assert got[TARGET].attrs == {"units": "K", "standard_name": "surface_temperature", "cell_methods": "time: mean"}
    assert got[FEATURE].attrs == {"units": "K", "ancillary_variables": "land"}
    assert got["lat"].attrs == {"units": "degrees_north"}
    assert got["time"].attrs == {}


def test_the_source_itself_is_not_changed(cube, source):
    ds = cube()
    before = ds.copy(deep=True)
    select(ds, source(bbox_deg=(100, -50, -100, 50)))
    xr.testing.assert_identical(ds, before)


def test_attributes_of_the_extent_are_corrected_where_there_are_any(cube, source):
    got = select(cube(), source(bbox_deg=(0, -50, 80, 50)))
    assert got.attrs == {"title": "a cube", "geospatial_lat_max": 45.0, "geospatial_lon_min": 15.0}


# --- time ---


@pytest.mark.parametrize(
    ("period", "days"),
    [
        (("2008-01-05", "2008-01-13"), [0, 1]),  # both included
        (("2008-01-06", "2008-12-30"), [1, 2]),
        (("2008", "2008"), [0, 1, 2]),
        (("2008-01", "2008-01"), [0, 1]),
        (("2007", "2008-01-05"), [0]),
        (("2008-12-30T00", "2010"), [2]),
        (("2008-01-06", "2008-12-30T00:00:00Z"), [1, 2]),
        (("1850", "9999-12-31"), [0, 1, 2]),
        (("2009", "2010"), []),
        (None, [0, 1, 2]),
    ],
)
def test_periods(cube, source, period, days):
    ds = cube()
    np.testing.assert_array_equal(select(ds, source(time=period))["time"], ds["time"][days])


def test_a_date_means_the_whole_day():
    hours = np.arange("2008-01-01", "2008-01-03", dtype="datetime64[h]").astype("datetime64[ns]")
    assert time_positions(hours, ("2008-01-02", "2008-01-02")) == slice(24, 48)
    assert time_positions(hours, ("2008-01-01T22", "2008-01-02T01:00")) == slice(22, 26)


DATES = st.dates(dt.date(1985, 1, 1), dt.date(2025, 1, 1))


@given(DATES, DATES, st.sampled_from([4, 7, 10]), st.sampled_from([4, 7, 10]))
def test_periods_are_those_of_xarray(first, last, n, m):
    time = xr.date_range("1990-01-05", periods=60, freq="170D")
    period = (first.isoformat()[:n], last.isoformat()[:m])
    naive = xr.DataArray(np.arange(60), {"time": time}).sel(time=slice(*period))
    assert list(range(60)[time_positions(time.values, period)]) == naive.values.tolist()


def test_a_model_calendar_becomes_the_standard_one(cube, source):
    time = xr.date_range("2008-02-28", periods=3, freq="D", calendar="noleap", use_cftime=True)
    got = select(cube(time=time.values), source(time=("2008-03", "2008-03")))
    assert got["time"].dtype == "datetime64[ns]"
    np.testing.assert_array_equal(got["time"], np.array(["2008-03-01", "2008-03-02"], "datetime64[ns]"))


def test_dates_of_another_resolution_become_nanoseconds(cube, source):
    got = select(cube(time=np.array(["2008-01-05", "2008-01-13"], "datetime64[s]")), source())
    assert got["time"].dtype == "datetime64[ns]"


# --- latitude ---


@pytest.mark.parametrize("lat", [[75.0, 45, 15, -15, -45, -75], [-75.0, -45, -15, 15, 45, 75]])
def test_the_direction_of_the_rows_is_kept(cube, source, lat):
    got = select(cube(lat=lat), source(bbox_deg=(-180, -20, 180, 50)))
    assert got["lat"].values.tolist() == [v for v in lat if -20 <= v <= 50]


def test_a_centre_on_the_edge_is_inside_also_in_single_precision():
    lat = np.array([0.3, 0.2, 0.1], np.float32)
    assert lat_positions(lat, (0, 0.1, 1, 0.2)) == slice(1, 3)


def test_no_row_is_an_empty_slice():
    assert lat_positions(np.array([0.0, 1.0]), (0, 50, 1, 60)) == slice(0, 0)


# --- longitude ---


@pytest.mark.parametrize(
    ("box", "lon"),
    [
        ((-50, 50), [-45, -15, 15, 45]),
        ((150, 210), [165, 195]),  # over the date line, east beyond 180
        ((150, -150), [165, 195]),  # the same box
        ((-210, -150), [-195, -165]),  # the same, counted from the west
        ((200, 260), [-135, -105]),  # the other convention, off the date line: the source's own longitudes
        ((350, 50), [15, 45]),
        ((320, 50), [-15, 15, 45]),
        ((-180, 180), list(range(-165, 180, 30))),
        ((0, 360), list(range(-165, 180, 30))),
        ((15, 15), [15]),
    ],
)
def test_boxes_on_longitudes_from_minus_180(cube, source, box, lon):
    got = select(cube(), source(bbox_deg=(box[0], -90, box[1], 90)))
    assert lon_of(got) == lon


@pytest.mark.parametrize(
    ("box", "lon"),
    [
        ((150, 210), [165, 195]),
        ((150, -150), [165, 195]),
        ((-150, -100), [225, 255]),
        ((-50, 50), [-45, -15, 15, 45]),  # over this source's seam, which is Greenwich
        ((310, 50), [315, 345, 375, 405]),
        ((-180, 180), list(range(15, 360, 30))),
    ],
)
def test_boxes_on_longitudes_from_0(cube, source, box, lon):
    got = select(cube(lon=np.arange(15.0, 360, 30)), source(bbox_deg=(box[0], -90, box[1], 90)))
    assert lon_of(got) == lon


def test_a_cube_that_crosses_the_date_line_can_be_cut_again(cube, source):
    ds = cube(lon=[165.0, 195.0, 225.0])
    assert lon_of(select(ds, source(bbox_deg=(-170, -90, -140, 90)))) == [195]
    assert lon_of(select(ds, source(bbox_deg=(160, -90, -160, 90)))) == [165, 195]


@given(
    first=st.sampled_from([-180.0, 0.0, -90.0]),
    n=st.integers(1, 72),
    west=st.integers(-360, 359),
    width=st.integers(0, 359),
)
def test_the_columns_of_a_box_are_those_within_it_and_grow(first, n, west, width):
    lon = first + 2.5 + 5.0 * np.arange(n)
    east = west + width if west + width <= 360 else west + width - 360
    assume(east != west or width == 0)
    got = lon_positions(lon, (west, -90, east, 90))
    naive = {i for i, x in enumerate(lon) if any(west <= x + 360 * k <= west + width for k in range(-3, 4))}
    assert set(got.tolist()) == naive
    assert len(got) == len(naive)
    if len(naive) < n:
        assert (np.diff((lon[got] - west) % 360) > 0).all()


@given(west=st.integers(-360, 360), width=st.integers(1, 355), lat_up=st.booleans())
def test_every_selected_value_keeps_its_place(west, width, lat_up):
    lon = np.arange(-177.5, 180, 5)
    lat = np.array([0.0, 10.0]) if lat_up else np.array([10.0, 0.0])
    east = west + width if west + width <= 360 else west + width - 360
    assume(west <= 0 or east > west or west - east < 360)
    values = np.broadcast_to(lon, (1, 2, 72)) + 1000 * lat[:, None]
    time = np.array(["2008-01-01"], "datetime64[ns]")
    ds = xr.Dataset({"t": (("time", "lat", "lon"), values)}, {"time": time, "lat": lat, "lon": lon})
    from lstfill.config import Source

    got = select(ds, Source(uri="x", target="t", features=[], bbox_deg=(west, -90, east, 90)))
    assert (np.diff(got["lon"]) > 0).all()
    place = (got["t"].values - 1000 * got["lat"].values[None, :, None] - got["lon"].values) % 360
    assert (place == 0).all()


def test_longitudes_that_do_not_wrap_keep_type_and_bits(cube, source):
    lon = (np.arange(12) * 30 - 164.9).astype(np.float32)
    got = select(cube(lon=lon), source(bbox_deg=(200, -90, 300, 90)))
    assert got["lon"].dtype == np.float32
    assert set(lon_of(got)) <= set(lon.tolist())


# --- laziness ---


@pytest.mark.parametrize("box", [(-50, -50, 50, 50), (150, -50, -150, 50)])
def test_nothing_is_read_until_it_is_asked_for_and_then_no_more_than_that(cube, source, lazily, box):
    ds, reads = lazily(cube())
    got = select(ds, source(time=("2008-01", "2008-01"), bbox_deg=box))
    assert reads == []
    part = got[TARGET].isel(time=slice(0, 1), lon=slice(0, 2)).values
    assert reads == [part.shape]
    assert part.shape == (1, 4, 2)


def test_lazy_and_loaded_sources_give_the_same(cube, source, lazily):
    box = source(bbox_deg=(100, -50, -100, 50), extras=["land"])
    xr.testing.assert_identical(select(lazily(cube())[0], box).load(), select(cube(), box))


def test_a_real_cube(shared_data, source):
    ds = xr.open_zarr(shared_data / "istra_2008.zarr", chunks=None)
    got = select(ds, source(time=("2008-06", "2008-08"), bbox_deg=(13.9, 45.0, 14.3, 45.3)))
    naive = ds.sel(time=slice("2008-06", "2008-08"), lat=slice(45.3, 45.0), lon=slice(13.9, 14.3))
    xr.testing.assert_equal(got, naive[[TARGET, FEATURE]])
    assert got.sizes["lat"] > 10
