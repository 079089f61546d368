"""The made-up planet: its law and noise, its gaps, its layout, and what it depends on."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.config import Source
from lstfill.cube import check_source, normalise, season, select
from lstfill.synthetic import FEATURE, INTERCEPT_K, SLOPE, TARGET, esdc_like, esdc_times

SHAPE = (6, 60, 120)


def two_continents(shape=SHAPE):
    """Land in a third of the columns, and a southern polar cap."""
    land = np.zeros(shape[1:], bool)
    land[:, : shape[2] // 3] = True
    land[-shape[1] // 9 :] = True
    return land


def planet(shape=SHAPE, seed=7, **changes):
    return esdc_like(shape, seed=seed, **{"land": two_continents(shape), **changes})


@pytest.fixture(scope="module")
def faithful():
    return planet()


@pytest.fixture(scope="module")
def plain():
    return planet(faithful=False)


# --- what it depends on ---


def test_the_same_seed_gives_the_same_bits(faithful):
    again = planet()
    xr.testing.assert_identical(again[0], faithful[0])
    xr.testing.assert_identical(again[1], faithful[1])


def test_another_seed_gives_another_planet(faithful):
    assert not np.array_equal(planet(seed=8)[0][FEATURE], faithful[0][FEATURE])


def test_a_longer_cube_begins_like_a_shorter_one(faithful):
    cube, truth = planet((3, *SHAPE[1:]))
    xr.testing.assert_equal(cube, faithful[0].isel(time=slice(3)).assign_attrs(cube.attrs))
    xr.testing.assert_equal(truth, faithful[1].isel(time=slice(3)))


def test_a_seed_is_required():
    with pytest.raises(TypeError, match="seed"):
        esdc_like(SHAPE)


def test_ascending_rows_are_the_same_planet(faithful):
    cube, truth = planet(lat_descending=False, land=two_continents()[::-1])
    assert (np.diff(cube["lat"]) > 0).all()
    xr.testing.assert_identical(cube.isel(lat=slice(None, None, -1)), faithful[0])
    xr.testing.assert_identical(truth.isel(lat=slice(None, None, -1)), faithful[1])


@settings(max_examples=15, deadline=None)
@given(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)), st.integers(0, 2**32), st.booleans())
def test_any_shape_and_seed(shape, seed, faithful):
    cube, truth = esdc_like(shape, seed=seed, land=np.ones(shape[1:], bool), faithful=faithful)
    assert cube[TARGET].shape == truth.shape == shape
    assert np.isfinite(cube[FEATURE]).all()
    assert np.isfinite(truth).all()


# --- the law ---


def test_the_law_and_the_size_of_the_noise(plain):
    cube, truth = plain
    land = two_continents()
    residual = (truth - (SLOPE * cube[FEATURE] + INTERCEPT_K)).values[:, land]
    assert residual.mean() == pytest.approx(0, abs=0.25)
    assert residual.std() == pytest.approx(3.0, abs=0.15)
    assert np.abs(residual).mean() == pytest.approx(3.0 * np.sqrt(2 / np.pi), abs=0.12)  # 2.39 K
    slope, intercept = np.polyfit(cube[FEATURE].values[:, land].astype(float).ravel(), truth.values[:, land].ravel(), 1)
    assert slope == pytest.approx(1.12, abs=0.01)
    assert intercept == pytest.approx(-30, abs=3)


def test_half_of_the_noise_is_correlated_in_space():
    shape = (2, 180, 360)
    cube, truth = planet(shape, faithful=False, land=np.ones(shape[1:], bool))
    residual = (truth - (SLOPE * cube[FEATURE] + INTERCEPT_K)).values
    neighbours = np.mean(residual[:, :, 1:] * residual[:, :, :-1]) / residual.var()
    # White noise smoothed by a Gaussian of deviation s is correlated over a distance d by exp(-d^2 / 4 s^2); d = s = 1.
    assert neighbours == pytest.approx(0.5 * np.exp(-0.25), abs=0.05)


def test_without_noise_the_law_is_exact():
    cube, truth = planet(noise_k=0.0, faithful=False)
    land = two_continents()
    lawful = SLOPE * cube[FEATURE].values + INTERCEPT_K
    np.testing.assert_allclose(truth.values[:, land], lawful[:, land], atol=1e-4)


def test_the_regional_law_is_no_line():
    cube, truth = planet(relation="regional", noise_k=0.0, faithful=False)
    land = two_continents()
    air, surface = cube[FEATURE].values[:, land].astype(float).ravel(), truth.values[:, land].astype(float).ravel()
    residual = surface - np.polyval(np.polyfit(air, surface, 1), air)
    assert residual.std() > 1.5
    excess = (truth - cube[FEATURE]).mean("time").where(xr.DataArray(land, dims=("lat", "lon"))).mean("lon")
    dry, wet = excess.sel(lat=slice(30, 18)).mean(), excess.sel(lat=slice(6, -6)).mean()
    assert dry > wet + 3  # hotter than the air over the subtropics' dry ground


# --- the planet ---


def test_it_is_warm_at_the_equator_and_cold_at_the_poles(faithful):
    zonal = faithful[0][FEATURE].mean(("time", "lon"))
    assert 295 < zonal.sel(lat=slice(10, -10)).mean() < 305
    assert zonal.sel(lat=slice(90, 75)).mean() < 272
    assert zonal.sel(lat=slice(-75, -90)).mean() < 250


def test_seasons_are_opposite_in_the_hemispheres_and_stronger_on_land():
    cube, _ = planet((46, 30, 60), start="2003-01-05")
    codes = season(cube["time"].values, np.zeros(1))[:, 0]
    summer_minus_winter = cube[FEATURE][codes == 2].mean("time") - cube[FEATURE][codes == 0].mean("time")
    north, south = summer_minus_winter.sel(lat=slice(60, 40)), summer_minus_winter.sel(lat=slice(-40, -60))
    assert north.mean() > 5
    assert south.mean() < -5
    assert north[:, 5:15].mean() > north[:, 30:50].mean() + 3


def test_values_are_temperatures_of_the_earth(faithful):
    cube, truth = faithful
    assert cube[FEATURE].min() > 190
    assert cube[FEATURE].max() < 325
    low, high = Source(uri="x").valid_range_k
    assert truth.min() > low
    assert truth.max() < high


# --- the gaps ---


def test_observed_values_are_the_truth_bit_for_bit(faithful, plain):
    for cube, truth in (faithful, plain):
        seen = np.isfinite(cube[TARGET].values)
        assert 0.05 < seen.mean() < 0.9
        assert cube[TARGET].values[seen].tobytes() == truth.values[seen].tobytes()


@pytest.mark.parametrize("gap", [0.0, 0.25, 0.6])
def test_the_share_of_land_under_clouds_is_the_one_asked_for(gap):
    cube, _ = planet(gap=gap, faithful=False)
    missing = np.isnan(cube[TARGET].values[:, two_continents()]).mean(axis=1)
    np.testing.assert_allclose(missing, gap, atol=0.002)


def test_clouds_hang_together():
    shape = (2, 180, 360)
    cube, _ = planet(shape, faithful=False, land=np.ones(shape[1:], bool))
    clouds = np.isnan(cube[TARGET].values)
    same = (clouds[:, :, 1:] == clouds[:, :, :-1]).mean()
    assert clouds.mean() == pytest.approx(0.25, abs=0.001)
    assert same > 0.9  # 0.63 if a quarter of the cells were drawn one by one


def test_a_plain_planet_has_no_values_over_the_sea(plain):
    assert np.isnan(plain[1].values[:, ~two_continents()]).all()
    assert np.isfinite(plain[1].values[:, two_continents()]).all()


def test_a_faithful_planet_has_values_over_sea_ice_alone(faithful):
    cube, truth = faithful
    sea = np.isfinite(truth.values) & ~two_continents()
    assert sea.sum() > 100
    assert (cube[FEATURE].values[sea] < 271).all()
    assert (np.abs(truth["lat"].values[np.nonzero(sea)[1]]) > 55).all()
    assert (np.isfinite(cube[TARGET].values) & sea).any()
    assert np.isfinite(truth.values[:, two_continents()]).all()


def test_nothing_is_seen_next_to_the_poles_nor_in_polar_night(faithful):
    observed = faithful[0][TARGET]
    assert np.isnan(observed.where(np.abs(observed["lat"]) > 83.7, drop=True)).all()
    in_june = observed.sel(time=slice("2002-06", "2002-06"))
    assert np.isnan(in_june.sel(lat=slice(-67, -90))).all()
    assert np.isfinite(in_june.sel(lat=slice(83, 67))).any()


def test_swaths_leave_more_out_at_the_equator_than_at_60_degrees():
    cube, _ = planet((6, 180, 360), gap=0.0, land=np.ones((180, 360), bool))
    missing = np.isnan(cube[TARGET]).mean(("time", "lon"))
    # A swath of 4.6 degrees every 8.6 at the equator; twice as wide in degrees at 60 north.
    assert missing.sel(lat=0.5) == pytest.approx(1 - 4.6 / 8.6, abs=0.02)
    assert missing.sel(lat=60.5) == 0


# --- the layout ---


def test_steps_start_anew_each_5_january():
    time = esdc_times(100, "2002-05-21")
    assert time.dtype == "datetime64[ns]"
    assert str(time[0])[:10] == "2002-05-21"
    days = np.diff(time).astype("timedelta64[D]").astype(int)
    assert set(days) == {8, 5}  # 31 December to 5 January is 5 days, in a common year
    assert [str(t)[5:10] for t in time[1:][days == 5]] == ["01-05", "01-05"]


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("2003-01-05", "2003-01-05"),
        ("2003-01-06", "2003-01-13"),
        ("2003-01-01", "2003-01-05"),
        ("2004-12-31", "2005-01-05"),
    ],
)
def test_the_first_step_is_on_or_after_the_start(start, first):
    assert str(esdc_times(1, start)[0])[:10] == first


def test_the_axis_of_the_data_cube():
    time = esdc_times(1840, "1979-01-05")
    assert [str(t)[:10] for t in time[[0, -1]]] == ["1979-01-05", "2018-12-31"]  # as published for version 2.1.1


def test_the_grid_and_its_bounds(faithful):
    cube = faithful[0]
    assert dict(cube.sizes) == {"time": 6, "lat": 60, "lon": 120, "bnds": 2}
    np.testing.assert_allclose(cube["lat"], np.linspace(88.5, -88.5, 60))
    np.testing.assert_allclose(cube["lon"], np.linspace(-178.5, 178.5, 120))
    for dim in ("time", "lat", "lon"):
        bounds = cube[cube[dim].attrs["bounds"]]
        assert ((bounds.min("bnds") < cube[dim]) & (cube[dim] < bounds.max("bnds"))).all()
    np.testing.assert_allclose(cube["lat_bnds"][:-1, 1], cube["lat_bnds"][1:, 0])
    np.testing.assert_allclose(cube["lon_bnds"][[0, -1]], [[-180, -177], [177, 180]])


def test_bounds_of_time_end_with_the_year():
    cube, _ = planet((47, 4, 4), start="2003-01-05")
    bounds = cube["time_bnds"].values
    assert (bounds[1:, 0] == bounds[:-1, 1]).all()
    assert [str(b)[:10] for b in bounds[45]] == ["2003-12-27", "2004-01-01"]


def test_types_and_attributes(faithful):
    cube, truth = faithful
    assert cube[TARGET].dtype == cube[FEATURE].dtype == truth.dtype == np.float32
    assert cube["lat"].dtype == np.float64
    assert cube[TARGET].attrs["units"] == cube[FEATURE].attrs["units"] == truth.attrs["units"] == "K"
    assert truth.name == "land_surface_temperature_truth"
    assert cube.attrs["time_coverage_start"] == "2002-05-21T00:00:00"


def test_it_is_a_fit_source_with_its_truth_beside_it(faithful):
    cube, truth = faithful
    source = Source(uri="x", extras=["truth"], bbox_deg=(150, -60, -150, 60))
    ds = cube.assign(truth=truth)
    assert check_source(ds, source) == []
    normalised, _ = normalise(select(ds, source), source)
    assert normalised[TARGET].dims == ("time", "lat", "lon")
    assert "bounds" not in normalised["lat"].attrs


def test_the_default_land_is_the_earths():
    pytest.importorskip("global_land_mask")
    _, truth = esdc_like((1, 36, 72), seed=1, faithful=False)
    land = np.isfinite(truth[0])
    assert land.sel(lat=47.5, lon=12.5)  # Alps
    assert land.sel(lat=-22.5, lon=132.5)  # Australia
    assert not land.sel(lat=2.5, lon=-147.5)  # Pacific
    assert land.mean() == pytest.approx(0.33, abs=0.05)  # of the cells of a regular grid
