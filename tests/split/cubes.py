"""Small cubes for the tests of the split, whole or cut into windows."""

from __future__ import annotations

import numpy as np

from lstfill.cube import Chunk, Window


def spotted(shape, seed, missing=0.4, sea=0.3):
    """A target with blots of missing values and a land mask, both from a seed."""
    rng = np.random.default_rng(seed)
    target = rng.normal(285, 10, shape).astype(np.float32)
    coarse = rng.random((shape[0], -(-shape[1] // 3), -(-shape[2] // 3))) < missing
    target[coarse.repeat(3, 1).repeat(3, 2)[:, : shape[1], : shape[2]]] = np.nan
    return target, rng.random(shape[1:]) >= sea


def chunk(target, land, window=None, *, held_out=None, features=None):
    """The chunk of a window, or the whole, of a cube between 60 S and 60 N, descending as in the ESDC."""
    window = window or Window((0, 0, 0), target.shape)
    time, rows, columns = window.slices
    lat, lon = np.linspace(60, -60, target.shape[1]), np.linspace(-179, 179, target.shape[2])
    dates = np.datetime64("2002-05-21", "ns") + np.arange(target.shape[0]) * np.timedelta64(8, "D")
    return Chunk(
        window=window,
        shape=target.shape,
        time=dates[time],
        lat=lat[rows],
        lon=lon[columns],
        target=target[window.slices],
        features={name: values[window.slices] for name, values in (features or {}).items()},
        land=land[rows, columns],
        held_out=None if held_out is None else held_out[window.slices],
    )
