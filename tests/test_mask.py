"""The land mask: the same for a grid however it is written or cut."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstfill import mask
from lstfill.errors import DataError

# The grid of the ESDC, every 20th row and column: its centres lie on edges of the source mask.
LAT = np.linspace(90 - 1 / 24, -90 + 1 / 24, 2160)[10::20]
LON = np.linspace(-180 + 1 / 24, 180 - 1 / 24, 4320)[10::20]
# Places that nobody doubts: name, lat, lon, whether land.
PLACES = [
    ("Sahara", 23.0, 10.0, True),
    ("Amazon", -5.0, -63.0, True),
    ("Siberia", 62.0, 100.0, True),
    ("Antarctica", -80.0, 60.0, True),
    ("Greenland", 75.0, -40.0, True),
    ("Pacific", 0.0, -150.0, False),
    ("Atlantic", 30.0, -45.0, False),
    ("North Pole", 89.9, 0.0, False),
    ("Arctic sea ice", 85.0, 180.0, False),
]


@pytest.fixture(scope="module")
def world():
    return mask.land(LAT, LON)


@pytest.mark.parametrize(("name", "lat", "lon", "is_land"), PLACES)
def test_known_places(name, lat, lon, is_land):
    assert mask.land(np.array([lat]), np.array([lon]))[0, 0] == is_land, name
    assert mask.land(np.array([lat]), np.array([lon % 360]))[0, 0] == is_land, name


def test_agrees_with_the_source_where_rounding_does_not_decide():
    from global_land_mask import globe

    lat, lon = LAT - 0.004, LON + 0.004
    np.testing.assert_array_equal(mask.land(lat, lon), globe.is_land(lat[:, None], lon[None]))


def test_a_grid_of_5_arc_minutes_gets_what_the_source_gives_its_centres():
    """Centres on the source's own cell edges, as in the Earth System Data Cube."""
    from global_land_mask import globe

    lat, lon = 90 - 1 / 24 - np.arange(2160) / 12, -180 + 1 / 24 + np.arange(4320) / 12
    rows = slice(300, 700)
    assert np.array_equal(mask.land(lat[rows], lon), globe.is_land(lat[rows, None], lon[None, :]))


def test_share_of_land(world):
    # A third of the cells of an equal-angle grid is land (33.2 % on the full grid), 29 % of the area.
    assert world.mean() == pytest.approx(0.332, abs=0.005)
    assert np.average(world.mean(axis=1), weights=np.cos(np.deg2rad(LAT))) == pytest.approx(0.29, abs=0.005)


def test_longitude_conventions_agree(world):
    np.testing.assert_array_equal(mask.land(LAT, np.where(LON < 0, LON + 360, LON)), world)
    np.testing.assert_array_equal(mask.land(LAT, LON - 360), world)


def test_order_of_rows_and_columns_is_the_callers(world):
    np.testing.assert_array_equal(mask.land(LAT[::-1], LON), world[::-1])
    np.testing.assert_array_equal(mask.land(LAT, np.roll(LON, 50)), np.roll(world, 50, axis=1))


def test_precision_of_the_coordinates_does_not_matter(world):
    np.testing.assert_array_equal(mask.land(LAT.astype(np.float32), LON.astype(np.float32)), world)
    np.testing.assert_array_equal(mask.land(np.round(LAT, 5), np.round(LON, 5)), world)


@given(st.integers(1, 107), st.integers(1, 215))
def test_pieces_make_the_whole(world, row, column):
    pieces = [[mask.land(lat, lon) for lon in (LON[:column], LON[column:])] for lat in (LAT[:row], LAT[row:])]
    np.testing.assert_array_equal(np.block(pieces), world)


def test_poles_and_date_line_are_inside():
    edge = mask.land(np.array([90.0, -90.0]), np.array([-180.0, 180.0, 360.0]))
    np.testing.assert_array_equal(edge, [[False] * 3, [True] * 3])


def test_from_variable_is_finite_and_not_zero():
    values = np.array([[0.0, 1.0, np.nan], [2.0, -1.0, np.inf]])
    np.testing.assert_array_equal(mask.from_variable(values), [[False, True, False], [True, True, False]])
    np.testing.assert_array_equal(mask.from_variable(np.array([[True, False]])), [[True, False]])
    np.testing.assert_array_equal(mask.from_variable(np.array([[3, 0]], np.int8)), [[True, False]])


def test_from_variable_over_time_takes_any_time():
    values = np.zeros((3, 1, 3))
    values[2, 0, 1] = 1
    values[:, 0, 2] = np.nan
    np.testing.assert_array_equal(mask.from_variable(values), [[False, True, False]])


def test_exclude_takes_out_and_leaves_the_original():
    land = np.ones((2, 3), bool)
    ice, lake = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    ice[0], lake[1, 2] = True, True
    np.testing.assert_array_equal(mask.exclude(land, ice, lake), [[False] * 3, [True, True, False]])
    assert land.all()
    assert mask.exclude(land).all()


def test_exclude_refuses_another_grid():
    with pytest.raises(DataError, match=r"exclusion 2 has \(3, 2\) cells, the grid \(2, 3\): give it on the grid"):
        mask.exclude(np.ones((2, 3), bool), np.zeros((2, 3), bool), np.zeros((3, 2), bool))


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)), st.data())
def test_digest_names_content_and_shape(land, data):
    name = mask.digest(land)
    assert len(name) == 64
    assert mask.digest(np.asfortranarray(land)) == name
    place = tuple(data.draw(st.integers(0, n - 1)) for n in land.shape)
    other = land.copy()
    other[place] = ~other[place]
    assert mask.digest(other) != name
    if land.shape[0] != land.shape[1]:
        assert mask.digest(land.reshape(land.shape[::-1])) != name


def test_digest_is_pinned():
    assert mask.digest(np.eye(3, dtype=bool)) == "2f6fb945e975d91b2ca2b5f1ec6b1fc6f123710b1b9992e662374cc71fce20e9"


def test_the_source_is_imported_by_nothing_but_land():
    code = (
        "import sys, numpy; from lstfill import mask; mask.digest(mask.from_variable(numpy.ones((2, 2))));"
        "assert not {'global_land_mask', 'xarray', 'zarr'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
