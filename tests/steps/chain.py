"""A small cube with all the traits that go wrong, and the steps run on it one after the other by plain calls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import xarray as xr

from lstfill.config import (
    Block,
    Cluster,
    Evaluate,
    HeldOutGaps,
    Mask,
    Predict,
    Preprocess,
    Source,
    Split,
    Tracking,
    Train,
    WorkChunks,
)
from lstfill.steps import evaluate, ingest, mask, predict, preprocess, split, train
from lstfill.storage import stores
from lstfill.synthetic import esdc_like

TARGET, FEATURE, LAND = "land_surface_temperature", "air_temperature_2m", "land_fraction"
TRUTH, GAP = "truth", "gap"
SHAPE = (12, 36, 72)
CHUNKS = (5, 20, 28)  # none divides the shape, and few are quick
OUT_OF_RANGE = 7
CLOUDS = HeldOutGaps(kind="clouds", fraction=0.1)
GIVEN = HeldOutGaps(kind="given", truth=TRUTH, gap=GAP)
SPLIT = Split(block=Block(time=4, lat=6, lon=9), held_out_gaps=CLOUDS)
MASK = Mask(kind="variable", variable=LAND)
AROUND = Train(
    model="harmonic",
    compare=["linear", "boosting"],
    epochs=1,
    tiles={"side": 24, "overlap": 6},
    calibration={"tiles": 5, "rounds": 2},
    boosting={"max_iter": 5, "max_samples": 2000},
)


def land():
    """Three continents and Antarctica; the Arctic is sea, and esdc_like puts values on its ice."""
    there = np.zeros(SHAPE[1:], bool)
    there[4:16, 5:30] = there[18:30, 35:60] = there[20:26, 8:20] = there[31:36] = True
    return there


def make_cube(seed=1):
    """The source: as ``esdc_like``, with a land fraction, a truth, given gaps, and a few values out of range."""
    cube, truth = esdc_like(SHAPE, seed=seed, land=land())
    target = cube[TARGET].values
    gap = np.random.default_rng(seed).random(SHAPE) < 0.1
    cube[LAND] = (("lat", "lon"), land().astype("float32"), {"units": "1", "long_name": "land fraction"})
    cube[TRUTH] = (truth.dims, truth.values, dict(truth.attrs))
    cube[GAP] = (("time", "lat", "lon"), gap.astype("uint8"), {"long_name": "given gaps"})
    broken = np.argwhere(np.isfinite(target) & land())[:OUT_OF_RANGE]
    target[tuple(broken.T)] = 400.0
    return cube


def write_source(cube, place, chunks=CHUNKS, zarr_format=2, **options):
    """Writes a source the way other people's tools do."""
    encoding = {
        str(name): {"chunks": tuple(chunks[("time", "lat", "lon").index(dim)] for dim in variable.dims)}
        for name, variable in cube.data_vars.items()
        if chunks and set(variable.dims) <= {"time", "lat", "lon"}
    }
    cube.drop_encoding().to_zarr(place, mode="w", zarr_format=zarr_format, encoding=encoding, **options)
    return str(place)


@dataclass(frozen=True)
class Chain:
    """A workspace and a configuration; each method runs a step into it and returns its pointer."""

    root: Path
    source: Source
    tracking: Tracking
    mask: Mask = MASK
    split: Split = SPLIT
    preprocess: Preprocess = field(default_factory=Preprocess)
    train: Train = field(default_factory=lambda: Train(epochs=4, learning_rate=0.2))
    evaluate: Evaluate = field(default_factory=Evaluate)
    predict: Predict = field(default_factory=Predict)
    cluster: Cluster = field(default_factory=Cluster)

    def at(self, name):
        """Address of what a step wrote: cube, land, parts, samples, model, evaluation, filled."""
        return str(self.root / (name if name in ("model", "evaluation") else f"{name}.zarr"))

    def inputs(self, *names):
        return {name: self.at(name) for name in names}

    def but(self, root=None, **sections):
        """The same with another configuration, and in another place if one is named."""
        return replace(self, root=root or self.root, **sections)

    def ingested(self):
        return ingest.run(self.source, output=self.at("cube"), cluster=self.cluster)

    def masked(self):
        return mask.run(self.mask, cube=self.at("cube"), output=self.at("land"))

    def parted(self):
        return split.run(self.split, **self.inputs("cube", "land"), output=self.at("parts"), cluster=self.cluster)

    def sampled(self):
        inputs = self.inputs("cube", "land", "parts")
        return preprocess.run(self.preprocess, **inputs, output=self.at("samples"), cluster=self.cluster)

    def trained(self):
        inputs = self.inputs("samples", "cube", "land", "parts")
        return train.run(self.train, self.tracking, **inputs, output=self.at("model"), cluster=self.cluster)

    def scored(self):
        inputs = self.inputs("cube", "land", "parts", "model")
        return evaluate.run(self.evaluate, self.tracking, **inputs, output=self.at("evaluation"), cluster=self.cluster)

    def filled(self, **other):
        inputs = self.inputs("cube", "land", "model") | other
        return predict.run(self.predict, self.tracking, **inputs, output=self.at("filled"), cluster=self.cluster)

    def prepared(self):
        """All that needs no model: the facts of ingest, mask, split and preprocess."""
        return {
            "ingest": self.ingested(),
            "mask": self.masked(),
            "split": self.parted(),
            "preprocess": self.sampled(),
        }

    def values(self, store):
        """Every array of a store, in memory."""
        with stores.open_whole(self.at(store)) as ds:
            return {str(name): ds[name].to_numpy() for name in ds.variables}

    def array(self, store, name):
        return self.values(store)[name]


def source_of(place, **options):
    """The section ``source`` for a cube written by ``write_source``, with all its extras."""
    chunks = dict(zip(("time", "lat", "lon"), options.pop("chunks", (0, 0, 0)), strict=True))
    return Source(**{"uri": str(place), "extras": [LAND, TRUTH, GAP], "chunks": WorkChunks(**chunks), **options})


def same_bits(one, other):
    """Whether two mappings of arrays hold the same names, types, shapes and bytes."""
    return one.keys() == other.keys() and not differing(one, other)


def differing(one, other):
    """Names of arrays that differ in type, shape or any bit."""
    return [
        name
        for name in one
        if (one[name].dtype, one[name].shape, one[name].tobytes())
        != (other[name].dtype, other[name].shape, other[name].tobytes())
    ]


def parts_of(chain):
    """Part of each cell ``(time, lat, lon)`` from the stored table, by the naive expression."""
    with xr.open_zarr(chain.at("parts")) as ds:
        table, block = ds["part"].to_numpy(), ds.attrs["block"]
    for axis, size in enumerate(block):
        table = np.repeat(table, size, axis=axis)
    return table[tuple(slice(0, size) for size in SHAPE)]
