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

    Shards hold samples in a random order already; so it mixes well to draw the order of shards, and the row that each
    starts with: batches begin elsewhere in every epoch, at the price of one copy.

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
        return ((x, y) for x, y in regroup(self.pieces(epoch), self.batch_size))

    def pieces(self, epoch: int) -> Iterator[Batch]:
        """The same samples in the same order, a shard at a time, as copies: TensorFlow computes in the memory it gets.

        Args:
            epoch: number of the epoch.
        """
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.shards)) if self.shuffle else range(len(self.shards))
        for shard in order:
            x, y = self.shards.read(int(shard))
            first = int(rng.integers(1, max(2, len(y)))) if self.shuffle else 0
            yield np.concatenate([x[first:], x[:first]]), np.concatenate([y[first:], y[:first]])
