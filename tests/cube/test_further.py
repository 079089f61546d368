"""Further dimensions: one coordinate of each is taken, by the value that a person reads there."""

import numpy as np
import pytest
import xarray as xr

from lstfill.cube import normalise, positions, select
from lstfill.cube.further import flattened, position, told

TARGET, FEATURE = "land_surface_temperature", "air_temperature_2m"


def along(values, dim="level"):
    """A dataset with one dimension, whose coordinate is given."""
    ds = xr.Dataset({"values": (dim, np.arange(len(values)))})
    return ds if isinstance(values, range) else ds.assign_coords({dim: np.asarray(values)})


DATES = np.array(["2019-06-05T00:00", "2019-06-05T12:30", "2019-07-01T00:00"], "datetime64[ns]")


@pytest.mark.parametrize(
    ("values", "wanted", "at"),
    [
        ([4, 6, 96], 96, 2),
        ([4, 6, 96], 96.0, 2),
        ([4, 6, 96], "96", 2),
        ([4, 6, 96], "96.0", 2),
        (np.array([0.1, 0.2], "f4"), 0.2, 1),
        (np.array([0.1, 0.2], "f8"), "0.2", 1),
        (["day", "night"], "night", 1),
        (["1", "2"], "2", 1),
        (DATES, "2019-07", 2),
        (DATES, "2019-07-01", 2),
        (DATES, "2019-06-05T12:30", 1),
        (DATES, "2019-06-05T12:30:00Z", 1),
        (range(3), 2, 2),
        (range(3), "0", 0),
    ],
)
def test_the_coordinate_that_is_named(values, wanted, at):
    assert position(along(values), "level", wanted) == at


@pytest.mark.parametrize(
    ("values", "wanted", "said"),
    [
        ([4, 6, 96], 95, "95 is not there; there are 4, 6, 96"),
        ([4, 6, 96], 95.5, "95.5 is not there; there are 4, 6, 96"),
        ([4, 6, 96], "many", "'many' is not there; there are 4, 6, 96"),
        ([4, 6, 6], 6, "6 stands for 2 of them; there are 4, 6, 6"),
        (["day", "night"], "noon", "'noon' is not there; there are day, night"),
        (DATES, "2019-06-05", "'2019-06-05' stands for 2 of them; there are 2019-06-05, 2019-06-05T12:30:00, 2019-07"),
        (DATES, "2018", "'2018' is not there; there are 2019-06-05"),
        (DATES, "last week", "'last week' is not there; there are 2019-06-05"),
        (range(3), 3, "3 is not there; there are indices 0 to 2"),
        (range(3), -1, "-1 is not there; there are indices 0 to 2"),
        (range(3), 0.5, "0.5 is not there; there are indices 0 to 2"),
        (np.arange(50), 50, "10, 11, 12, 13, 14, 15, 16, 17, 18, 19, … (50 in all)"),
    ],
)
def test_another_one_is_refused_with_those_there_are(values, wanted, said):
    with pytest.raises(ValueError) as refused:
        position(along(values), "level", wanted)
    assert said in str(refused.value)


def test_told_as_it_may_be_named():
    """Whatever is told can be given back."""
    for values in ([4, 96], np.array([0.1, 0.25], "f4"), ["a", "b"], DATES[1:]):
        ds = along(values)
        assert [position(ds, "level", text) for text in told(ds, "level").split(", ")] == [0, 1]


@pytest.fixture
def levels(cube):
    """A cube whose feature has two heights and whose mask has three levels."""
    ds = cube()
    ds[FEATURE] = ds[FEATURE].expand_dims(height=[2.0, 10.0], axis=1) + xr.DataArray([0, 7], dims="height")
    ds[FEATURE].attrs["units"] = "K"
    ds["gap"] = xr.DataArray(np.arange(3 * 6 * 12).reshape(3, 6, 12), dims=("gap_level", "lat", "lon"))
    return ds.assign_coords(gap_level=[4, 52, 96])


def test_a_cube_is_cut_along_them(levels, source):
    config = source(extras=["gap"], select={"gap_level": 52, "height": 10}, time=("2008-01", "2008-01"))
    cut, _ = normalise(select(levels, config), config)
    assert cut["gap"].dims == ("lat", "lon")
    np.testing.assert_array_equal(cut["gap"], levels["gap"].sel(gap_level=52))
    np.testing.assert_array_equal(cut[FEATURE], levels[FEATURE].sel(height=10).isel(time=[0, 1]))
    assert set(cut.variables) == {TARGET, FEATURE, "gap", "time", "lat", "lon"}


def test_nothing_else_is_read(levels, source, lazily):
    ds, reads = lazily(levels)
    config = source(extras=["gap"], select={"gap_level": 52, "height": 10}, bbox_deg=(-180, 0, 0, 90))
    flat = flattened(ds, config)
    cut, recipes = normalise(select(flat, config), config)
    assert reads == []
    assert cut["gap"].shape == (3, 6)
    recipes[FEATURE].read(flat[FEATURE].variable, {"time": slice(1, 2), "lat": slice(0, 3), "lon": slice(0, 6)})
    assert reads == [(1, 3, 6)]
    assert [len(at) for at in positions(flat, config).values()] == [3, 3, 6]


def test_what_is_flat_stays(levels, source):
    config = source(extras=["gap"], select={"gap_level": 52, "height": 10})
    once = flattened(levels, config)
    xr.testing.assert_identical(flattened(once, config), once)
    xr.testing.assert_identical(flattened(levels, source()), levels)
