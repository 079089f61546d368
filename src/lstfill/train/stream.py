"""Batches from shards: every sample once an epoch, in an order of the seed, one shard in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstfill.preprocess import ShardSource, regroup

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]

MIN_STEPS = 50
"""Steps an epoch that small data get by smaller batches: Adam moves a weight by about one learning rate a step."""
MIN_BATCH = 4
"""Batch size below which gradients are too noisy to be worth more steps."""


def batch_size_for(n_samples: int, asked: int) -> int:
    """Samples a step: as asked, or fewer where an epoch would have less than 50 steps, down to 4.

    Args:
        n_samples: samples of an epoch.
        asked: ``train.batch_size``.
    """
    return min(asked, max(MIN_BATCH, n_samples // MIN_STEPS))


@dataclass(frozen=True)
class BatchStream:
    """Samples of a source as batches, complete across the borders of shards; only the last of an epoch may be short.

    Shards hold samples in a random order already; so it mixes well to draw the order of shards, and of rows in each.

    Attributes:
        shards: where the samples come from.
        batch_size: samples a batch.
        seed: with the number of the epoch, all that the order depends on.
        shuffle: False gives the stored order, for validation.
    """

    shards: ShardSource
    batch_size: int
    seed: int = 0
    shuffle: bool = True

    @property
    def n_samples(self) -> int:
        """Samples of an epoch."""
        return sum(self.shards.sizes)

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-self.n_samples // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch: features ``(n, f)`` and target ``(n,)``.

        Args:
            epoch: number of the epoch; the same one has the same batches each time.
        """
        return (batch for x, y in self.blocks(epoch, 1) for batch in zip(x, y, strict=True))

    def blocks(self, epoch: int, batches: int) -> Iterator[Batch]:
        """The same batches, stacked: features ``(b, n, f)`` and target ``(b, n)``, a short one alone.

        Args:
            epoch: number of the epoch.
            batches: most batches of a block.
        """
        for x, y in regroup(self._read(epoch), batches * self.batch_size):
            whole = len(y) // self.batch_size * self.batch_size
            if whole:
                shape = (-1, self.batch_size)
                yield x[:whole].reshape(*shape, x.shape[1]), y[:whole].reshape(shape)
            if whole < len(y):
                yield x[None, whole:], y[None, whole:]

    def _read(self, epoch: int) -> Iterator[Batch]:
        if not self.shuffle:
            yield from map(self.shards.read, range(len(self.shards)))
            return
        rng = np.random.default_rng((self.seed, epoch))
        for shard in rng.permutation(len(self.shards)):
            x, y = self.shards.read(int(shard))
            rows = rng.permutation(len(y))
            yield x[rows], y[rows]
