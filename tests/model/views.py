"""Views to learn from and chunks to predict, small and with a known relation."""

import numpy as np

from lstfill.config import Preprocess
from lstfill.cube import Chunk, Window
from lstfill.model import History, TrainingView
from lstfill.preprocess import InMemoryShards, collect, fit_scaling, impute_values

SLOPES = {"t2m": 1.12, "height": -0.0065, "ozone": 2.0e5}
UNITS = {"lst": "K", "t2m": "K", "height": "m", "ozone": "mol m-2"}


def samples(n, names=("t2m",), seed=0, noise_k=3.0):
    """Samples with LST = sum of slope times feature, minus 30 K, and noise."""
    rng = np.random.default_rng(seed)
    draws = {"t2m": (280, 15), "height": (800, 300), "ozone": (1e-4, 2e-5)}
    x = np.stack([rng.normal(*draws[name], n) for name in names], axis=1).astype("float32")
    y = x.astype("float64") @ [SLOPES[name] for name in names] - 30 + rng.normal(0, noise_k, n)
    return x, y.astype("float32")


def view_of(train, validation, names=("t2m",), preprocess=None, shard_size=1 << 19):
    """The view that the steps would make of two pairs of arrays."""
    preprocess = preprocess or Preprocess()
    source = InMemoryShards(*train, shard_size)
    statistics = collect((source.read(k) for k in range(len(source))), names, "lst")
    return TrainingView(
        train=source,
        validation=InMemoryShards(*validation, shard_size),
        target="lst",
        features=tuple(names),
        units={name: UNITS[name] for name in ("lst", *names)},
        scaling=fit_scaling(statistics, preprocess),
        ranges=statistics.ranges(),
        impute=impute_values(statistics, preprocess),
        provenance={"config_hash": "abc", "cube": {"identity": "xyz"}},
    )


def view(n=2000, names=("t2m",), preprocess=None, **options):
    return view_of(samples(n, names), samples(n // 5, names, seed=1), names, preprocess, **options)


HISTORY = History(
    loss=(30.0, 12.0, 10.0),
    val_loss=(20.0, 9.0, 9.5),
    mae=(4.0, 2.8, 2.5),
    val_mae=(3.5, 2.4, 2.45),
    learning_rate=(0.1, 0.05, 0.001),
    best_epoch=2,
    seconds=1.5,
    samples_seen=6000,
    batch_size=20,
    steps=100,
)


def no_fit(network, view, config):
    """A fitter that leaves the initial weights, but for a bias to make them tell."""
    line = network.get_layer("line")
    kernel, bias = line.get_weights()
    line.set_weights([kernel, bias + 0.25])
    return HISTORY


def chunk(features, lat=None):
    """A chunk of the given features ``(time, lat, lon)``; target all missing."""
    shape = next(iter(features.values())).shape
    return Chunk(
        window=Window((0, 0, 0), shape),
        shape=shape,
        time=np.arange(shape[0]).astype("datetime64[D]").astype("datetime64[ns]"),
        lat=np.linspace(80.0, -80.0, shape[1]) if lat is None else lat,
        lon=np.linspace(-170.0, 170.0, shape[2]),
        target=np.full(shape, np.nan, "float32"),
        features=features,
        land=np.ones(shape[1:], bool),
    )
