"""The paired test: its size, its power, its agreement with scipy, and blocks that windows add up to."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lstfill.cube import Window, column_windows
from lstfill.evaluate import comparison
from lstfill.evaluate.comparison import Blocks, Paired, paired_test
from lstfill.evaluate.grouping import Grouping


def test_no_difference_gives_every_p_about_as_often():
    """Of 400 pairs of equally good models, p is uniform: Kolmogorov and Smirnov's test at 1 %."""
    rng = np.random.default_rng(0)
    found = [paired_test(rng.normal(size=9), np.full(9, 10))["p"] for _ in range(400)]
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_errors_that_go_together_within_a_block_do_not_make_it_surer():
    """Cells taken one by one would find a difference in most of these pairs; blocks do in 5 %."""
    rng, blocks, cells = np.random.default_rng(1), 10, 500
    low_by_blocks = low_by_cells = 0
    for _ in range(200):
        difference = rng.normal(size=(blocks, 1)) + 0.1 * rng.normal(size=(blocks, cells))
        low_by_blocks += paired_test(difference.sum(1), np.full(blocks, cells))["p"] < 0.05
        low_by_cells += stats.ttest_1samp(difference.ravel(), 0, alternative="less").pvalue < 0.05
    assert low_by_blocks <= 20
    assert low_by_cells > 80


def test_few_blocks_are_flipped_in_every_way_as_scipy_does():
    total = np.array([-3.0, 1.0, -2.5, -0.5, 0.25, -4.0])
    expected = stats.permutation_test(
        (total,), np.sum, permutation_type="samples", alternative="less", n_resamples=np.inf
    ).pvalue
    assert paired_test(total, np.ones(6, int))["p"] == expected


def test_many_blocks_are_flipped_at_random_and_p_is_near_the_exact_one():
    total = np.random.default_rng(2).normal(-0.3, 1, 18)
    ways = np.arange(2**18)[:, None] >> np.arange(18) & 1
    exact = np.mean(np.where(ways, -total, total).sum(1) <= total.sum())
    # Four standard deviations of a share of 9999 draws.
    assert paired_test(total, np.ones(18, int))["p"] == pytest.approx(exact, abs=4 * np.sqrt(exact / 9999))


def scene(rng, dates=12, side=8, shared=1.0):
    """Sums over blocks of 50 cells: a part that all blocks of a date share, and a part of their own."""
    difference = shared * rng.normal(size=(dates, 1, 1)) + rng.normal(size=(dates, side, side))
    return Paired(50 * difference, np.full(difference.shape, 50), {})


def test_blocks_of_a_scene_whose_errors_go_together_are_joined():
    rng = np.random.default_rng(7)
    tests = [scene(rng).test() for _ in range(100)]
    assert np.mean([test["blocks"] <= 12 * 4 for test in tests]) > 0.9
    # As the blocks are, a third of these pairs would differ at 5 %.
    assert np.mean([test["p"] < 0.05 for test in tests]) <= 0.1
    apart = [paired_test(*(of.ravel() for of in (pair.total, pair.n))) for pair in (scene(rng) for _ in range(100))]
    assert np.mean([test["p"] < 0.05 for test in apart]) > 0.2


def test_blocks_that_are_independent_keep_most_of_their_power():
    rng = np.random.default_rng(8)
    better = [Paired(50 * rng.normal(-0.3, 1, (12, 8, 8)), np.full((12, 8, 8), 50), {}).test() for _ in range(20)]
    assert np.mean([test["p"] < 0.05 for test in better]) > 0.9


def test_joining_leaves_enough_blocks_for_a_test():
    (test,) = [Paired(np.ones((1, 8, 8)) * np.arange(8), np.ones((1, 8, 8), int), {}).test()]
    assert test["blocks"] >= comparison.FEWEST_BLOCKS
    assert Paired(np.ones((3, 1, 1)), np.ones((3, 1, 1), int), {}).test()["blocks"] == 3


def test_joined_blocks_hold_the_same_cells():
    rng = np.random.default_rng(9)
    total, n = rng.normal(size=(4, 5, 7)), rng.integers(0, 3, (4, 5, 7))
    for sums, cells in comparison._joined(np.where(n > 0, total, 0), n):
        assert sums.sum() == pytest.approx(np.where(n > 0, total, 0).sum())
        assert cells.sum() == n.sum()
        assert (cells > 0).all()


