"""What the bench of single parts does is what the steps do."""

import numpy as np

from benchmarks import parts
from benchmarks.bare import Clock
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


def test_both_ways_are_counted_and_take_turns():
    order, clock = [], Clock()
    for ours_first in (True, False):
        turns = parts.Turns(clock, ours_first)
        found = turns("read", 8, lambda: order.append("ours") or 1, lambda: order.append("bare"))
        assert found == 1
    assert order == ["ours", "bare", "bare", "ours"]
    assert {name: row["size"] for name, row in clock.rows.items()} == {"read ours": 16, "read bare": 16}
