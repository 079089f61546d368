"""A small synthetic cube as a source, and the configuration that fills it."""

from __future__ import annotations

import numpy as np
import yaml

from lstfill.storage import stores
from lstfill.synthetic import FEATURE, TARGET, esdc_like

SHAPE = (10, 36, 72)
CHUNKS = (5, 18, 18)


def land(shape=SHAPE):
    """Some continents; the Earth's take seconds to import."""
    lat = np.linspace(88, -88, shape[1])[:, None]
    lon = np.linspace(-178, 178, shape[2])[None]
    return np.sin(np.radians(2 * lon)) + 0.6 * np.cos(np.radians(3 * lat)) > 0.1


def cube(shape=SHAPE, seed=1):
    """An ESDC-like cube with its own land mask."""
    made, _ = esdc_like(shape, seed=seed, land=land(shape))
    made["land_mask"] = (("lat", "lon"), land(shape).astype("float32"), {"units": "1"})
    return made


def put(uri, made, chunks=CHUNKS, zarr_format=2):
    """Writes a cube as a source."""
    stores.create(uri, made, chunks={TARGET: chunks, FEATURE: chunks}, zarr_format=zarr_format)
    for name, variable in made.data_vars.items():
        stores.write_static(uri, str(name), variable.to_numpy())
    stores.commit(uri, {"step": "made"})


def config(uri, **sections):
    """Keys and values that fill the cube; a section given here adds to those."""
    values = {
        "source": {"uri": str(uri)},
        "mask": {"kind": "variable", "variable": "land_mask"},
        "split": {"block": {"time": 5, "lat": 9, "lon": 9}, "held_out_gaps": {"kind": "clouds", "fraction": 0.1}},
        "train": {"epochs": 4, "batch_size": 512},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return values


def write_config(path, uri, **sections):
    """Writes the configuration file and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config(uri, **sections)))
    return path
