"""A small cube of the kinds of variables that a run stores."""

from __future__ import annotations

import numpy as np
import xarray as xr

from lstfill.cube.windows import chunk_windows
from lstfill.storage import stores

SHAPE = (7, 9, 13)
CHUNKS = (4, 5, 6)  # none divides the shape


def make_cube(seed=0):
    random = np.random.default_rng(seed)
    lst = random.normal(280, 15, SHAPE).astype("float32")
    lst[random.random(SHAPE) < 0.3] = np.nan
    flag = random.integers(0, 4, SHAPE).astype("uint8")
    land = random.random(SHAPE[1:]) < 0.5
    dims = ("time", "lat", "lon")
    return xr.Dataset(
        {
            "lst": (dims, lst, {"units": "K", "long_name": "land surface temperature"}),
            "flag": (dims, flag, {"flag_values": np.array([0, 1, 2, 3], "uint8"), "flag_meanings": "a b c d"}),
            "land": (dims[1:], land, {"long_name": "land"}),
        },
        coords={
            "time": ("time", np.datetime64("2002-05-21", "ns") + np.arange(7) * np.timedelta64(8, "D"), {"axis": "T"}),
            "lat": ("lat", np.linspace(80, -80, 9), {"units": "degrees_north"}),
            "lon": ("lon", np.linspace(-174, 174, 13), {"units": "degrees_east"}),
        },
        attrs={"title": "a cube"},
    )


def write_cube(uri, cube, zarr_format=3, *, whole=True):
    chunks = {"lst": CHUNKS, "flag": CHUNKS}
    stores.create(uri, cube, chunks=chunks, zarr_format=zarr_format, attrs={"history": "made"})
    for window in chunk_windows(SHAPE, CHUNKS):
        stores.write(uri, window, {name: cube[name].values[window.slices] for name in ("lst", "flag")})
    stores.write_static(uri, "land", cube["land"].values)
    if whole:
        stores.commit(uri, {"step": "ingest", "identity": "abc", "n": 3})
