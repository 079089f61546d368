"""Blocks as wide as gaps, and folds in which neighbours differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.model.local.blocks import SIDES, block_side, folds_of


def plane(side=60):
    known = np.ones((side, side), bool)
    return known, np.zeros_like(known)


def test_a_speck_takes_the_narrowest_and_half_a_scene_a_wide_block():
    known, wanted = plane()
    wanted[30, 30] = True
    assert block_side(~wanted, wanted) == 6
    half = np.zeros_like(known)
    half[:, 30:] = True
    assert block_side(~half, half) == SIDES[1]


@pytest.mark.parametrize("width", [5, 11, 21])
def test_a_square_gap_takes_blocks_about_as_wide(width):
    _, wanted = plane()
    wanted[20 : 20 + width, 20 : 20 + width] = True
    assert block_side(~wanted, wanted) == pytest.approx(width, rel=0.35)


def test_cells_of_a_block_share_a_fold_and_its_neighbours_have_others():
    row, column = np.indices((24, 24))
    fold = folds_of(np.stack([row.ravel(), column.ravel()], axis=1), 6, 4).reshape(24, 24)
    blocks = fold.reshape(4, 6, 4, 6).swapaxes(1, 2).reshape(4, 4, -1)
    assert (blocks == blocks[..., :1]).all()
    first = blocks[..., 0]
    assert (first[:, 1:] != first[:, :-1]).all()
    assert (first[1:] != first[:-1]).all()


@given(st.integers(1, 30), st.integers(2, 8), st.integers(0, 99))
def test_folds_are_numbers_below_their_count(side, folds, seed):
    position = np.random.default_rng(seed).integers(0, 100, (50, 2))
    fold = folds_of(position, side, folds)
    assert fold.min() >= 0
    assert fold.max() < folds


def test_folds_are_about_equally_large():
    row, column = np.indices((60, 60))
    fold = folds_of(np.stack([row.ravel(), column.ravel()], axis=1), 5, 4)
    assert np.ptp(np.bincount(fold)) <= 0.1 * len(fold)
