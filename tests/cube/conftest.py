"""Cubes of a few cells, and a wrapper that records what is read of them."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from lstfill.config import Source

TARGET, FEATURE = "land_surface_temperature", "air_temperature_2m"


class Recorded(BackendArray):
    """An array behind xarray's lazy indexing that notes the shape of every read."""

    def __init__(self, values, reads):
        self._values, self._reads = values, reads
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key):
        for dim, k in reversed(list(enumerate(key))):
            values = self._values if dim == len(key) - 1 else values  # noqa: F821 - set in the first turn
            values = values[(slice(None),) * dim + (k,)]
        self._reads.append(values.shape)
        return values


@pytest.fixture
def lazily():
    """Turns the data variables of a dataset into lazy ones; returns it with the list of reads."""

    def turn(ds):
        reads = []
        variables = {
            name: (v.dims, indexing.LazilyIndexedArray(Recorded(v.values, reads)), v.attrs)
            for name, v in ds.data_vars.items()
        }
        return ds.assign(variables), reads

    return turn


@pytest.fixture
def source():
    """The configuration of a source, with what a test changes."""

    def make(**changes):
        return Source(uri="cube.zarr", **changes)

    return make


@pytest.fixture
def cube():
    """A cube on a global grid of 30 degrees, descending, with the trimmings of a real one."""

    def make(lon=None, lat=None, time=None, dims=("time", "lat", "lon"), dtype=np.float32):
        lon = np.arange(-165.0, 180, 30) if lon is None else np.asarray(lon)
        lat = np.arange(75.0, -90, -30) if lat is None else np.asarray(lat)
        time = np.array(["2008-01-05", "2008-01-13", "2008-12-30"], "datetime64[ns]") if time is None else time
        shape = (len(time), len(lat), len(lon))
        values = (250 + np.arange(np.prod(shape)) % 90).reshape(shape).astype(dtype)
        lst = xr.DataArray(values, dims=("time", "lat", "lon")).transpose(*dims)
        return xr.Dataset(
            {
                TARGET: lst.assign_attrs(units="K", standard_name="surface_temperature"),
                FEATURE: (lst - 5).astype(dtype).assign_attrs(units="K"),
                "land": (("lat", "lon"), np.ones(shape[1:], bool)),
                "unused": lst,
            },
            {
                "time": ("time", time, {"bounds": "time_bnds"}),
                "lat": ("lat", lat, {"bounds": "lat_bnds", "units": "degrees_north"}),
                "lon": ("lon", lon, {"bounds": "lon_bnds"}),
                "lat_bnds": (("lat", "bnds"), np.stack([lat + 15, lat - 15], 1)),
                "crs": ((), 0),
            },
            {"title": "a cube", "geospatial_lat_max": 90.0, "geospatial_lon_min": -180.0},
        )

    return make


@pytest.fixture
def shared_data():
    """Folder of real cubes; tests that need it are skipped where it is absent."""
    beside = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("LSTFILL_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real cubes at {folder}; set LSTFILL_SHARED_DATA to their folder")
    return folder
