"""One random order of more samples than fit into memory, made in two passes that many workers can share.

The order is that of ``draw.order_key`` of the cells: it depends on cell index and seed alone. First the samples of any
chunks are sorted roughly, by part and range of keys; then each shard takes the ranges that reach into it from all
those pieces and sorts them out. What lies between is bytes and counts, wherever they are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstfill.preprocess.samples import Samples
from lstfill.split import draw
from lstfill.split.blocks import PARTS, Part

_STREAM = "sample-order"
_RANGE_BITS = 11
RANGES = 1 << _RANGE_BITS
"""Ranges of keys of each part: more than one for each shard of up to a thousand million samples."""


@dataclass(frozen=True)
class Shard:
    """Which samples make a shard, planned from counts alone.

    Attributes:
        part: part of the split.
        start: place of the first sample in the order of the part.
        size: number of samples.
        ranges: first range of keys that reaches into the shard, and the one after the last.
        skip: samples of these ranges that belong to the shard before.
    """

    part: Part
    start: int
    size: int
    ranges: tuple[int, int]
    skip: int


def record(n_features: int) -> np.dtype[np.void]:
    """A sample as it waits between the passes."""
    return np.dtype([("cell", np.int64), ("y", np.float32), ("x", np.float32, (n_features,))])


def scatter(
    found: Iterable[tuple[Samples, NDArray[np.int8]]], n_features: int, seed: int
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Sorts samples roughly: by part, and in each by range of keys.

    Args:
        found: samples in any order, and the part of each ``(n,)``, which is never ``Part.NONE``; taken one by one.
        n_features: columns of the features.
        seed: seed of the order.

    Returns:
        The samples as records ``(n,)``, and how many there are of each part and range ``(part, range)``.
    """
    rows, codes = [np.empty(0, record(n_features))], [np.empty(0, np.uint16)]
    for samples, part in found:
        rows.append(_records(samples))
        codes.append(_codes(samples, part, seed))
    code = np.concatenate(codes)
    counts = np.bincount(code, minlength=len(PARTS) * RANGES).reshape(len(PARTS), RANGES)
    # Of 16 bits, for which NumPy has a radix sort.
    order = np.argsort(code, kind="stable")
    return _joined(rows).take(order), counts


def plan(counts: NDArray[np.int64], size: int) -> Iterator[Shard]:
    """The shards of all parts, of ``size`` samples each and the last of a part short.

    Args:
        counts: samples of all pieces ``(part, range)``.
        size: samples a shard.
    """
    for part, of_range in zip(PARTS, counts, strict=True):
        edges = np.concatenate([[0], np.cumsum(of_range)])
        for start in range(0, int(edges[-1]), size):
            stop = min(start + size, int(edges[-1]))
            first = int(np.searchsorted(edges, start, side="right")) - 1
            last = int(np.searchsorted(edges, stop, side="left"))
            yield Shard(part, start, stop - start, (first, last), start - int(edges[first]))


def gather(rows: NDArray[np.void], shard: Shard, seed: int) -> Samples:
    """Sorts the samples of a shard.

    Args:
        rows: records of the shard's ranges from all pieces ``(n,)``, in any order.
        shard: as planned.
        seed: seed of the order.
    """
    order = sorted_order(draw.order_key(rows["cell"], seed, _STREAM))[shard.skip : shard.skip + shard.size]
    return Samples(rows["x"][order], rows["y"][order], rows["cell"][order])


def sorted_order(key: NDArray[np.uint64]) -> NDArray[np.intp]:
    """What ``np.argsort`` gives for keys that are all different, at a third of the cost.

    The row's number takes the place of the lower bits of its key, so that plain numbers are sorted; where two keys do
    not differ in the upper bits, which is rare, it sorts in the usual way.
    """
    bits = np.uint64(len(key).bit_length())
    above = key - key.min(initial=np.uint64(2**64 - 1))
    above <<= np.uint64(64 - int(above.max(initial=np.uint64(0))).bit_length())
    packed = np.sort(above >> bits << bits | np.arange(len(key), dtype=np.uint64))
    upper = packed >> bits
    tied = (upper[1:] == upper[:-1]).any()
    order: NDArray[np.intp] = np.argsort(key) if tied else (packed ^ upper << bits).astype(np.intp)
    return order


def shuffle(samples: Samples, seed: int) -> Samples:
    """The same order for samples that fit into memory.

    Args:
        samples: in any order.
        seed: seed of the order.
    """
    return samples.take(sorted_order(draw.order_key(samples.cell, seed, _STREAM)))


def _records(samples: Samples) -> NDArray[np.void]:
    rows = np.empty(len(samples), record(samples.x.shape[1]))
    rows["cell"], rows["y"], rows["x"] = samples.cell, samples.y, samples.x
    return rows


def _codes(samples: Samples, part: NDArray[np.int8], seed: int) -> NDArray[np.uint16]:
    """Part and range of each sample, in one number."""
    upper = draw.order_key(samples.cell, seed, _STREAM) >> np.uint64(64 - _RANGE_BITS)
    code: NDArray[np.uint16] = part.astype(np.uint16) << np.uint16(_RANGE_BITS) | upper.astype(np.uint16)
    return code


def _joined(rows: list[NDArray[np.void]]) -> NDArray[np.void]:
    """All in one; the list is emptied, or they would be in memory twice for as long as the caller works on them."""
    joined = np.concatenate(rows)
    rows.clear()
    return joined
