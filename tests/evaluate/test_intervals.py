"""Coverage, width and interval score against the naive expression, and intervals that are right by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lstfill.evaluate.grouping import Grouping
from lstfill.evaluate.intervals import Intervals
from lstfill.model.calibration import LEVELS

LABELS = {"season": ("DJF", "JJA")}


def normal(n=20000, factor=1.0, seed=0):
    """Errors of a normal distribution of 2 K, and its own intervals, made wider by a factor."""
    rng = np.random.default_rng(seed)
    half = 2.0 * factor * stats.norm.ppf((1 + np.array(LEVELS)) / 2)
    return rng.normal(0, 2, n), np.repeat(half[:, None], n, axis=1)


def test_right_intervals_hold_what_they_promise():
    error, half = normal()
    result = Intervals.of(error, half).result({})
    assert result["n"] == 20000
    assert result["coverage_90"] == pytest.approx(0.9, abs=0.01)
    assert result["width_90_k"] == pytest.approx(2 * 2 * 1.645, rel=1e-3)
    for level in LEVELS:
        assert result["levels"][f"{level:g}"]["inside"] == pytest.approx(level, abs=0.015)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_interval_score_is_best_for_the_true_quantiles(factor):
    true, other = (Intervals.of(*normal(factor=f)).result({})["interval_score_90_k"] for f in (1.0, factor))
    assert true < other


def test_it_is_the_naive_expression():
    rng = np.random.default_rng(1)
    error, half, code = rng.normal(size=50), np.sort(rng.random((len(LEVELS), 50)) * 2, axis=0), rng.integers(0, 2, 50)
    result = Intervals.of(error, half, Grouping.of({"season": (code, 2)}, code.size)).result(LABELS)
    low, high = -half[3], half[3]
    score = (high - low) + 20 * np.maximum(low - error, 0) + 20 * np.maximum(error - high, 0)
    assert result["interval_score_90_k"] == pytest.approx(score.mean())
    for k, label in enumerate(LABELS["season"]):
        here = code == k
        row = result["groups"]["season"][label]
        assert row["n"] == here.sum()
        assert row["coverage_90"] == pytest.approx((np.abs(error) <= high)[here].mean())
        assert row["width_90_k"] == pytest.approx((high - low)[here].mean())
        assert row["interval_score_90_k"] == pytest.approx(score[here].mean())


def test_cells_without_an_interval_are_left_out():
    error, half = normal(100)
    half[2, :40] = np.nan
    assert Intervals.of(error, half).result({})["n"] == 60
    assert Intervals.of(error, np.full_like(half, np.nan)).result({}) is None


def test_a_group_without_a_cell_and_one_not_asked_for_are_left_out():
    error, half = normal(10)
    intervals = Intervals.of(error, half, Grouping.of({"season": (np.zeros(10, int), 2)}, 10))
    assert list(intervals.result(LABELS)["groups"]["season"]) == ["DJF"]
    assert intervals.result({})["groups"] == {}


@given(st.integers(0, 60))
def test_windows_add_up(cut):
    error, half = normal(60, seed=2)
    code = np.arange(60) % 2
    whole = Intervals.of(error, half, Grouping.of({"season": (code, 2)}, code.size)).result(LABELS)
    grouping, first = Grouping.of({"season": (code, 2)}, 60), np.arange(60) < cut
    parts = [Intervals.of(error[part], half[:, part], grouping.where(part)) for part in (first, ~first)]
    for merged in (parts[0] + parts[1], parts[1] + parts[0]):
        found = merged.result(LABELS)
        assert found["n"] == whole["n"]
        assert found["coverage_90"] == whole["coverage_90"]
        assert found["groups"]["season"]["JJA"] == pytest.approx(whole["groups"]["season"]["JJA"])
