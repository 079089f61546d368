"""Normalisation: one order, K, floats; bit for bit where nothing is to be done; the same lazily and by windows."""

import logging

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstfill.cube import Window, chunk_windows, normalise, normalise_values, select

TARGET, FEATURE = "land_surface_temperature", "air_temperature_2m"
RANGE = (180.0, 345.0)


# --- values ---


@given(hnp.arrays(np.float32, 20, elements=st.floats(width=32)))
def test_only_values_out_of_the_range_become_missing(values):
    got, n = normalise_values("t", values.copy(), "K", True, RANGE)
    naive = np.array([v if np.isnan(v) or 180 <= v <= 345 else np.nan for v in values], np.float32)
    np.testing.assert_array_equal(got, naive)
    assert n == sum(not (np.isnan(v) or 180 <= v <= 345) for v in values)
    assert got.dtype == np.float32


def test_valid_values_keep_their_bits_and_even_their_memory():
    values = np.array([250.1, np.nan, 180.0, 345.0], np.float32)
    got, n = normalise_values("t", values, "K", True, RANGE)
    assert got is values
    assert n == 0


def test_the_values_given_are_not_changed():
    values = np.array([100.0, 250.0], np.float32)
    normalise_values("t", values, "K", True, RANGE)
    assert values.tolist() == [100.0, 250.0]


def test_the_range_holds_for_kelvin_and_for_the_target_alone():
    celsius = np.array([-100.0, 20.0, 80.0], np.float32)
    target, n = normalise_values("t", celsius, "degC", True, RANGE)
    feature, none = normalise_values("f", celsius, "degC", False, RANGE)
    np.testing.assert_array_equal(target, np.array([np.nan, 293.15, np.nan], np.float32))
    np.testing.assert_array_equal(feature, np.array([173.15, 293.15, 353.15], np.float32))
    assert (n, none) == (2, 0)


def test_what_is_no_temperature_is_left_alone():
    values = np.array([1000.0, -5.0])
    assert normalise_values("elevation", values, None, False, RANGE)[0] is values


def test_values_out_of_range_are_logged(caplog):
    with caplog.at_level(logging.DEBUG, "lstfill"):
        normalise_values("t", np.array([100.0]), "K", True, RANGE)
    assert "t: 1 values out of 180..345 K became missing" in caplog.text


# --- the cube ---


@pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("lat", "lon", "time"), ("lon", "lat", "time")])
def test_any_order_becomes_time_lat_lon(cube, source, dims):
    ds = cube(dims=dims)
    got, recipes = normalise(select(ds, source(extras=["land"])), source(extras=["land"]))
    assert got[TARGET].dims == got[FEATURE].dims == ("time", "lat", "lon")
    assert tuple(got.sizes) == ("time", "lat", "lon")
    assert got["land"].dims == ("lat", "lon")
    assert recipes["land"].static
    assert not recipes[TARGET].static
    np.testing.assert_array_equal(got[TARGET], ds[TARGET].transpose("time", "lat", "lon"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_in_kelvin_stay_bit_for_bit(cube, source, dtype):
    ds = cube(dtype=dtype)
    got, _ = normalise(select(ds, source()), source())
    assert got[TARGET].dtype == dtype
    assert got[TARGET].values.tobytes() == ds[TARGET].values.tobytes()


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int64, np.float16, ">f4"])
def test_other_numbers_become_single_precision(cube, source, dtype):
    ds = cube(dtype=dtype)
    got, _ = normalise(select(ds, source()), source())
    assert got[TARGET].dtype == np.dtype(np.float32)
    assert got[TARGET].dtype.isnative
    np.testing.assert_array_equal(got[TARGET], ds[TARGET].astype(np.float32))


def test_celsius_becomes_kelvin_in_values_and_attributes(cube, source):
    ds = cube()
    ds[FEATURE] = (ds[FEATURE] - 273.15).assign_attrs(units="degree C", valid_min=-80.0, long_name="air")
    got, recipes = normalise(select(ds, source()), source())
    np.testing.assert_allclose(got[FEATURE], cube()[FEATURE], atol=2e-5)
    assert got[FEATURE].attrs == {"units": "K", "long_name": "air"}
    assert recipes[FEATURE].unit_from == "degC"


