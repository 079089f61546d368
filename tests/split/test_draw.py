"""Draws: pinned, one to one, uniform, and free of order."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.split.draw import order_key, uniform

SEEDS = st.integers(0, 2**70)
INDICES = st.lists(st.integers(0, 2**40), min_size=1, max_size=200, unique=True)


def splitmix64(index, start):
    """The generator's definition with Python's integers: its state after ``index`` steps, finalised."""
    full = 2**64 - 1
    z = ((index + start) * 0x9E3779B97F4A7C15) & full
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & full
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & full
    return z ^ (z >> 31)


def test_values_are_pinned_so_that_no_release_changes_a_split():
    keys = order_key(np.array([0, 1, 2**40]), 0, "split.block")
    np.testing.assert_array_equal(
        keys, np.array([1037423983334298195, 14499878299401491242, 105785026185223524], np.uint64)
    )
    np.testing.assert_allclose(uniform(np.arange(3), 7, "split.cell"), [0.76302954, 0.60241641, 0.43009091], atol=1e-8)


def test_finaliser_is_splitmix64():
    # First three outputs of splitmix64 for the state 1234567, as given with its reference implementation.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    golden_inverse = pow(0x9E3779B97F4A7C15, -1, 2**64)
    start = 1234567 * golden_inverse
    assert [splitmix64(n, start) for n in (1, 2, 3)] == expected
    keys = [int(key) for key in order_key(np.arange(4), 3, "a")]
    start = int.from_bytes(hashlib.blake2b(b"a:3", digest_size=8).digest(), "little")
    assert keys == [splitmix64(n, start) for n in range(4)]


@given(INDICES, SEEDS)
def test_an_index_gets_its_key_alone_or_in_company(index, seed):
    together = order_key(np.array(index, np.int64), seed, "s")
    assert len(set(together.tolist())) == len(index)
    backwards = order_key(np.array(index[::-1], np.int64), seed, "s")[::-1]
    alone = [order_key(np.array([one], np.int64), seed, "s")[0] for one in index]
    np.testing.assert_array_equal(together, backwards)
    np.testing.assert_array_equal(together, alone)


@given(SEEDS, st.integers(1, 5))
def test_seeds_and_streams_are_independent(seed, step):
    index = np.arange(4096)
    one = uniform(index, seed, "a")
    for other in (uniform(index, seed + step, "a"), uniform(index, seed, "b"), uniform(index + step, seed, "a")):
        # Of 4096 independent pairs, the correlation's standard deviation is 1/64: 6 of them.
        assert abs(np.corrcoef(one, other)[0, 1]) < 6 / 64


@given(SEEDS)
def test_uniform_fills_the_unit_interval(seed):
    drawn = uniform(np.arange(20_000), seed, "s")
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = np.bincount((drawn * 10).astype(int), minlength=10)
    # Each tenth holds 2000 with a standard deviation of 42: 6 of them.
    assert np.abs(counts - 2000).max() < 6 * 42.5


def test_shape_is_kept_and_the_index_untouched():
    index = np.arange(24, dtype=np.int64).reshape(2, 3, 4)
    keys = order_key(index, 1, "s")
    assert keys.shape == (2, 3, 4)
    np.testing.assert_array_equal(index.ravel(), np.arange(24))
    np.testing.assert_array_equal(keys.ravel(), order_key(np.arange(24), 1, "s"))
    assert order_key(np.int64(3), 1, "s").shape == ()


def test_a_seed_that_is_no_integer_is_refused():
    with pytest.raises(TypeError):
        order_key(np.arange(3), 0.5, "s")
