"""Tiles to learn from and to fill, small and with a known truth."""

from dataclasses import replace

import numpy as np

from lstfill.config import Train
from lstfill.cube import Chunk, Window
from lstfill.gaps import artificial_gaps
from lstfill.model import TrainingView
from lstfill.model.base import Tile
from lstfill.preprocess import InMemoryShards, Scaling

TARGET, FEATURE = "lst", "t2m"


def field(shape, width, rng):
    """White noise, smoothed to patches of some cells, of deviation 1."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(rng.normal(size=shape), [0] * (len(shape) - 2) + [width, width], mode="wrap")
    return smooth / smooth.std()


def truth(shape=(24, 40, 40), seed=0, noise_k=0.3):
    """A year: seasons whose size differs by place, weather that comes back on other dates, patches of each date."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(shape[0]) / shape[0]
    size = 10 + 2 * field(shape[1:], 6, rng)
    weather = np.einsum("tk,kyx->tyx", rng.normal(size=(shape[0], 2)), field((2, *shape[1:]), 4, rng))
    patches = field(shape, 5, rng)
    season = -np.cos(angle)[:, None, None] * size + rng.normal(0, 1.5, (shape[0], 1, 1))
    return (285 + season + 1.5 * weather + patches + rng.normal(0, noise_k, shape)).astype("float32")


def chunk(values, missing=0.3, seed=0, features=()):
    """A chunk of the values with gaps in patches; some of its features follow the values."""
    rng = np.random.default_rng([1, seed])
    shape = values.shape
    gaps = field(shape, 4, rng) > np.quantile(field(shape, 4, rng), 1 - missing)
    days = (np.arange(shape[0]) * 365 // shape[0]).astype("timedelta64[D]")
    air = (values * 0.8 + 55 + rng.normal(0, 2, shape)).astype("float32")
    return Chunk(
        window=Window((0, 0, 0), shape),
        shape=shape,
        time=(np.datetime64("2008-01-01") + days).astype("datetime64[ns]"),
        lat=np.linspace(46.0, 45.0, shape[1]),
        lon=np.linspace(13.0, 14.0, shape[2]),
        target=np.where(gaps, np.float32(np.nan), values),
        features=dict.fromkeys(features, air),
        land=np.ones(shape[1:], bool),
    )


def with_parts(made, seed=0):
    """Parts in columns of cells: most train, some validation, some test."""
    rng = np.random.default_rng([2, seed])
    part = np.repeat(rng.choice([0, 0, 0, 1, 2], -(-made.shape[2] // 5)), 5)[: made.shape[2]]
    return replace(made, part=np.broadcast_to(part.astype("int8"), made.shape).copy())


def whole(made):
    """The chunk as one tile without a margin."""
    return Tile(made, (slice(0, made.shape[1]), slice(0, made.shape[2])))


class ListOfTiles(list):
    """A source of tiles that are at hand."""

    def map(self, function, items):
        return [function(self[number], number, turn) for number, turn in items]


def view(*tiles):
    """The view that the steps would make of the tiles, with no samples."""
    made = tiles[0].chunk
    empty = InMemoryShards(np.empty((0, len(made.features)), "float32"), np.empty(0, "float32"), 10)
    ranges = {name: (float(np.nanmin(of)), float(np.nanmax(of))) for name, of in made.features.items()}
    return TrainingView(
        train=empty,
        validation=empty,
        target=TARGET,
        features=tuple(made.features),
        units=dict.fromkeys((TARGET, *made.features), "K"),
        scaling=Scaling(dict.fromkeys((TARGET, *made.features), (0.0, 1.0))),
        ranges=ranges,
        covariates=tuple(made.covariates),
        tiles=ListOfTiles(tiles),
    )


def fitted(model, *tiles, **sections):
    """The model, fitted to the tiles."""
    model.fit(view(*tiles), Train(**sections), no_network)
    return model


def no_network(network, view, config):
    raise AssertionError("no network is to be fitted")


def hidden(made, seed=7, part=0, parts=3):
    """Artificial gaps in what is visible."""
    return artificial_gaps(made.visible(), made.land, (seed,), part, parts)


def mae(predicted, values, where):
    return float(np.abs(predicted[where] - values[where]).mean())