def test_a_declared_unit_overrides_the_attribute(cube, source):
    ds = cube()
    ds[FEATURE] = (ds[FEATURE] - 273.15).assign_attrs(units="K")
    got, _ = normalise(select(ds, source()), source(units={FEATURE: "°C"}))
    np.testing.assert_allclose(got[FEATURE], cube()[FEATURE], atol=2e-5)
    assert got[FEATURE].attrs["units"] == "K"


def test_spellings_of_kelvin_become_one(cube, source):
    ds = cube()
    ds[TARGET].attrs["units"] = "degrees_kelvin"
    assert normalise(select(ds, source()), source())[0][TARGET].attrs["units"] == "K"


def test_features_of_other_units_stay(cube, source):
    ds = cube()
    ds["height"] = (ds[TARGET] * 10).assign_attrs(units="m")
    config = source(features=[FEATURE, "height"])
    got, _ = normalise(select(ds, config), config)
    np.testing.assert_array_equal(got["height"], ds["height"])
    assert got["height"].attrs["units"] == "m"


def test_extras_keep_their_type_unless_they_are_temperatures(cube, source):
    ds = cube()
    ds["gap"] = (ds[TARGET] > 300).assign_attrs(units="degC")  # as xarray leaves it on a comparison
    ds["code"] = ds["land"].astype(np.int16)
    ds["truth"] = (ds[TARGET] - 273).astype(np.int16).assign_attrs(units="celsius")
    config = source(extras=["gap", "code", "truth"])
    got, _ = normalise(select(ds, config), config)
    assert [got[name].dtype for name in config.extras] == [bool, np.int16, np.float32]
    np.testing.assert_allclose(got["truth"], ds["truth"].astype(np.float64) + 273.15, atol=2e-5)
    np.testing.assert_array_equal(got["gap"], ds["gap"])


def test_limits_of_packed_values_go_and_others_stay(cube, source):
    ds = cube()
    ds[TARGET].attrs |= {"valid_range": [0, 10000]}
    ds[FEATURE].attrs |= {"valid_range": [150.0, 350.0]}
    ds[TARGET].encoding = {"scale_factor": 0.01}
    got, _ = normalise(select(ds, source()), source())
    assert "valid_range" not in got[TARGET].attrs
    assert got[FEATURE].attrs["valid_range"] == [150.0, 350.0]


def test_coordinates_get_the_attributes_they_lack(cube, source):
    ds = cube()
    ds["lon"].attrs["long_name"] = "east of Greenwich"
    got, _ = normalise(select(ds, source()), source())
    assert got["lon"].attrs == {"long_name": "east of Greenwich", "standard_name": "longitude", "units": "degrees_east"}
    assert got["time"].attrs["standard_name"] == "time"
    assert got.attrs["title"] == "a cube"


# --- laziness and windows ---


@pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("lat", "lon", "time")])
@pytest.mark.parametrize("box", [(-180, -90, 180, 90), (100, -50, -100, 50)])
def test_a_part_is_read_by_itself(cube, source, lazily, dims, box):
    ds, reads = lazily(cube(dims=dims))
    config = source(bbox_deg=box)
    got, _ = normalise(select(ds, config), config)
    assert reads == []
    part = got[TARGET].isel(time=[0, 2], lat=1, lon=slice(1, 3))
    assert reads == []
    naive = select(cube(), config)[TARGET].isel(time=[0, 2], lat=1, lon=slice(1, 3))
    np.testing.assert_array_equal(part.values, naive.values)
    assert [np.prod(shape) for shape in reads] == [4]


def read_window(selected, recipes, window):
    """Values by name, and how many of them were out of the valid range."""
    read = {name: recipe.read(selected[name].variable, window.indexers) for name, recipe in recipes.items()}
    return {name: values for name, (values, _) in read.items()}, sum(n for _, n in read.values())


