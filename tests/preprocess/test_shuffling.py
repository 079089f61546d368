import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.preprocess import SHARD_SAMPLES, Samples, Shuffler, extract, recut, shard_count, shuffle
from lstfill.preprocess import shuffling as module
from lstfill.split import draw
from tests.preprocess.cubes import SHAPE, chunks, whole

CUBE = whole()


def joined(shards):
    shards = list(shards)
    return Samples(*(np.concatenate([getattr(s, name) for s in shards]) for name in ("x", "y", "cell")))


def in_memory(samples, seed):
    return samples.take(np.argsort(draw.order_key(samples.cell, seed, "sample-order")))


def assert_same(one, other):
    for name in ("x", "y", "cell"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("n_shards", [None, 1, 3, 16])
@pytest.mark.parametrize("sizes", [SHAPE, (1, 10, 14), (6, 3, 4)])
def test_equals_the_permutation_in_memory_whatever_chunks_and_shards(tmp_path, n_shards, sizes):
    (everything,) = chunks(CUBE, SHAPE)
    pieces = (extract(piece, 0) for piece in chunks(CUBE, sizes))
    assert_same(joined(shuffle(pieces, n_shards, 7, tmp_path)), in_memory(extract(everything, 0), 7))


@pytest.mark.parametrize("sizes", [(1, 10, 14), (6, 3, 4)])
def test_shard_borders_do_not_depend_on_chunks(tmp_path, sizes):
    one, other = (
        [shard.cell.tolist() for shard in shuffle((extract(c, 0) for c in chunks(CUBE, cut)), 4, 7, tmp_path)]
        for cut in (SHAPE, sizes)
    )
    assert one == other


def many(n, f=1):
    cell = np.arange(n, dtype="int64")
    return Samples(np.repeat(cell[:, None], f, axis=1).astype("float32"), cell.astype("float32"), cell)


def test_spilling_in_many_small_portions_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PENDING_SAMPLES", 100)
    samples = many(5000, 3)
    pieces = [samples.take(slice(a, a + 60)) for a in range(0, 5000, 60)]
    assert_same(joined(shuffle(pieces, None, 1, tmp_path)), in_memory(samples, 1))


def test_memory_holds_no_more_than_the_pending_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PENDING_SAMPLES", 100)
    shuffler = Shuffler(tmp_path, 0)
    for _ in range(20):
        shuffler.add(many(60))
        assert sum(map(len, shuffler._pending)) < 160
    assert shuffler.n_samples == 1200
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) >= 1100 * 16


def test_scratch_is_empty_when_all_shards_are_read(tmp_path):
    assert len(joined(shuffle([many(1000)], 4, 0, tmp_path))) == 1000
    assert list(tmp_path.iterdir()) == []


def test_seeds_give_other_orders_and_the_order_is_random(tmp_path):
    one, two = (joined(shuffle([many(20_000)], None, seed, tmp_path)).cell for seed in (0, 1))
    assert not np.array_equal(one, two)
    # Mean position of the first half of cells: 0.5, with a standard error of 0.5/sqrt(3)/sqrt(20000) = 0.002.
    position = np.argsort(one) / 20_000
    assert abs(position[:10_000].mean() - 0.5) < 0.01
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.03


def test_shards_are_of_like_size(tmp_path):
    sizes = [len(s) for s in shuffle([many(40_000)], 8, 0, tmp_path)]
    assert len(sizes) == 8
    assert max(abs(size - 5000) for size in sizes) < 5 * np.sqrt(5000)


@pytest.mark.parametrize(
    ("n", "count"), [(0, 1), (1, 1), (SHARD_SAMPLES, 1), (SHARD_SAMPLES + 1, 2), (7_000_000, 16), (10**10, 256)]
)
def test_shard_count_is_a_power_of_two_of_bounded_shards(n, count):
    assert shard_count(n) == count


def test_shards_not_asked_for_are_as_many_as_the_samples_need(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_SAMPLES", 1000)
    assert len(list(shuffle([many(3500)], None, 0, tmp_path))) == 4


def test_no_samples_no_shards(tmp_path):
    assert list(shuffle([], None, 0, tmp_path)) == []
    assert sum(map(len, shuffle([many(0)], 3, 0, tmp_path))) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 300), st.integers(1, 9), st.integers(1, 50))
def test_recut_keeps_the_order_in_equal_pieces(tmp_path_factory, n, n_shards, size):
    pieces = list(recut(shuffle([many(n)], n_shards, 5, tmp_path_factory.mktemp("scratch")), size))
    assert [len(piece) for piece in pieces] == [size] * (n // size) + ([n % size] if n % size else [])
    if n:
        assert_same(joined(pieces), in_memory(many(n), 5))
