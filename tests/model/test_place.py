import numpy as np
import pytest

from lstfill.model import Axes, place
from lstfill.modelconfig import Mlp
from lstfill.preprocess import InMemoryShards

AXES = Axes(
    np.array(["2000-01-01", "2000-04-01", "2008-07-01"], "datetime64[ns]"),
    np.array([60.0, 0.0]),
    np.array([-180.0, 0.0, 90.0, 180.0]),
)
EVERY = (*place.COORDINATES, *place.SEASON)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ()),
        ({"coordinates": True}, ("lat", "lon_sine", "lon_cosine")),
        ({"season": True}, ("day_sine", "day_cosine")),
        ({"season": True, "coordinates": True}, EVERY),
    ],
)
def test_columns_are_those_that_were_asked_for(options, names):
    assert place.names_of(Mlp(**options)) == names


def test_columns_along_the_axes():
    columns = place.along(AXES)
    np.testing.assert_allclose(columns["lon_sine"][1], [0, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(columns["lon_cosine"][1], [-1, 1, 0, -1], atol=1e-6)
    np.testing.assert_array_equal(columns["lat"][1], [60, 0])
    # 1 January begins the year, 1 April 2000 is day 91 of it, 1 July 2008 half a year away, whichever year it is.
    np.testing.assert_allclose(columns["day_sine"][1], [0, np.sin(2 * np.pi * 91 / 365.2425), 0], atol=0.02)
    np.testing.assert_allclose(columns["day_cosine"][1], [1, np.cos(2 * np.pi * 91 / 365.2425), -1], atol=0.02)
    assert {name: axis for name, (axis, _) in columns.items()} == dict(zip(EVERY, (1, 2, 2, 0, 0), strict=True))


def test_the_end_of_a_year_is_next_to_its_beginning():
    axes = Axes(np.array(["2007-12-31", "2008-01-01"], "datetime64[ns]"), AXES.lat, AXES.lon)
    for name in place.SEASON:
        before, after = place.along(axes)[name][1]
        assert abs(before - after) < 0.02


def test_cells_have_the_columns_of_their_date_and_place():
    """Against a grid of all cells, written out."""
    grid = np.meshgrid(AXES.time, AXES.lat, AXES.lon, indexing="ij")
    cells = np.random.default_rng(0).permutation(grid[0].size)
    at = place.at(AXES, cells, EVERY)
    assert tuple(at) == EVERY
    np.testing.assert_array_equal(at["lat"], grid[1].ravel()[cells].astype("float32"))
    np.testing.assert_allclose(at["lon_sine"], np.sin(np.deg2rad(grid[2].ravel()[cells])), atol=1e-6)
    day = (grid[0].ravel()[cells] - AXES.time[0]) / np.timedelta64(1, "D")
    np.testing.assert_allclose(at["day_cosine"], np.cos(2 * np.pi * day / 365.2425), atol=1e-6)


def test_scaling_is_that_of_the_cube():
    scaling = place.scaling_of(AXES, ("lat", "lon_sine"))
    assert scaling["lat"] == {"offset": 30.0, "scale": 30.0, "range": [0.0, 60.0]}
    assert scaling["lon_sine"]["range"] == pytest.approx([0, 1], abs=1e-6)


def test_what_hardly_varies_is_not_blown_up():
    """Ten kilometres at the meridian of Greenwich, on one date: the cosine of the longitude is rounding alone."""
    small = Axes(AXES.time[:1], np.linspace(45, 45.1, 11), np.linspace(-0.05, 0.05, 11))
    scaling = place.scaling_of(small, EVERY)
    for name, values in place.along(small).items():
        of = scaling[name]
        assert np.abs((values[1] - of["offset"]) / of["scale"]).max() < 2
    assert scaling["lon_cosine"]["scale"] == place.FLOOR["lon_cosine"]
    assert scaling["lon_sine"]["scale"] > place.FLOOR["lon_sine"]


def test_shards_get_columns_beside_their_features():
    rng = np.random.default_rng(0)
    cell = rng.permutation(24)
    x, y = rng.normal(size=(24, 1)).astype("float32"), rng.normal(size=24).astype("float32")
    source = InMemoryShards(x, y, 10, cell)
    placed = place.PlacedShards(source, AXES, ("lat", "day_sine"))
    assert (len(placed), list(placed.sizes)) == (3, [10, 10, 4])
    rows = [placed.read(number) for number in range(3)]
    whole = np.concatenate([of for of, _ in rows])
    at = place.at(AXES, cell, ("lat", "day_sine"))
    np.testing.assert_array_equal(whole, np.column_stack([x, at["lat"], at["day_sine"]]))
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([of for _, of in rows]), y)
    np.testing.assert_array_equal(placed.cells(1), cell[10:20])


def test_place_alone_is_enough():
    source = InMemoryShards(np.zeros((4, 0), "float32"), np.zeros(4, "float32"), cell=np.arange(4))
    x, _ = place.PlacedShards(source, AXES, place.COORDINATES).read(0)
    assert x.shape == (4, 3)


def test_samples_that_do_not_say_their_cells():
    source = InMemoryShards(np.zeros((4, 1), "float32"), np.zeros(4, "float32"))
    with pytest.raises(ValueError, match="do not say their cells"):
        place.PlacedShards(source, AXES, ("lat",)).read(0)