def test_windows_hold_what_the_lazy_cube_holds_and_count_what_is_out_of_range(cube, source, lazily):
    config = source(extras=["land"], valid_range_k=(260, 300), bbox_deg=(100, -50, -100, 50))
    selected = select(lazily(cube(dims=("lon", "time", "lat")))[0], config)
    lazy, recipes = normalise(selected, config)
    shape = tuple(lazy.sizes.values())
    n_out = 0
    for window in chunk_windows(shape, (2, 3, 4)):
        values, n = read_window(selected, recipes, window)
        n_out += n
        for name in (TARGET, FEATURE):
            np.testing.assert_array_equal(values[name], lazy[name].values[window.slices])
        np.testing.assert_array_equal(values["land"], lazy["land"].values[window.slices[1:]])
    raw = select(cube(), config)[TARGET].values
    assert n_out == ((raw < 260) | (raw > 300)).sum() > 0


def test_a_window_reads_no_more_than_its_cells(cube, source, lazily):
    ds, reads = lazily(cube())
    selected = select(ds, source())
    _, recipes = normalise(selected, source())
    read_window(selected, recipes, Window((0, 1, 2), (2, 3, 5)))
    assert reads == [(2, 2, 3), (2, 2, 3)]


def test_a_normalised_cube_is_a_source_that_normalises_to_itself(cube, source):
    once, _ = normalise(select(cube(), source()), source())
    twice, _ = normalise(select(once, source()), source())
    xr.testing.assert_identical(twice.load(), once.load())


def test_the_source_is_not_changed(cube, source):
    ds = cube()
    before = ds.copy(deep=True)
    normalise(select(ds, source(valid_range_k=(260, 300))), source(valid_range_k=(260, 300)))[0].load()
    xr.testing.assert_identical(ds, before)


def test_a_real_cube_is_kept_bit_for_bit(shared_data, source):
    ds = xr.open_zarr(shared_data / "istra_2008.zarr", chunks=None)
    config = source(extras=["truth", "artificial_gap", "land_mask"])
    selected = select(ds, config)
    got, recipes = normalise(selected, config)
    for name in config.variables():
        assert got[name].values.tobytes() == ds[name].values.tobytes(), name
    values, n = read_window(selected, recipes, Window((0, 0, 0), (46, 102, 102)))
    assert n == 0
    assert values["truth"].tobytes() == ds["truth"].values.tobytes()


# --- covariates ---


def covariate(cube, source, values, attrs=None, encoding=None):
    ds = cube()
    ds["cover"] = xr.Variable(("lat", "lon"), np.broadcast_to(values, (6, 12)), attrs or {}, encoding or {})
    config = source(features=[], covariates=["cover"])
    return normalise(select(ds, config), config)[0]["cover"].load()


@pytest.mark.parametrize(
    ("dtype", "attrs", "expected"),
    [
        (np.float32, {}, np.float32),
        (np.float64, {"units": "m"}, np.float64),
        (np.int16, {}, np.int16),
        (np.int16, {"units": "1"}, np.int16),
        (np.int16, {"units": "m"}, np.float32),
        (np.uint8, {"flag_values": [1, 2], "units": "class"}, np.uint8),
        (bool, {}, np.int8),
    ],
)
def test_classes_are_integers_and_amounts_floats(cube, source, dtype, attrs, expected):
    found = covariate(cube, source, np.ones((6, 12), dtype), attrs)
    assert found.dtype == expected
    assert (found == 1).all()


def test_classes_that_a_fill_value_made_floats_are_classes_again(cube, source):
    values = np.full((6, 12), 7, np.float32)
    values[2, 3] = np.nan
    encoding = {"dtype": np.dtype(np.uint8), "_FillValue": np.uint8(255)}
    found = covariate(cube, source, values, encoding=encoding)
    assert found.dtype == np.uint8
    assert (int(found[0, 0]), int(found[2, 3])) == (7, 255)
    heights = covariate(cube, source, values, {"units": "m"}, encoding)
    assert heights.dtype == np.float32
    assert np.isnan(heights[2, 3])


def test_packed_amounts_stay_amounts(cube, source):
    encoding = {"dtype": np.dtype(np.int16), "_FillValue": -1, "scale_factor": 0.1}
    found = covariate(cube, source, np.float32(12.5), encoding=encoding)
    assert found.dtype == np.float32
    assert (found == 12.5).all()


def test_a_temperature_among_covariates_comes_in_kelvin(cube, source):
    found = covariate(cube, source, np.float32(10), {"units": "degC"})
    np.testing.assert_allclose(found, 283.15, atol=1e-4)
    assert found.attrs["units"] == "K"
