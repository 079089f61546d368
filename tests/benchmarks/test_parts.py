"""What the bench of single parts does is what the steps do."""

import numpy as np

from benchmarks import parts
from lstfill.preprocess import Samples, shuffle


def test_two_passes_give_the_order_of_one():
    draws = np.random.default_rng(1)
    cell = draws.permutation(5000).astype(np.int64)
    samples = Samples(draws.random((5000, 1), np.float32), draws.random(5000, np.float32), cell)
    pieces = [samples.take(rows) for rows in np.array_split(np.arange(5000), 3)]
    made = list(parts.shuffled(pieces))
    expected = shuffle(samples, 0)
    np.testing.assert_array_equal(np.concatenate([shard.cell for shard in made]), expected.cell)
    np.testing.assert_array_equal(np.concatenate([shard.x for shard in made]), expected.x)
