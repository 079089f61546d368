"""Scores against naive numpy and xarray expressions."""

from __future__ import annotations

import functools
import itertools
import json
import operator

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.evaluate.grouping import Grouping
from lstfill.evaluate.scores import STATISTICS, Sums, score


def sample(seed: int, n: int = 500, noise: float = 3.0, bias: float = 0.7):
    rng = np.random.default_rng(seed)
    observed = rng.normal(285, 12, n)
    return observed + rng.normal(bias, noise, n), observed, rng.uniform(0.1, 1, n)


def naive(predicted, observed, weight):
    error = predicted - observed
    mean = np.average(observed, weights=weight)
    return {
        "mae_k": np.average(np.abs(error), weights=weight),
        "rmse_k": np.sqrt(np.average(error**2, weights=weight)),
        "bias_k": np.average(error, weights=weight),
        "r2": 1 - np.sum(weight * error**2) / np.sum(weight * (observed - mean) ** 2),
    }


def test_scores_equal_the_naive_expressions():
    predicted, observed, weight = sample(1)
    result = score(predicted, observed, weight)
    plain = naive(predicted, observed, np.ones_like(weight))
    assert {k: result[k] for k in plain} == pytest.approx(plain, rel=1e-12)
    assert result["weighted"] == pytest.approx(naive(predicted, observed, weight), rel=1e-12)
    assert result["n"] == 500
    assert list(result) == ["mae_k", "rmse_k", "bias_k", "r2", "n", "weighted"]


def test_weighting_by_latitude_equals_xarray():
    rng = np.random.default_rng(2)
    lat = np.array([80.0, 40.0, 0.0, -60.0])
    observed = xr.DataArray(rng.normal(280, 9, (3, 4, 5)), dims=("time", "lat", "lon"), coords={"lat": lat})
    predicted = observed + rng.normal(1, 2, observed.shape)
    weights = np.cos(np.deg2rad(observed.lat))
    expected = float((predicted - observed).weighted(weights).mean())
    result = score(predicted.values, observed.values, weights.values[:, None])
    assert result["weighted"]["bias_k"] == pytest.approx(expected, rel=1e-12)
    assert result["bias_k"] == pytest.approx(float((predicted - observed).mean()), rel=1e-12)
    assert result["bias_k"] != pytest.approx(expected, rel=1e-3)


def test_bias_is_predicted_minus_observed_and_counts_against_r2():
    observed = np.array([280.0, 290.0, 300.0])
    result = score(observed + 10, observed)
    assert result["bias_k"] == pytest.approx(10)
    # SSE = 3 * 100, SST = 100 + 0 + 100: 1 - 300 / 200. A squared correlation would be 1.
    assert result["r2"] == pytest.approx(-0.5)


def test_a_prediction_of_the_mean_has_r2_zero_and_a_perfect_one_has_one():
    _, observed, _ = sample(3)
    assert score(np.full_like(observed, observed.mean()), observed)["r2"] == pytest.approx(0, abs=1e-12)
    assert score(observed, observed) | {"weighted": 0} == {
        "mae_k": 0, "rmse_k": 0, "bias_k": 0, "r2": 1, "n": 500, "weighted": 0,
    }  # fmt: skip


@pytest.mark.parametrize("value", [300.1, 273.15, 0.0])
def test_observations_that_do_not_vary_have_no_r2(value):
    result = score(np.full(1000, value + 1), np.full(1000, value))
    assert result["r2"] is None
    assert result["weighted"]["r2"] is None
    assert result["mae_k"] == pytest.approx(1)


def test_nothing_scored_gives_none_and_never_nan():
    result = score([np.nan, 280.0], [280.0, np.nan])
    assert result["n"] == 0
    assert {result[k] for k in ("mae_k", "rmse_k", "bias_k", "r2")} == {None}
    assert set(result["weighted"].values()) == {None}
    json.dumps(result, allow_nan=False)


def test_cells_missing_on_either_side_do_not_count():
    result = score([281.0, np.nan, 300.0, np.inf], [280.0, 290.0, np.nan, 290.0])
    assert (result["n"], result["mae_k"]) == (1, 1.0)


def test_small_variance_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(4)
    observed = 240 + rng.normal(0, 0.05, 200_000)
    predicted = observed + rng.normal(0, 0.02, observed.size)
    expected = 1 - np.sum((predicted - observed) ** 2) / np.sum((observed - observed.mean()) ** 2)
    assert score(predicted, observed)["r2"] == pytest.approx(expected, rel=1e-6)


def test_float32_input_is_summed_in_double_precision():
    # 2**24 + 1 ones cannot be counted in float32; here the error of 0.1 K over 3e5 cells would drift by 1e-3.
    observed = np.full(300_000, 300.0, np.float32)
    predicted = np.full(300_000, 300.1, np.float32)
    exact = float(np.float32(300.1)) - 300.0
    assert score(predicted, observed)["bias_k"] == pytest.approx(exact, rel=1e-9)


def test_groups_equal_masked_scores():
    predicted, observed, weight = sample(5)
    rng = np.random.default_rng(6)
    codes = {"row": (rng.integers(0, 3, observed.size), 3), "column": (rng.integers(0, 4, observed.size), 4)}
    sums = Sums.of(predicted, observed, weight, Grouping.of(codes, observed.size))
    assert sums.values.shape == (2, len(STATISTICS))
    for name, (code, size) in codes.items():
        for k, group in enumerate(sums.group(name)):
            here = code == k
            expected = score(predicted[here], observed[here], weight[here])
            assert group.scores()["r2"] == pytest.approx(expected["r2"], rel=1e-9)
            assert group.scores()["weighted"]["mae_k"] == pytest.approx(expected["weighted"]["mae_k"], rel=1e-12)
            assert group.n == here.sum()
        assert len(sums.group(name)) == size
    assert sums.scores()["rmse_k"] == pytest.approx(score(predicted, observed)["rmse_k"], rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=6), seed=st.integers(0, 99))
def test_sums_of_parts_add_up_in_any_order(cuts, seed):
    predicted, observed, weight = sample(seed, 300)
    edges = [0, *sorted(cuts), 300]
    parts = [Sums.of(predicted[a:b], observed[a:b], weight[a:b]) for a, b in itertools.pairwise(edges)]
    whole = Sums.of(predicted, observed, weight)
    for order in (parts, parts[::-1]):
        merged = functools.reduce(operator.add, order, Sums.zeros())
        assert merged.values == pytest.approx(whole.values, rel=1e-10)
        assert merged.n == 300
