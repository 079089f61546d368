"""Blocks as folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.model.local.blocks import SIDES, block_side, folds_of


def grid(rows, columns, left=0):
    return np.argwhere(np.ones((rows, columns), bool)) + np.array([0.0, left])


def test_the_side_follows_the_depth_of_the_gap():
    known = grid(60, 20)
    shallow, deep = grid(60, 2, 20), grid(60, 18, 20)
    assert block_side(known, shallow) == pytest.approx(4 * 1.5)
    assert block_side(known, deep) == pytest.approx(4 * 9.5)


def test_the_side_has_bounds():
    known = grid(10, 10)
    assert block_side(known, grid(10, 1, 10)) == SIDES[0]
    assert block_side(known, grid(1, 1, 500)) == SIDES[1]


def test_cells_of_a_block_are_in_one_fold():
    known = grid(48, 48)
    fold = folds_of(known, grid(48, 4, 48), 4, 0).reshape(48, 48)
    side = int(block_side(known, grid(48, 4, 48)))
    for row, column in np.ndindex(48 // side, 48 // side):
        assert len(np.unique(fold[side * row : side * (row + 1), side * column : side * (column + 1)])) == 1


def test_folds_are_about_equally_large():
    fold = folds_of(grid(50, 50), grid(50, 6, 50), 4, 0)
    assert np.bincount(fold).min() > 0.8 * len(fold) / 4


def test_blocks_are_made_smaller_where_few_cells_lie_close_together():
    fold = folds_of(grid(6, 6), grid(80, 80, 10), 4, 0)
    assert len(np.unique(fold)) == 4


def test_one_known_cell_is_one_fold():
    np.testing.assert_array_equal(folds_of(grid(1, 1), grid(3, 3, 5), 4, 0), [0])


@given(st.sets(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60), st.integers(2, 6))
def test_folds_count_from_zero_without_a_hole_and_the_same_each_time(cells, folds):
    known = np.array(sorted(cells), float)
    fold = folds_of(known, grid(3, 3, 50), folds, 5)
    np.testing.assert_array_equal(np.unique(fold), np.arange(fold.max() + 1))
    assert fold.max() < folds
    np.testing.assert_array_equal(fold, folds_of(known, grid(3, 3, 50), folds, 5))
