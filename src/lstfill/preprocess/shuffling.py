"""A shuffle of more samples than fit into memory, into an order that depends on cell index and seed alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstfill.preprocess.samples import Samples
from lstfill.preprocess.shards import SHARD_SAMPLES, regroup
from lstfill.split import draw

_STREAM = "sample-order"
_BUCKETS = 256
_PENDING_SAMPLES = 1 << 20


def shard_count(n_samples: int) -> int:
    """Shards for so many samples: a power of two, at most 256, with about ``SHARD_SAMPLES`` each or fewer."""
    count = 1
    while count < _BUCKETS and n_samples > count * SHARD_SAMPLES:
        count *= 2
    return count


class Shuffler:
    """Takes samples in any order and gives them back in shards of one global random order.

    The order is that of ``draw.order_key`` of the cells. Rows are spilled to a file for each range of keys, and each
    range is sorted when its turn comes; memory holds a million samples while they come in and one shard going out.
    """

    def __init__(self, scratch: Path, seed: int, n_shards: int | None = None) -> None:
        """Prepares for samples.

        Args:
            scratch: local directory for the spilled rows; the caller removes it.
            seed: seed of the order.
            n_shards: shards to give back; None takes ``shard_count`` of the number of samples.
        """
        self._scratch = scratch
        self._seed = seed
        self._n_shards = n_shards
        self._buckets = n_shards or _BUCKETS
        self._pending: list[Samples] = []
        self._dtype: np.dtype[np.void] | None = None
        self.n_samples = 0

    def add(self, samples: Samples) -> None:
        """Takes the samples of one chunk."""
        self._dtype = self._dtype or _record(samples.x.shape[1])
        self._pending.append(samples)
        self.n_samples += len(samples)
        if sum(map(len, self._pending)) >= _PENDING_SAMPLES:
            self._spill()

    def shards(self) -> Iterator[Samples]:
        """Gives the shards in order, each once; a shard may be empty if there are few samples."""
        self._spill()
        if self._dtype is None:
            return
        count = self._n_shards or shard_count(self.n_samples)
        each = self._buckets // count
        for first in range(0, self._buckets, each):
            yield self._read(range(first, first + each))

    def _spill(self) -> None:
        for samples in self._pending:
            bucket = _bucket(draw.order_key(samples.cell, self._seed, _STREAM), self._buckets)
            order = np.argsort(bucket, kind="stable")
            rows = np.empty(len(samples), self._dtype)
            rows["x"], rows["y"], rows["cell"] = samples.x[order], samples.y[order], samples.cell[order]
            edges = np.searchsorted(bucket[order], np.arange(self._buckets + 1))
            for number in np.flatnonzero(np.diff(edges)).tolist():
                with self._file(number).open("ab") as file:
                    file.write(rows[edges[number] : edges[number + 1]].tobytes())
        self._pending = []

    def _read(self, buckets: range) -> Samples:
        files = [self._file(number) for number in buckets]
        rows = np.concatenate([np.empty(0, self._dtype), *(np.fromfile(f, self._dtype) for f in files if f.exists())])
        for file in files:
            file.unlink(missing_ok=True)
        order = np.argsort(draw.order_key(rows["cell"], self._seed, _STREAM))
        return Samples(rows["x"][order], rows["y"][order], rows["cell"][order])

    def _file(self, bucket: int) -> Path:
        return self._scratch / f"bucket-{bucket:05d}.bin"


def shuffle(batches: Iterable[Samples], n_shards: int | None, seed: int, scratch: Path) -> Iterator[Samples]:
    """Shuffles samples through files: ``Shuffler`` for samples that come from one iterable.

    Args:
        batches: samples in any order and cut.
        n_shards: shards to give back; None takes ``shard_count`` of the number of samples.
        seed: seed of the order.
        scratch: local directory for the spilled rows; the caller removes it.
    """
    shuffler = Shuffler(scratch, seed, n_shards)
    for samples in batches:
        shuffler.add(samples)
    yield from shuffler.shards()


def recut(shards: Iterable[Samples], size: int) -> Iterator[Samples]:
    """Cuts shards anew into ``size`` samples each, the last one short, as a store of equal chunks wants them."""
    for x, y, cell in regroup(((shard.x, shard.y, shard.cell) for shard in shards), size):
        yield Samples(x, y, cell)


def _record(n_features: int) -> np.dtype[np.void]:
    return np.dtype([("cell", np.int64), ("y", np.float32), ("x", np.float32, (n_features,))])


def _bucket(key: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """Range of keys that each key lies in: its upper 32 bits, scaled to ``count``."""
    upper = key >> np.uint64(32)
    return ((upper * np.uint64(count)) >> np.uint64(32)).astype(np.int64)
