import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.preprocess import Accumulator, Statistics, collect
from lstfill.preprocess import summary as module


def samples(n=50_000, seed=0):
    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(280, 12, n), rng.gamma(2, 300, n)], axis=1).astype("float32")
    return x, (1.12 * x[:, 0] - 30 + rng.normal(0, 3, n)).astype("float32")


def shards(x, y, size):
    return [(x[a : a + size], y[a : a + size]) for a in range(0, len(y), size)]


@pytest.mark.parametrize("size", [50_000, 7777, 1000])
def test_moments_are_those_of_numpy(size):
    x, y = samples()
    found = collect(shards(x, y, size), ("t2m", "height"), "lst")
    for name, values in {"t2m": x[:, 0], "height": x[:, 1], "lst": y}.items():
        values = values.astype("float64")
        assert found[name].n == len(values)
        assert (found[name].min, found[name].max) == (values.min(), values.max())
        np.testing.assert_allclose([found[name].mean, found[name].std], [values.mean(), values.std()], rtol=1e-12)


def test_large_offsets_do_not_spoil_the_deviation():
    """The textbook formula in float32 gives nonsense here: 280 K with a spread of 1 mK."""
    x = (280 + np.random.default_rng(0).choice([-0.001, 0.001], (200_000, 1))).astype("float32")
    found = collect(shards(x, x[:, 0], 3000), ("t2m",), "lst")
    np.testing.assert_allclose(found["t2m"].std, x.astype("float64").std(), rtol=1e-9)


def test_the_same_shards_give_the_same_bits():
    x, y = samples()
    one, two = (collect(shards(x, y, 5000), ("a", "b"), "c") for _ in range(2))
    assert one == two


def test_missing_features_are_left_out_of_their_variable_alone():
    x, y = samples(1000)
    x[::3, 0] = np.nan
    found = collect(shards(x, y, 100), ("t2m", "height"), "lst")
    assert (found["t2m"].n, found["height"].n, found["lst"].n) == (666, 1000, 1000)
    np.testing.assert_allclose(found["t2m"].mean, np.nanmean(x[:, 0].astype("float64")), rtol=1e-12)
    np.testing.assert_allclose(found["t2m"].p50, np.nanmedian(x[:, 0].astype("float64")), rtol=1e-6)


def test_quantiles_of_few_samples_are_exact():
    x, y = samples(2000)
    found = collect(shards(x, y, 300), ("t2m", "height"), "lst")["height"]
    expected = np.quantile(x[:, 1].astype("float64"), [0.01, 0.25, 0.5, 0.75, 0.99])
    np.testing.assert_allclose([found.p01, found.p25, found.p50, found.p75, found.p99], expected, rtol=1e-9)


def test_quantiles_of_many_sorted_samples_come_from_a_uniform_subsample(monkeypatch):
    """Sorted rows are the worst case for a subsample that takes the first ones."""
    monkeypatch.setattr(module, "_SUBSAMPLE", 10_000)
    values = np.linspace(0, 1, 200_000, dtype="float32")
    found = collect(shards(values[:, None], values, 9000), ("a",), "b")["a"]
    # Standard error of a quantile q of n uniform draws: sqrt(q (1 - q) / n), 0.005 for the median.
    np.testing.assert_allclose([found.p25, found.p50, found.p75], [0.25, 0.5, 0.75], atol=0.025)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400))
def test_the_subsample_does_not_depend_on_shards(size):
    x, y = samples(1200)
    accumulated = []
    for cut in (1200, size):
        accumulator = Accumulator(("t2m", "height"), "lst")
        accumulator._subsample.size = 200
        for piece in shards(x, y, cut):
            accumulator.add(*piece)
        accumulated.append(accumulator.result()["t2m"])
    assert (accumulated[0].p01, accumulated[0].p50) == (accumulated[1].p01, accumulated[1].p50)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=5), st.booleans())
def test_merging_what_others_gathered_gives_the_same(sizes, total_known):
    x, y = samples(sum(sizes))
    x[::5, 1] = np.nan
    whole, merged = Accumulator(("t2m", "height"), "lst"), Accumulator(("t2m", "height"), "lst")
    merged._subsample.size = 100
    for start, stop in itertools.pairwise(np.cumsum([0, *sizes])):
        of_piece = Accumulator(("t2m", "height"), "lst", int(start), len(y) if total_known else 0)
        for accumulator in (whole, of_piece):
            accumulator._subsample.size = 100
            accumulator.add(x[start:stop], y[start:stop])
        merged.merge(of_piece)
    for name in ("t2m", "height", "lst"):
        one, other = dataclasses.asdict(whole.result()[name]), dataclasses.asdict(merged.result()[name])
        assert other == pytest.approx(one, rel=1e-12, nan_ok=True)


def test_a_known_total_keeps_no_more_than_is_needed(monkeypatch):
    monkeypatch.setattr(module, "_SUBSAMPLE", 100)
    x, y = samples(5000)
    accumulator = Accumulator(("t2m", "height"), "lst", 0, 50_000)
    accumulator.add(x, y)
    assert len(accumulator._subsample.rows) <= 20
    np.testing.assert_array_equal(accumulator._subsample.rows[:, 2], y[::256])


def test_json_round_trip_even_without_values():
    x, y = samples(100)
    x[:, 1] = np.nan
    found = collect(shards(x, y, 10), ("t2m", "height"), "lst")
    text = json.dumps(found.to_dict(), allow_nan=False)
    again = Statistics.from_dict(json.loads(text))
    assert again["t2m"] == found["t2m"]
    assert again["height"].n == 0
    assert np.isnan(again["height"].mean)
    assert again.features == ("t2m", "height")
    assert again.target == "lst"


def test_ranges_are_those_of_the_features():
    x, y = samples(100)
    found = collect(shards(x, y, 10), ("t2m", "height"), "lst")
    assert found.ranges() == {
        "t2m": (x[:, 0].min(), x[:, 0].max()),
        "height": (x[:, 1].min(), x[:, 1].max()),
    }


def test_no_samples_have_statistics_of_nothing():
    assert collect([], ("t2m",), "lst")["lst"].n == 0
