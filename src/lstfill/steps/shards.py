"""Samples of a store, shard by shard, as a model reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstfill.preprocess import SHARD_SAMPLES, Derived
from lstfill.storage import stores


@dataclass(frozen=True)
class StoredShards:
    """One part of a store of samples; a shard is a chunk of the store.

    Attributes:
        uri: address of the samples.
        part: ``train``, ``validation`` or ``test``.
        count: samples of the part.
        identity: of the store, from its provenance; with it the store is opened once.
    """

    uri: str
    part: str
    count: int
    identity: str = ""

    @property
    def sizes(self) -> Sequence[int]:
        """Samples of each shard."""
        return [min(SHARD_SAMPLES, self.count - start) for start in range(0, self.count, SHARD_SAMPLES)]

    def __len__(self) -> int:
        return len(self.sizes)

    def read(self, shard: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features ``(n, f)`` and target ``(n,)`` of one shard, in stored units."""
        rows = self._rows(shard)
        x = stores.read_block(self.uri, f"{self.part}_x", (rows, slice(None)), identity=self.identity)
        return x, stores.read_block(self.uri, f"{self.part}_y", (rows,), identity=self.identity)

    def cells(self, shard: int) -> NDArray[np.int64]:
        """C-order index of the samples' cells in the cube ``(n,)``."""
        return stores.read_block(self.uri, f"{self.part}_cell", (self._rows(shard),), identity=self.identity)

    def _rows(self, shard: int) -> slice:
        return slice(shard * SHARD_SAMPLES, shard * SHARD_SAMPLES + self.sizes[shard])


@dataclass(frozen=True)
class KeptShards(Derived):
    """Shards that stay on local disk once they were read, so that only the first epoch asks the store.

    Attributes:
        directory: an empty local directory, for one reader; the caller removes it.
    """

    directory: Path

    def read(self, shard: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features ``(n, f)`` and target ``(n,)`` of one shard, in stored units."""
        kept = [self.directory / f"{shard}-{name}.npy" for name in "xy"]
        if kept[1].exists():
            return np.load(kept[0]), np.load(kept[1])
        values = self.source.read(shard)
        for file, array in zip(kept, values, strict=True):
            np.save(file, array)
        return values

    def cells(self, shard: int) -> NDArray[np.int64]:
        """C-order index of the samples' cells in the cube ``(n,)``; kept from the first time that it is asked for."""
        file = self.directory / f"{shard}-cell.npy"
        if not file.exists():
            np.save(file, self.source.cells(shard))
        cells: NDArray[np.int64] = np.load(file)
        return cells