def test_a_better_model_is_found_and_a_worse_one_is_not():
    rng, n = np.random.default_rng(3), np.full(40, 25)
    better = paired_test(25 * rng.normal(-0.2, 0.2, 40), n)
    assert better["p"] < 0.001
    assert better["interval_k"][1] < 0
    worse = paired_test(25 * rng.normal(0.2, 0.2, 40), n)
    assert worse["p"] > 0.99
    assert worse["difference_k"] == pytest.approx(0.2, abs=0.1)


def test_p_is_never_zero_and_equal_models_have_p_of_one():
    assert paired_test(np.full(60, -1.0), np.ones(60, int))["p"] == 1 / 10000
    equal = paired_test(np.zeros(30), np.ones(30, int))
    assert (equal["p"], equal["difference_k"], equal["interval_k"]) == (1.0, 0.0, [0.0, 0.0])


def test_a_single_block_says_nothing():
    found = paired_test(np.array([-5.0]), np.array([10]))
    assert found == {"difference_k": -0.5, "interval_k": None, "p": 0.5, "blocks": 1, "n": 10}


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says():
    rng, held = np.random.default_rng(4), 0
    for _ in range(200):
        n = rng.integers(1, 40, 30)
        low, high = paired_test(n * rng.normal(0.5, 1, 30), n)["interval_k"]
        held += low <= 0.5 <= high
    # A percentile interval of 30 blocks is a little too narrow.
    assert 0.87 <= held / 200 <= 0.99


def test_the_same_data_give_the_same_figures(monkeypatch):
    rng = np.random.default_rng(5)
    total, n = rng.normal(size=50), rng.integers(1, 9, 50)
    once = paired_test(total, n)
    assert paired_test(total, n) == once
    monkeypatch.setattr(comparison, "_AT_ONCE", 10**9)
    assert paired_test(total, n)["p"] == pytest.approx(once["p"], abs=0.02)


class TestBlocks:
    def test_they_are_those_of_the_split_where_these_are_few(self):
        assert Blocks.of((46, 60, 70), (6, 17, 17)) == Blocks((46, 60, 70), (6, 17, 17))
        assert Blocks((46, 60, 70), (6, 17, 17)).grid == (8, 4, 5)

    @given(st.tuples(*[st.integers(1, 3000)] * 3), st.tuples(*[st.integers(1, 50)] * 3))
    @settings(max_examples=60, deadline=None)
    def test_many_are_made_larger_by_whole_multiples(self, shape, size):
        blocks = Blocks.of(shape, size)
        assert len(blocks) <= comparison.MOST_BLOCKS
        assert all(large % small == 0 for large, small in zip(blocks.size, size, strict=True))

    def test_a_cell_lies_where_the_naive_expression_says(self):
        window = Window((3, 10, 20), (9, 30, 50))
        cells = (np.array([0, 5]), np.array([0, 19]), np.array([1, 29]))
        blocks = Blocks((20, 40, 60), (4, 10, 15))
        # (3, 10, 21) and (8, 29, 49) lie in blocks (0, 1, 1) and (2, 2, 3) of 5 x 4 x 4.
        np.testing.assert_array_equal(blocks.at(cells, window), [0 * 16 + 1 * 4 + 1, 2 * 16 + 2 * 4 + 3])


def test_windows_add_up_to_the_whole():
    rng, shape = np.random.default_rng(6), (8, 12, 10)
    blocks, difference, group = Blocks.of(shape, (3, 5, 4)), rng.normal(size=shape), rng.integers(0, 3, shape)

    def paired(window):
        cells = np.nonzero(np.ones(window.shape, bool))
        part = difference[window.slices][cells]
        return Paired.of(
            part,
            blocks.at(cells, window),
            blocks.grid,
            Grouping.of({"season": (group[window.slices][cells], 3)}, part.size),
        )

    whole = paired(Window((0, 0, 0), shape))
    merged = functools.reduce(operator.add, [paired(w) for w in column_windows(shape, (8, 4, 3), 96)])
    np.testing.assert_allclose(merged.total, whole.total)
    np.testing.assert_array_equal(merged.n, whole.n)
    for k, (mean, n) in enumerate(merged.group("season")):
        assert n == (group == k).sum()
        assert mean == pytest.approx(difference[group == k].mean())


def test_without_a_shared_cell_there_is_no_test():
    grouping = Grouping.of({"season": (np.zeros(0, int), 2)}, 0)
    nothing = Paired.of(np.zeros(0), np.zeros(0, int), (1, 2, 2), grouping)
    assert nothing.test() is None
    assert nothing.group("season") == [(None, 0), (None, 0)]
