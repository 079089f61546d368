"""Single parts of the work beside what bounds them: a bare Zarr read or write, a bare pass of NumPy, a bare fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import cubes
from benchmarks.bare import Clock, described_like
from benchmarks.measure import measured
from benchmarks.scores import Line
from benchmarks.setting import Setting

if TYPE_CHECKING:
    from lstfill.cube import Chunk, Window
    from lstfill.preprocess import Samples

# What is counted of each part, and what bounds it.
MEANING = {
    "read": ("MB", "the same chunks by Zarr"),
    "split": ("M cells", "a byte a cell, written once"),
    "sample": ("M samples", "finite on land: two arrays by one mask"),
    "shuffle": ("M samples", "a permutation in memory"),
    "batch": ("M samples", "a copy in memory"),
    "Keras step": ("M samples", "fit on arrays in memory, 8192 a batch, 64 steps a call"),
    "predict": ("M cells", "slope, intercept and where on whole chunks"),
    "write": ("MB", "the same chunks by Zarr"),
}
_KERAS_SAMPLES = 1 << 22


def run(setting: Setting) -> dict[str, Any]:
    """Measures the parts on the stores of a run.

    Args:
        setting: the cube.
    """
    chain = setting.chain("parts")
    chain.run_all()
    rows = {}
    for work in ("of_chunks", "of_samples", "of_fit"):
        ran = measured(f"benchmarks.parts:{work}", {"places": chain.places}, env=chain.env)
        rows |= ran.value
    shutil.rmtree(chain.root)
    return {"cube": cubes.describe(setting.cube), "rows": {name: rows[name] for name in MEANING}}


def of_chunks(places: dict[str, str]) -> dict[str, dict[str, float]]:
    """Read, split, sample, predict and write, chunk by chunk, ours and bare in turns.

    Args:
        places: address of every store of a run.
    """
    clock, bench = Clock(), _Chunks(places)
    for number, window in enumerate(bench.windows):
        # The first one opens the stores. Who comes second finds files and caches warm: they take turns.
        bench.one(Turns(clock if number else Clock(), ours_first=number % 2 == 0), window)
    return _rows(clock)


@dataclass(frozen=True)
class Turns:
    """Does the same work in our way and in the bare one.

    Attributes:
        clock: counts both.
        ours_first: which of them begins.
    """

    clock: Clock
    ours_first: bool

    def __call__(self, part: str, size: int, ours: Callable[[], Any], bare: Callable[[], Any]) -> Any:
        """Counts both for a part, and returns what ours returned."""
        found = {}
        for name, work in (("ours", ours), ("bare", bare))[:: 1 if self.ours_first else -1]:
            with self.clock.running(f"{part} {name}", size):
                found[name] = work()
        return found["ours"]


class _Chunks:
    """The stores of a run, opened twice: by our own reader, and by Zarr."""

    def __init__(self, places: dict[str, str]) -> None:
        import zarr

        from lstfill import model
        from lstfill.cube import chunk_windows
        from lstfill.steps.reader import Reader

        self.reader: Any = Reader.open(places["cube"], places["land"], places["parts"])
        self.windows = chunk_windows(self.reader.grid.shape, self.reader.grid.chunks)
        self.model = model.load(Path(places["model"]))
        self.cube: Any = zarr.open_group(places["cube"], mode="r")
        self.copies = [str(Path(places["filled"]).with_name(name)) for name in ("ours.zarr", "bare.zarr")]
        self.bare: Any = [described_like(Path(places["filled"]), Path(copy)) for copy in self.copies][1]

    def one(self, turns: Turns, window: Window) -> None:
        """All parts on one window."""
        names = [self.reader.target, *self.reader.features]
        chunk = turns(
            "read",
            window.size * len(names) * 4,
            lambda: self.reader.chunk(window),
            lambda: [self.cube[name][window.slices] for name in names],
        )
        turns(
            "split",
            window.size,
            lambda: self.reader.table.part_in(window),
            lambda: np.full(window.shape, 1, np.uint8),
        )
        _sample(turns, chunk)
        self._fill_and_write(turns, chunk)

    def _fill_and_write(self, turns: Turns, chunk: Chunk) -> None:
        from lstfill.predict import fill, filled_names
        from lstfill.storage import stores

        target, feature, line = chunk.target, next(iter(chunk.features.values())), Line(1.12, 276.0)
        filled = turns(
            "predict",
            chunk.window.size,
            lambda: fill(chunk, self.model),
            lambda: np.where(np.isfinite(target), target, line(feature)),
        )
        names, where = filled_names(self.reader.target), chunk.window.slices
        values = {"filled": filled.value, "source": filled.flag, "uncertainty": filled.uncertainty}
        arrays = {names[name]: of for name, of in values.items()}
        turns(
            "write",
            sum(of.nbytes for of in arrays.values()),
            lambda: stores.write(self.copies[0], chunk.window, arrays, run="parts"),
            lambda: [self.bare[name].__setitem__(where, of) for name, of in arrays.items()],
        )


def _sample(turns: Turns, chunk: Chunk) -> None:
    from lstfill.preprocess import extract_all

    target, feature = chunk.target, next(iter(chunk.features.values()))

    def bare() -> None:
        chosen = np.isfinite(target) & chunk.land
        (target[chosen], feature[chosen])

    size = int(np.count_nonzero(np.isfinite(target) & chunk.land))
    turns("sample", size, lambda: extract_all(chunk), bare)


def of_samples(places: dict[str, str]) -> dict[str, dict[str, float]]:
    """Shuffle and batch, on the samples of a run.

    Args:
        places: address of every store of a run.
    """
    from lstfill.train.stream import BatchStream

    clock, shards = Clock(), list(_shards(places["samples"]))
    size, rng = sum(map(len, shards)), np.random.default_rng(0)
    with clock.running("shuffle ours", size):
        for _ in shuffled(shards):
            pass
    whole = [np.concatenate([getattr(shard, name) for shard in shards]) for name in ("x", "y", "cell")]
    with clock.running("shuffle bare", size):
        order = rng.permutation(size)
        _ = [values[order] for values in whole]
    stream = BatchStream(_in_memory(whole), 8192)
    with clock.running("batch ours", size):
        for _ in stream.epoch(0):
            pass
    with clock.running("batch bare", size):
        _ = [values.copy() for values in whole[:2]]
    return _rows(clock)


def shuffled(pieces: Sequence[Samples], seed: int = 0) -> Iterator[Samples]:
    """The shards that preprocess makes of pieces, in its two passes, without the files between them.

    Args:
        pieces: samples of the train part, in any order.
        seed: seed of the order.
    """
    from lstfill.preprocess import SHARD_SAMPLES, gather, plan, scatter
    from lstfill.split import Part

    found = [[(piece, np.full(len(piece), Part.TRAIN, np.int8))] for piece in pieces]
    scattered = [scatter(one, pieces[0].x.shape[1], seed) for one in found]
    edges = [np.concatenate([[0], np.cumsum(counts[Part.TRAIN])]) for _, counts in scattered]
    for shard in plan(np.sum([counts for _, counts in scattered], axis=0), SHARD_SAMPLES):
        cuts = [slice(*of_piece[list(shard.ranges)]) for of_piece in edges]
        rows = [rows[cut] for (rows, _), cut in zip(scattered, cuts, strict=True)]
        yield gather(np.concatenate(rows), shard, seed)


def of_fit(places: dict[str, str]) -> dict[str, dict[str, float]]:
    """The step through Keras: what the run's fit reached, and a bare fit; both by wall, as Keras works on all cores.

    Args:
        places: address of every store of a run.
    """
    import time

    import keras

    from lstfill.steps.train import history_of

    x = np.random.default_rng(0).standard_normal((_KERAS_SAMPLES, 1), np.float32)
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(optimizer="adam", loss="mse", steps_per_execution=64)
    network.fit(x[: 8192 * 64], x[: 8192 * 64], batch_size=8192, shuffle=False, verbose=0)
    began = time.perf_counter()
    network.fit(x, x, batch_size=8192, shuffle=False, verbose=0)
    bound, history = _KERAS_SAMPLES / (time.perf_counter() - began), history_of(places["model"]) or {}
    return {"Keras step": _row(history["samples_seen"] / history["seconds"], bound)}


def _shards(samples: str) -> Iterator[Samples]:
    from lstfill.preprocess import Samples
    from lstfill.steps.shards import StoredShards
    from lstfill.storage import stores

    stored = StoredShards(samples, "train", stores.provenance(samples)["facts"]["samples"]["train"])
    for number in range(len(stored)):
        yield Samples(*stored.read(number), stored.cells(number))


def _in_memory(whole: list[Any]) -> Any:
    from lstfill.preprocess import InMemoryShards

    return InMemoryShards(whole[0], whole[1])


def _rows(clock: Clock) -> dict[str, dict[str, float]]:
    """Rates by processor time of what was counted both as ours and as bare."""
    names = [name.removesuffix(" ours") for name in clock.rows if name.endswith(" ours")]
    rates = {name: row["size"] / max(row["cpu_s"], 1e-6) for name, row in clock.rows.items()}
    return {name: _row(rates[f"{name} ours"], rates[f"{name} bare"]) for name in names}


def _row(rate: float, bound: float) -> dict[str, float]:
    """Rates in millions a second."""
    return {"rate": rate / 1e6, "bound": bound / 1e6, "share": rate / bound}
