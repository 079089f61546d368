import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.train import BatchStream, InMemoryShards, batch_size_for


def source(n, shard_size=100):
    """Samples that know their number: the target is the row, the feature its negative."""
    rows = np.arange(n, dtype="float32")
    return InMemoryShards(-rows[:, None], rows, shard_size)


def rows_of(batches):
    return np.concatenate([np.empty(0, "float32"), *(y for _, y in batches)])


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 130), st.integers(1, 200), st.booleans(), st.integers(0, 5))
def test_every_sample_once_an_epoch_in_complete_batches(n, batch_size, shard_size, shuffle, epoch):
    stream = BatchStream(source(n, shard_size), batch_size, seed=1, shuffle=shuffle)
    batches = list(stream.epoch(epoch))
    assert len(batches) == stream.steps
    assert all(len(y) == batch_size for _, y in batches[:-1])
    assert stream.n_samples == n
    np.testing.assert_array_equal(np.sort(rows_of(batches)), np.arange(n))
    for x, y in batches:
        np.testing.assert_array_equal(x[:, 0], -y)


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 130), st.integers(1, 200), st.booleans())
def test_pieces_are_the_batches_uncut(n, batch_size, shard_size, shuffle):
    stream = BatchStream(source(n, shard_size), batch_size, seed=1, shuffle=shuffle)
    pieces = list(stream.pieces(2))
    assert len(pieces) == len(stream.shards)
    np.testing.assert_array_equal(rows_of(pieces), rows_of(stream.epoch(2)))


@pytest.mark.parametrize("shuffle", [True, False])
def test_whoever_writes_into_a_piece_leaves_the_source_alone(shuffle):
    """TensorFlow computes in the memory of an array that it was handed, if it thinks that nobody else wants it."""
    shards = source(250)
    for x, y in BatchStream(shards, 64, shuffle=shuffle).pieces(0):
        x[:], y[:] = np.nan, np.nan
    np.testing.assert_array_equal(shards.y, np.arange(250))
    np.testing.assert_array_equal(shards.x[:, 0], -np.arange(250))


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        return rows_of(BatchStream(source(1000), 64, seed).epoch(epoch)).tolist()

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    # Not the sum of the two: seed 1 of epoch 0 is another order than seed 0 of epoch 1.
    assert order(1, 0) != order(0, 1)


def test_batch_size_does_not_change_the_order():
    small, large = (rows_of(BatchStream(source(1000), size, 3).epoch(2)) for size in (7, 400))
    np.testing.assert_array_equal(small, large)


def test_shards_and_rows_are_both_mixed():
    rows = rows_of(BatchStream(source(1000, 100), 50).epoch(0))
    first = rows.reshape(10, 100) // 100
    assert (first == first[:, :1]).all(), "one shard at a time"
    assert first[:, 0].tolist() != sorted(first[:, 0])
    assert all(row.tolist() != sorted(row) for row in rows.reshape(10, 100))


def test_unshuffled_is_the_stored_order():
    np.testing.assert_array_equal(rows_of(BatchStream(source(250), 64, seed=5, shuffle=False).epoch(3)), np.arange(250))


class Watched:
    """A source that knows which of the arrays it gave are still alive."""

    def __init__(self, n_shards, size):
        self.sizes = [size] * n_shards
        self.alive = set()
        self.most = 0
        self.reads = []

    def __len__(self):
        return len(self.sizes)

    def read(self, shard):
        values = np.full(self.sizes[shard], shard, "float32")
        self.reads.append(shard)
        token = len(self.reads)
        self.alive.add(token)
        weakref.finalize(values, self.alive.discard, token)
        self.most = max(self.most, len(self.alive))
        return values[:, None].copy(), values


@pytest.mark.parametrize("shuffle", [True, False])
def test_memory_holds_a_shard_or_two_and_never_all(shuffle):
    watched = Watched(20, 1000)
    stream = BatchStream(watched, 300, shuffle=shuffle)
    seen = 0
    for _, y in stream.epoch(0):
        seen += len(y)
        del y
    assert seen == 20_000
    assert sorted(watched.reads) == list(range(20))
    assert watched.most <= 3


def test_reading_is_lazy():
    watched = Watched(20, 1000)
    next(BatchStream(watched, 300).epoch(0))
    assert len(watched.reads) == 1


@pytest.mark.parametrize(
    ("n", "asked", "used"),
    [
        (7_000_000, 8192, 8192),
        (409_600, 8192, 8192),  # just 50 steps
        (200_000, 8192, 4000),
        (3000, 8192, 60),
        (50, 8192, 4),
        (3, 8192, 4),  # one short batch an epoch
        (7_000_000, 32, 32),  # the published use case
        (50, 2, 2),
    ],
)
def test_small_data_get_smaller_batches_large_data_what_was_asked(n, asked, used):
    assert batch_size_for(n, asked) == used
