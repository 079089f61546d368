"""Windows: every cell once, bounded, and never across an edge that a writer may not cross."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.cube import DIMS, Window, chunk_windows, column_windows

SHAPES = st.tuples(*[st.integers(1, 12)] * 3)
CHUNKS = st.tuples(*[st.integers(1, 15)] * 3)


def times_covered(shape, windows):
    covered = np.zeros(shape, int)
    for window in windows:
        covered[window.slices] += 1
    return covered


@given(SHAPES, CHUNKS)
def test_chunk_windows_cover_each_cell_once(shape, chunks):
    assert (times_covered(shape, chunk_windows(shape, chunks)) == 1).all()


@given(SHAPES, CHUNKS)
def test_chunk_windows_are_the_chunks(shape, chunks):
    for window in chunk_windows(shape, chunks):
        for start, stop, chunk, n in zip(window.start, window.stop, chunks, shape, strict=True):
            assert start % chunk == 0
            assert stop == min(start + chunk, n)


def test_chunk_windows_are_in_c_order():
    starts = [window.start for window in chunk_windows((2, 4, 6), (1, 2, 3))]
    assert starts == sorted(starts)
    assert len(starts) == 2 * 2 * 2


@given(SHAPES, CHUNKS, st.integers(1, 4000))
def test_column_windows_cover_each_cell_once(shape, chunks, max_cells):
    assert (times_covered(shape, column_windows(shape, chunks, max_cells)) == 1).all()


@given(SHAPES, CHUNKS, st.integers(1, 4000))
def test_column_windows_hold_all_times_and_stay_in_a_row_of_chunks(shape, chunks, max_cells):
    for window in column_windows(shape, chunks, max_cells):
        assert (window.start[0], window.stop[0]) == (0, shape[0])
        assert window.start[1] // chunks[1] == (window.stop[1] - 1) // chunks[1]


@given(SHAPES, CHUNKS, st.integers(1, 4000))
def test_column_windows_begin_at_chunk_edges_in_lon(shape, chunks, max_cells):
    assert all(window.start[2] % chunks[2] == 0 for window in column_windows(shape, chunks, max_cells))


@given(SHAPES, CHUNKS, st.integers(1, 4000))
def test_column_windows_are_bounded(shape, chunks, max_cells):
    smallest = shape[0] * min(chunks[2], shape[2])  # one row of one chunk column cannot be cut further
    for window in column_windows(shape, chunks, max_cells):
        assert window.size <= max(max_cells, smallest)


def test_column_windows_join_chunks_while_they_fit():
    windows = column_windows((10, 100, 400), (10, 50, 50), max_cells=10 * 50 * 100)
    assert {window.shape for window in windows} == {(10, 50, 100)}


def test_column_windows_of_a_longer_cube_hold_fewer_columns():
    short = column_windows((10, 540, 1080), (10, 270, 270), 10**6)
    long = column_windows((100, 540, 1080), (10, 270, 270), 10**6)
    assert max(w.size for w in short) <= 10**6
    assert max(w.size for w in long) <= 10**6
    assert len(long) > len(short)


@given(SHAPES, st.data())
def test_cell_index_is_that_of_numpy(shape, data):
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    window = Window(start, stop)
    grid = np.meshgrid(*[np.arange(a, b) for a, b in zip(start, stop, strict=True)], indexing="ij")
    index = window.cell_index(shape)
    assert index.dtype == np.int64
    np.testing.assert_array_equal(index, np.ravel_multi_index(grid, shape))


def test_cell_index_exceeds_32_bits_without_harm():
    shape = (1840, 2160, 4320)
    last = Window((1839, 2159, 4319), shape)
    assert last.cell_index(shape).item() == 1840 * 2160 * 4320 - 1


def test_a_window_knows_its_shape_size_and_indexers():
    window = Window((1, 2, 3), (2, 5, 9))
    assert window.shape == (1, 3, 6)
    assert window.size == 18
    assert window.indexers == {"time": slice(1, 2), "lat": slice(2, 5), "lon": slice(3, 9)}
    assert tuple(window.indexers) == DIMS
    np.testing.assert_array_equal(np.zeros((4, 8, 10))[window.slices].shape, window.shape)


def test_windows_can_be_keys():
    assert Window((0, 0, 0), (1, 1, 1)) in {Window((0, 0, 0), (1, 1, 1))}
    with pytest.raises(AttributeError):
        Window((0, 0, 0), (1, 1, 1)).start = (1, 1, 1)
