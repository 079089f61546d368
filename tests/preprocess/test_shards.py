import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.preprocess import Imputed, InMemoryShards, regroup


def arrays(n, f=2):
    return np.arange(n * f, dtype="float32").reshape(n, f), np.arange(n, dtype="float32")


@pytest.mark.parametrize(("n", "size", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 10, [3]), (0, 4, [])])
def test_in_memory_shards_hold_every_row_once(n, size, sizes):
    x, y = arrays(n)
    source = InMemoryShards(x, y, size)
    assert source.sizes == sizes
    assert len(source) == len(sizes)
    read = [source.read(k) for k in range(len(source))]
    assert [len(piece[1]) for piece in read] == sizes
    if n:
        np.testing.assert_array_equal(np.concatenate([piece[0] for piece in read]), x)
        np.testing.assert_array_equal(np.concatenate([piece[1] for piece in read]), y)


def test_in_memory_shards_are_float32_even_of_doubles():
    x, y = InMemoryShards(np.ones((3, 1)), np.ones(3)).read(0)
    assert x.dtype == y.dtype == np.float32


def test_imputed_fills_features_only_and_only_where_a_value_is_given():
    x = np.array([[np.nan, 1], [2, np.nan], [np.inf, 3]], "float32")
    y = np.array([1, 2, np.nan], "float32")
    source = Imputed(InMemoryShards(x, y, 2), (280.0, np.nan))
    assert (source.sizes, len(source)) == ([2, 1], 2)
    np.testing.assert_array_equal(source.read(0)[0], np.array([[280, 1], [2, np.nan]], "float32"))
    np.testing.assert_array_equal(source.read(1)[0], np.array([[280, 3]], "float32"))
    np.testing.assert_array_equal(source.read(1)[1], y[2:])
    assert source.read(0)[0].dtype == np.float32


@given(st.lists(st.integers(0, 20), max_size=8), st.integers(1, 15))
def test_regroup_keeps_rows_and_order_and_is_short_only_at_the_end(lengths, size):
    edges = np.cumsum([0, *lengths])
    x, y = arrays(int(edges[-1]))
    pieces = [(x[a:b], y[a:b]) for a, b in itertools.pairwise(edges)]
    groups = list(regroup(pieces, size))
    assert all(len(group[1]) == size for group in groups[:-1])
    assert all(0 < len(group[1]) <= size for group in groups[-1:])
    np.testing.assert_array_equal(np.concatenate([np.empty(0, "float32"), *(group[1] for group in groups)]), y)
    for group in groups:
        np.testing.assert_array_equal(group[0][:, 0], 2 * group[1])


def test_regroup_is_lazy():
    """One piece is read before the first group is given: memory holds a piece and a rest."""
    read = []

    def pieces():
        for k in range(5):
            read.append(k)
            yield arrays(10)

    groups = regroup(pieces(), 4)
    next(groups)
    assert read == [0]


def test_cells_go_with_their_samples():
    x, y, cell = np.ones((7, 1)), np.ones(7), np.array([5, 3, 9, 1, 0, 4, 8])
    source = InMemoryShards(x, y, 3, cell)
    assert [source.cells(number).tolist() for number in range(3)] == [[5, 3, 9], [1, 0, 4], [8]]
    np.testing.assert_array_equal(Imputed(source, (1.0,)).cells(1), source.cells(1))
