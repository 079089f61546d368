"""Means of dates and cells against what they were made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.model.local.additive import FLOOR_K, WIDTH, anomalies, fit_additive


def made(dates=8, cells=60, share=0.7, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    date, cell = rng.normal(290, 8, dates), rng.normal(0, 2, cells)
    values = date[:, None] + cell + rng.normal(0, noise, (dates, cells))
    return values, rng.random((dates, cells)) < share


def test_what_adds_up_leaves_next_to_nothing():
    values, seen = made(dates=40)
    left = anomalies(values, seen, fit_additive(values, seen), robust=False)
    assert np.abs(left[seen]).max() < 0.5
    assert np.isnan(left[~seen]).all()


def test_without_gaps_dates_are_their_means():
    values, _ = made(noise=1.0)
    means = fit_additive(values, np.ones(values.shape, bool))
    np.testing.assert_allclose(means.date, values.mean(axis=1), atol=1e-6)


def test_base_is_date_and_cell():
    values, seen = made()
    means = fit_additive(values, seen)
    np.testing.assert_array_equal(means.base(3), means.date[3] + means.cell)


def test_a_date_seen_only_where_it_is_warm_is_not_taken_for_warm():
    values, seen = made(dates=30, cells=200)
    warm = values[0] > np.quantile(values[0], 0.8)
    seen[0] = warm
    means = fit_additive(values, seen)
    assert abs(means.date[0] - values[0].mean()) < 0.5
    assert values[0, warm].mean() - values[0].mean() > 1.5


def test_nothing_seen_of_a_date_or_a_cell():
    values, seen = made()
    seen[2], seen[:, 5] = False, False
    means = fit_additive(np.where(seen, values, np.nan), seen)
    assert np.isnan(means.date[2])
    assert means.cell[5] == 0
    assert np.isfinite(np.delete(means.date, 2)).all()


def test_a_cell_seen_once_is_shrunk_by_half():
    values, seen = np.full((20, 50), 280.0), np.ones((20, 50), bool)
    seen[:, 0], seen[4, 0] = False, True
    values[4, 0] = 290.0
    assert fit_additive(values, seen).cell[0] == pytest.approx(5.0, abs=0.3)


def test_an_undetected_cloud_is_moved_near_if_asked():
    values, seen = made(dates=20, noise=0.6)
    seen[3, 7], values[3, 7] = True, values[3, 7] - 40
    means = fit_additive(values, seen)
    plain, robust = (anomalies(values, seen, means, robust=way) for way in (False, True))
    assert plain[3, 7] < -25
    assert robust[3, 7] > -15
    others = seen.copy()
    others[3] = False
    np.testing.assert_allclose(plain[others], robust[others], atol=0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1.0))
def test_robust_anomalies_lie_near_their_median(seed, share):
    values, seen = made(seed=seed, share=share, noise=3.0)
    left = anomalies(values, seen, fit_additive(values, seen), robust=True)
    for row in left[seen.any(axis=1)]:
        known = row[np.isfinite(row)]
        assert np.ptp(known) <= 2 * WIDTH * max(np.ptp(known), FLOOR_K) * 1.4826
        assert np.isfinite(known).all()
