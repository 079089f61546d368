"""Samples in two passes over workers: out of the chunks into pieces sorted roughly, out of the pieces into shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstfill import preprocess as samples_of
from lstfill.config import Cluster
from lstfill.cube import Window, chunk_windows
from lstfill.preprocess import Accumulator, Samples, Selection, Shard
from lstfill.preprocess.samples import Missing
from lstfill.split import Part
from lstfill.steps.reader import Reader
from lstfill.storage import objects, stores
from lstfill.storage.ranges import get_range
from lstfill.storage.scratch import scratch_directory

_PIECE_CELLS = 3_000_000
"""Cells of the cube behind a piece: enough that a shard finds a good run in each, few enough for a worker's memory."""

Span = tuple[int, int, int]
"""Number of a piece, and from which record to before which."""


@dataclass(frozen=True)
class Sampling:
    """What workers need to know; addresses and rules only.

    Attributes:
        reader: of cube, mask and split.
        place: address below which pieces wait.
        missing: what is done with missing features.
        seed: seed of the order.
        chosen: which cells to keep of a part; a part that is not named keeps all.
    """

    reader: Reader
    place: str
    missing: Missing
    seed: int
    chosen: Mapping[Part, Selection]

    def scatter(self, item: tuple[int, list[Window]]) -> NDArray[np.uint32]:
        """Writes the samples of some windows as one piece; gives their numbers ``(part, range)``."""
        number, windows = item
        found = map(self._extract, windows)
        rows, counts = samples_of.scatter(found, len(self.reader.features), self.seed)
        objects.put_bytes(self._piece(number), rows.tobytes())
        return counts.astype(np.uint32)

    def write(self, output: str, train_samples: int, run: str, item: tuple[Shard, list[Span]]) -> Accumulator | None:
        """Sorts and writes one shard; gives its statistics if it is one of the train part.

        Args:
            output: address of the samples.
            train_samples: samples of the train part.
            run: as in ``stores.write_block``.
            item: the shard, and where its records are.
        """
        shard, spans = item
        samples = samples_of.gather(self._records(spans), shard, self.seed)
        name, place = shard.part.name.lower(), (shard.start,)
        stores.write_block(output, f"{name}_x", (*place, 0), samples.x, run=run)
        stores.write_block(output, f"{name}_y", place, samples.y, run=run)
        stores.write_block(output, f"{name}_cell", place, samples.cell, run=run)
        if shard.part is not Part.TRAIN:
            return None
        statistics = Accumulator(self.reader.features, self.reader.target, shard.start, train_samples)
        statistics.add(samples.x, samples.y)
        return statistics

    def _extract(self, window: Window) -> tuple[Samples, NDArray[np.int8]]:
        samples, part_of = samples_of.extract_all(self.reader.chunk(window), self.missing)
        if not self.chosen:
            return samples, part_of
        kept = np.ones(len(samples), bool)
        for part, selection in self.chosen.items():
            mine = part_of == part
            kept[mine] = selection.keep(samples.cell[mine])
        return samples.take(np.flatnonzero(kept)), part_of[kept]

    def _records(self, spans: list[Span]) -> NDArray[np.void]:
        dtype = samples_of.record(len(self.reader.features))
        ranges = ((self._piece(k), first * dtype.itemsize, last * dtype.itemsize) for k, first, last in spans)
        return np.frombuffer(b"".join(get_range(*of) for of in ranges), dtype)

    def _piece(self, number: int) -> str:
        return f"{self.place}/piece-{number:06d}.bin"


@contextmanager
def waiting_place(output: str, cluster: Cluster) -> Iterator[str]:
    """Where pieces wait: on this machine's disk if all workers have it, or else beside the output; gone afterwards."""
    if cluster.kind in ("threads", "local"):
        with scratch_directory() as directory:
            yield str(directory)
        return
    place = f"{output.rstrip('/')}.pieces"
    try:
        yield place
    finally:
        objects.remove(place)


def groups(reader: Reader) -> Iterator[list[Window]]:
    """Chunks of the cube that make a piece together; those without land are left out."""
    grid, places = reader.grid, _places_with_land(reader)
    windows = [window for window in chunk_windows(grid.shape, grid.chunks) if window.start[1:] in places]
    each = max(1, _PIECE_CELLS // int(np.prod(grid.chunks)))
    return (windows[first : first + each] for first in range(0, len(windows), each))


def _places_with_land(reader: Reader) -> set[tuple[int, int]]:
    """First row and column of chunks with land; read a band of chunks at a time."""
    (_, rows, columns), (_, height, width) = reader.grid.shape, reader.grid.chunks
    found = set()
    for row in range(0, rows, height):
        land = reader.land_in(Window((0, row, 0), (1, min(row + height, rows), columns)))
        found |= {(row, column) for column in range(0, columns, width) if land[:, column : column + width].any()}
    return found


def pieces_of_shards(counts: NDArray[np.uint32], size: int) -> Iterator[tuple[Shard, list[Span]]]:
    """Every shard, and where its records are.

    Args:
        counts: samples ``(piece, part, range)``.
        size: samples a shard.
    """
    upto = np.cumsum(counts.reshape(len(counts), -1), axis=1, dtype=np.uint32)
    for shard in samples_of.plan(counts.sum(axis=0, dtype=np.int64), size):
        start = int(shard.part) * samples_of.RANGES
        first, last = (_before(upto, start + edge) for edge in shard.ranges)
        yield shard, [(k, a, b) for k, (a, b) in enumerate(zip(first, last, strict=True)) if b > a]


def _before(upto: NDArray[np.uint32], place: int) -> list[int]:
    """Records of each piece that lie before a place in the order of parts and ranges."""
    return upto[:, place - 1].tolist() if place else [0] * len(upto)
