"""Shards: samples in pieces that fit into memory, behind one protocol for stores and for arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SHARD_SAMPLES = 1 << 19
"""Samples a shard, at most, where nobody says otherwise: 4 MiB with one feature, 4 MiB more for each further two."""

Arrays = tuple[NDArray[Any], ...]


class ShardSource(Protocol):
    """Samples in shards, read one at a time."""

    @property
    def sizes(self) -> Sequence[int]:
        """Samples of each shard."""

    def __len__(self) -> int:
        """Number of shards."""

    def read(self, shard: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features ``(n, f)`` and target ``(n,)`` of one shard, in stored units; a missing feature is NaN."""

    def cells(self, shard: int) -> NDArray[np.int64]:
        """C-order index of the samples' cells in the cube ``(n,)``, in the same order."""


@dataclass(frozen=True)
class InMemoryShards:
    """Arrays as a source of shards, for notebooks and tests.

    Attributes:
        x: features ``(n, f)`` in stored units.
        y: target ``(n,)`` in K.
        shard_size: samples a shard; the last one may be short.
        cell: C-order index of each sample's cell in the cube ``(n,)``, for models that ask for date and place.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    shard_size: int = SHARD_SAMPLES
    cell: NDArray[np.int64] | None = None

    @property
    def sizes(self) -> list[int]:
        """Samples of each shard."""
        return [min(self.shard_size, len(self.y) - start) for start in range(0, len(self.y), self.shard_size)]

    def __len__(self) -> int:
        return len(self.sizes)

    def read(self, shard: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features ``(n, f)`` and target ``(n,)`` of one shard."""
        rows = self._rows(shard)
        return self.x[rows].astype(np.float32, copy=False), self.y[rows].astype(np.float32, copy=False)

    def cells(self, shard: int) -> NDArray[np.int64]:
        """C-order index of the samples' cells in the cube ``(n,)``.

        Raises:
            ValueError: they are not known.
        """
        if self.cell is None:
            raise ValueError("the samples do not say their cells: give InMemoryShards the array cell")
        return self.cell[self._rows(shard)]

    def _rows(self, shard: int) -> slice:
        return slice(shard * self.shard_size, (shard + 1) * self.shard_size)


@dataclass(frozen=True)
class Derived:
    """A source whose shards are those of another; a subclass says what is read of them.

    Attributes:
        source: where the samples come from.
    """

    source: ShardSource

    @property
    def sizes(self) -> Sequence[int]:
        """Samples of each shard."""
        return self.source.sizes

    def __len__(self) -> int:
        return len(self.source)

    def cells(self, shard: int) -> NDArray[np.int64]:
        """C-order index of the samples' cells in the cube ``(n,)``."""
        return self.source.cells(shard)


@dataclass(frozen=True)
class Imputed(Derived):
    """A source whose missing features are replaced while they are read; the target is left alone.

    Attributes:
        values: what to put in, one a feature in the order of the columns; NaN leaves the feature as it is.
    """

    values: tuple[float, ...]

    def read(self, shard: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features ``(n, f)``, imputed, and target ``(n,)`` of one shard."""
        x, y = self.source.read(shard)
        return np.where(np.isfinite(x), x, np.asarray(self.values, np.float32)), y


def regroup(pieces: Iterable[Arrays], size: int) -> Iterator[Arrays]:
    """Cuts a sequence of pieces anew, every ``size`` rows across their borders; only the last may be short.

    Args:
        pieces: arrays of equal length a piece, like features and target.
        size: rows a new piece.
    """
    rest: Arrays = ()
    for piece in pieces:
        joined = tuple(np.concatenate(pair) for pair in zip(rest, piece, strict=True)) if rest else piece
        whole = len(joined[0]) // size * size
        for start in range(0, whole, size):
            yield tuple(values[start : start + size] for values in joined)
        rest = tuple(values[whole:] for values in joined) if whole < len(joined[0]) else ()
    if rest:
        yield rest
