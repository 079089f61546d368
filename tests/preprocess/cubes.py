"""A small cube with everything that samples depend on, and its chunks in any cut."""

import numpy as np

from lstfill.cube import Chunk, chunk_windows

SHAPE = (6, 10, 14)
BLOCK = (2, 4, 5)
FEATURES = ("t2m", "height")


def whole(shape=SHAPE, seed=3):
    """All arrays of the cube, with gaps in target and features, sea, parts and held-out cells."""
    rng = np.random.default_rng(seed)
    target = rng.normal(285, 10, shape).astype("float32")
    t2m = rng.normal(280, 8, shape).astype("float32")
    height = rng.normal(500, 100, shape).astype("float32")
    target[rng.random(shape) < 0.3] = np.nan
    t2m[rng.random(shape) < 0.1] = np.nan
    height[rng.random(shape) < 0.1] = np.inf
    return {
        "target": target,
        "t2m": t2m,
        "height": height,
        "land": rng.random(shape[1:]) < 0.6,
        "part": rng.integers(0, 4, shape).astype("int8"),
        "held_out": rng.random(shape) < 0.1,
    }


def chunk(cube, window, shape=SHAPE):
    t, y, x = window.slices
    return Chunk(
        window=window,
        shape=shape,
        time=np.arange(*window.indexers["time"].indices(shape[0])).astype("datetime64[D]").astype("datetime64[ns]"),
        lat=np.linspace(85.0, -85.0, shape[1])[y],
        lon=np.linspace(-170.0, 170.0, shape[2])[x],
        target=cube["target"][t, y, x],
        features={name: cube[name][t, y, x] for name in FEATURES},
        land=cube["land"][y, x],
        part=cube["part"][t, y, x],
        held_out=cube["held_out"][t, y, x],
    )


def chunks(cube, sizes, shape=SHAPE):
    return [chunk(cube, window, shape) for window in chunk_windows(shape, sizes)]
