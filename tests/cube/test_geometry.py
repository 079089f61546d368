"""Geometry: weights, bands, seasons and the seam of a grid, against naive expressions and known dates."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.cube import LATITUDE_BANDS_DEG, SEASONS, band_labels, cos_lat, is_global_lon, latitude_band, season


@given(st.floats(-90, 90))
def test_weights_are_the_cosine_and_never_negative(lat):
    weight = cos_lat(lat)
    assert weight == pytest.approx(math.cos(math.radians(lat)), abs=1e-12)
    assert weight >= 0


def test_weights_of_a_regular_grid_add_up_to_its_area():
    lat = np.arange(-89.5, 90, 1.0)
    area = np.sin(np.deg2rad(lat + 0.5)) - np.sin(np.deg2rad(lat - 0.5))  # exact, of a band of one degree
    np.testing.assert_allclose(cos_lat(lat) / cos_lat(lat).sum(), area / area.sum(), rtol=1e-9)


def test_weights_of_single_precision_are_double():
    assert cos_lat(np.array([60.0], np.float32)).dtype == np.float64


@given(st.floats(-90, 90))
def test_each_latitude_lies_in_its_band(lat):
    band = int(latitude_band(lat))
    assert 0 <= band < len(LATITUDE_BANDS_DEG) - 1
    low, high = LATITUDE_BANDS_DEG[band], LATITUDE_BANDS_DEG[band + 1]
    assert low <= lat < high or lat == high == 90


@pytest.mark.parametrize(
    ("lat", "band"), [(-90, 0), (-60, 1), (-1e-9, 2), (0, 3), (30, 4), (59.99, 4), (60, 5), (90, 5)]
)
def test_edges_of_bands(lat, band):
    assert latitude_band(np.array([lat]))[0] == band


def test_labels_of_bands_go_from_south_to_north():
    assert band_labels() == ("90S-60S", "60S-30S", "30S-0", "0-30N", "30N-60N", "60N-90N")
    assert band_labels((-22.5, 0, 10)) == ("22.5S-0", "0-10N")


MONTHS = ["DJF", "DJF", "MAM", "MAM", "MAM", "JJA", "JJA", "JJA", "SON", "SON", "SON", "DJF"]


@pytest.mark.parametrize("year", [1965, 1970, 2008])
def test_season_of_each_month(year):
    time = np.array([f"{year}-{month:02d}-17T12:00" for month in range(1, 13)], "datetime64[ns]")
    codes = season(time, np.zeros(1))
    assert [SEASONS[code] for code in codes[:, 0]] == MONTHS


def test_season_changes_with_the_month_and_not_with_the_row():
    time = np.array(["2008-02-29T23:59", "2008-03-01T00:00"], "datetime64[ns]")
    codes = season(time, np.array([60.0, 0.0, -60.0]))
    assert codes.shape == (2, 3)
    assert [[SEASONS[c] for c in row] for row in codes] == [["DJF"] * 3, ["MAM"] * 3]


@pytest.mark.parametrize(
    "lon",
    [
        np.arange(-179.5, 180, 1.0),
        np.arange(0, 360, 0.25),
        np.arange(0.5, 360, 1.0).astype(np.float32),
        -180 + 1 / 24 + np.arange(4320) / 12,  # the grid of the data cube
        np.array([0.0, 120.0, 240.0]),
    ],
)
def test_grids_around_the_globe(lon):
    assert is_global_lon(lon)


@pytest.mark.parametrize(
    "lon",
    [
        np.arange(-179.5, 179, 1.0),  # the last column is missing
        np.arange(0, 361, 1.0),  # the first column twice
        np.arange(170.0, 190.0, 1.0),
        np.array([10.0]),
        np.array([]),
        np.array([0.0, 1.0]),
    ],
)
def test_grids_with_a_border(lon):
    assert not is_global_lon(lon)
