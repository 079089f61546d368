import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.preprocess import RANGES, Samples, extract, extract_all, gather, plan, scatter, shuffle
from lstfill.preprocess.shuffling import sorted_order
from lstfill.split import PARTS, Part, draw
from tests.preprocess.cubes import SHAPE, chunks, whole

CUBE = whole()
NAMES = ("x", "y", "cell")


def joined(pieces):
    """The rows of all pieces, one after the other."""
    return Samples(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("x", "y", "cell")))


def in_memory(samples, seed):
    return samples.take(np.argsort(draw.order_key(samples.cell, seed, "sample-order")))


def assert_same(one, other):
    for name in NAMES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def in_two_passes(pieces, size, seed):
    """Shards by part, as workers would make them that see one piece or one shard each."""
    scattered = [scatter([piece], piece[0].x.shape[1], seed) for piece in pieces]
    shards = {part: [] for part in PARTS}
    for shard in plan(sum(counts for _, counts in scattered), size):
        found = []
        for rows, counts in scattered:
            edges = np.concatenate([[0], counts.ravel().cumsum()])
            first, last = (edges[shard.part * RANGES + edge] for edge in shard.ranges)
            found.append(rows[first:last])
        assert shard.start == sum(map(len, shards[shard.part]))
        shards[shard.part].append(gather(np.concatenate(found), shard, seed))
        assert len(shards[shard.part][-1]) == shard.size
    return shards


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
@pytest.mark.parametrize("sizes", [SHAPE, (1, 10, 14), (6, 3, 4)])
def test_equals_the_permutation_in_memory_whatever_chunks_and_shards(size, sizes):
    (everything,) = chunks(CUBE, SHAPE)
    shards = in_two_passes([extract_all(piece) for piece in chunks(CUBE, sizes)], size, 7)
    for part in PARTS:
        expected = in_memory(extract(everything, part), 7)
        assert_same(joined(shards[part]), expected)
        assert [len(shard) for shard in shards[part][:-1]] == [size] * ((len(expected) - 1) // size)


def many(n, f=1):
    cell = np.arange(n, dtype="int64")
    return Samples(np.repeat(cell[:, None], f, axis=1).astype("float32"), cell.astype("float32"), cell)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 80), min_size=1, max_size=5), st.integers(1, 60), st.integers(0, 3), st.integers(0, 9))
def test_every_sample_is_in_one_shard_with_its_own_values(lengths, size, f, seed):
    samples, edges = many(sum(lengths), f), np.cumsum([0, *lengths])
    part_of = np.random.default_rng(seed).integers(0, 3, len(samples)).astype("int8")
    cuts = [slice(a, b) for a, b in itertools.pairwise(edges)]
    shards = in_two_passes([(samples.take(cut), part_of[cut]) for cut in cuts], size, seed)
    for part in PARTS:
        expected = in_memory(samples.take(np.flatnonzero(part_of == part)), seed)
        found = joined([expected.take(slice(0)), *shards[part]])
        assert_same(found, expected)


def test_a_piece_is_sorted_by_part_and_range_and_says_so():
    samples, part_of = many(5000), np.resize(np.int8([0, 0, 1, 2]), 5000)
    halves = [(samples.take(half), part_of[half]) for half in (slice(0, 2000), slice(2000, None))]
    rows, counts = scatter(iter(halves), 1, 3)
    ranges = (draw.order_key(rows["cell"], 3, "sample-order") >> np.uint64(53)).astype(int)
    codes = part_of[rows["cell"]].astype(int) * RANGES + ranges
    assert (np.diff(codes) >= 0).all()
    np.testing.assert_array_equal(counts.ravel(), np.bincount(codes, minlength=3 * RANGES))


def test_shards_are_planned_from_counts_alone():
    counts = np.zeros((3, RANGES), "int64")
    counts[0, [2, 5, 9]] = 4, 3, 5
    counts[2, 7] = 2
    found = [(s.part, s.start, s.size, s.ranges, s.skip) for s in plan(counts, 5)]
    assert found == [
        (Part.TRAIN, 0, 5, (2, 6), 0),
        (Part.TRAIN, 5, 5, (5, 10), 1),
        (Part.TRAIN, 10, 2, (9, 10), 3),
        (Part.TEST, 0, 2, (7, 8), 0),
    ]


def test_no_samples_no_shards():
    assert list(plan(np.zeros((3, RANGES), "int64"), 5)) == []
    rows, counts = scatter([], 1, 0)
    assert (len(rows), counts.sum()) == (0, 0)


def test_a_shard_of_many_reads_little_more_than_itself():
    """Or the work of all shards together would grow with the square of the samples."""
    shards = list(plan(np.full((3, RANGES), 1000), 10_000))
    assert max((last - first) * 1000 - shard.size for shard in shards for first, last in [shard.ranges]) <= 1000


def test_seeds_give_other_orders_and_the_order_is_random():
    one, two = (shuffle(many(20_000), seed).cell for seed in (0, 1))
    assert not np.array_equal(one, two)
    # Mean position of the first half of cells: 0.5, with a standard error of 0.5/sqrt(3)/sqrt(20000) = 0.002.
    position = np.argsort(one) / 20_000
    assert abs(position[:10_000].mean() - 0.5) < 0.01
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.03


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=60), st.integers(0, 63))
def test_sorted_order_is_that_of_argsort(keys, bits):
    """Also for keys that lie close together, which differ in their lower bits alone."""
    for of in (keys, sorted({key >> bits for key in keys}, key=lambda key: -hash(str(key)))):
        key = np.array(of, np.uint64)
        np.testing.assert_array_equal(sorted_order(key), np.argsort(key))
