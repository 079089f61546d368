"""Single parts of the work beside what bounds them: a bare Zarr read or write, a bare pass of NumPy, a bare fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import cubes
from benchmarks.bare import Clock, described_like
from benchmarks.measure import measured
from benchmarks.scores import Line
from benchmarks.setting import Setting

if TYPE_CHECKING:
    from lstfill.cube import Chunk
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
        bench.one(clock if number else Clock(), window)  # the first one opens the stores
    return _rows(clock)


class _Chunks:
    """The stores of a run, opened twice: by our own reader, and by Zarr."""

    def __init__(self, places: dict[str, str]) -> None:
        import zarr

        from lstfill import model
        from lstfill.cube import chunk_windows
        from lstfill.steps.reader import Reader

        self.reader = Reader.open(places["cube"], places["land"], places["parts"])
        self.windows = chunk_windows(self.reader.grid.shape, self.reader.grid.chunks)
        self.model = model.load(Path(places["model"]))
        self.cube: Any = zarr.open_group(places["cube"], mode="r")
        self.copy = places["filled"].replace("filled", "copied")
        self.bare: Any = described_like(Path(places["filled"]), Path(self.copy))

    def one(self, clock: Clock, window: Any) -> None:
        """All parts on one window."""
        names = [self.reader.target, *self.reader.features]
        with clock.running("read bare", window.size * len(names) * 4):
            values = [self.cube[name][window.slices] for name in names]
        with clock.running("read ours", window.size * len(names) * 4):
            chunk = self.reader.chunk(window)
        with clock.running("split bare", window.size):
            np.full(window.shape, 1, np.uint8)
        with clock.running("split ours", window.size):
            self.reader.table.part_in(window)  # type: ignore[union-attr]
        self._sample(clock, chunk)
        with clock.running("predict bare", window.size):
            np.where(np.isfinite(values[0]), values[0], Line(1.12, 276.0)(values[1]))
        self._fill_and_write(clock, chunk)

    def _sample(self, clock: Clock, chunk: Chunk) -> None:
        from lstfill.preprocess import extract_all

        feature = next(iter(chunk.features.values()))
        size = int(np.count_nonzero(np.isfinite(chunk.target) & chunk.land))
        with clock.running("sample bare", size):
            chosen = np.isfinite(chunk.target) & chunk.land
            (chunk.target[chosen], feature[chosen])
        with clock.running("sample ours", size):
            extract_all(chunk)

    def _fill_and_write(self, clock: Clock, chunk: Chunk) -> None:
        from lstfill.predict import fill, filled_names
        from lstfill.storage import stores

        with clock.running("predict ours", chunk.window.size):
            filled = fill(chunk, self.model)
        names = filled_names(self.reader.target)
        arrays = {
            names["filled"]: filled.value,
            names["source"]: filled.flag,
            names["uncertainty"]: filled.uncertainty,
        }
        size = sum(values.nbytes for values in arrays.values())
        with clock.running("write bare", size):
            for name, values in arrays.items():
                self.bare[name][chunk.window.slices] = values
        with clock.running("write ours", size):
            stores.write(self.copy, chunk.window, arrays, run="parts")


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

    scattered = [scatter(piece, np.full(len(piece), Part.TRAIN, np.int8), seed) for piece in pieces]
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
