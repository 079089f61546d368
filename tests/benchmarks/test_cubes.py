"""Long cubes made of links hold what np.tile gives, and read as any cube."""

import numpy as np
import pytest
import xarray as xr

from benchmarks import cubes
from lstfill.synthetic import esdc_like
from tests.made import land

SHAPE = (4, 12, 24)


@pytest.fixture(params=[2, 3])
def short(request, tmp_path):
    """A small source of either format, its times in chunks of two; another tool wrote it."""
    cube, _ = esdc_like(SHAPE, seed=3, land=land(SHAPE))
    cube["static"] = (("lat", "lon"), land(SHAPE).astype("float32"))
    chunks = {name: {"chunks": (2, 5, 10)} for name in (cubes.TARGET, cubes.FEATURE)}
    place = tmp_path / "short.zarr"
    cube.to_zarr(place, mode="w", zarr_format=request.param, consolidated=request.param == 2, encoding=chunks)
    return place


def test_a_repeated_cube_is_tiled_along_time(short, tmp_path):
    longer = xr.open_zarr(cubes.repeat(short, tmp_path / "long.zarr", 3), chunks=None)
    with xr.open_zarr(short, chunks=None, consolidated=False) as ds:
        for name in (cubes.TARGET, cubes.FEATURE):
            np.testing.assert_array_equal(longer[name], np.tile(ds[name], (3, 1, 1)))
        np.testing.assert_array_equal(longer["static"], ds["static"])
        np.testing.assert_array_equal(longer["time"][: SHAPE[0]], ds["time"])


def test_its_dates_go_on(short, tmp_path):
    longer = xr.open_zarr(cubes.repeat(short, tmp_path / "long.zarr", 3), chunks=None)
    steps = np.diff(longer["time"].to_numpy())
    assert (steps > np.timedelta64(0)).all()
    assert "bounds" not in longer["time"].attrs
    assert "time_bnds" not in longer.variables


def test_it_takes_no_room_and_leaves_the_short_one_as_it_was(short, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in short.rglob("*") if path.is_file()}
    longer = cubes.repeat(short, tmp_path / "long.zarr", 2)
    assert before == {path: path.stat().st_mtime_ns for path in short.rglob("*") if path.is_file()}
    of_short, of_longer = ([path.stat().st_ino for path in _chunks(place)] for place in (short, longer))
    assert sorted(of_longer) == sorted(2 * of_short)


def _chunks(cube):
    return [path for path in (cube / cubes.TARGET).rglob("*") if path.is_file() and path.name[0].isdigit()]


def test_a_cut_chunk_cannot_be_repeated(tmp_path):
    cube, _ = esdc_like((3, 12, 24), seed=3, land=land(SHAPE))
    cube.to_zarr(tmp_path / "odd.zarr", zarr_format=2, encoding={cubes.TARGET: {"chunks": (2, 12, 24)}})
    with pytest.raises(ValueError, match="3 dates in chunks of 2"):
        cubes.repeat(tmp_path / "odd.zarr", tmp_path / "long.zarr", 2)


def test_regions_cover_every_cell_once(short):
    import zarr

    array = zarr.open_group(short, mode="r")[cubes.TARGET]
    seen = np.zeros(array.shape, int)
    for region in cubes.regions(array):
        seen[region] += 1
    assert (seen == 1).all()
