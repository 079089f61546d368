"""The largest error of each date, whatever the windows."""

from __future__ import annotations

import functools
import operator

import numpy as np

from lstfill.cube import Window, column_windows
from lstfill.evaluate.outliers import KEPT, Outliers

SHAPE = (14, 9, 7)
TIME = np.datetime64("2008-12-10T09:30", "ns") + np.arange(14) * np.timedelta64(8, "D")
LAT, LON = np.linspace(46, 44, 9), np.linspace(13, 14, 7)


def found(predicted, observed, chunks=SHAPE):
    windows = column_windows(SHAPE, chunks, chunks[0] * chunks[1] * chunks[2])
    parts = []
    for window in windows:
        cells = np.nonzero(np.ones(window.shape, bool))
        parts.append(Outliers.of(predicted[window.slices][cells], observed[window.slices][cells], cells, window))
    return functools.reduce(operator.add, parts[::-1]).result(TIME, LAT, LON)


def test_an_undetected_cloud_comes_first_with_date_and_place():
    observed = np.random.default_rng(0).normal(280, 1, SHAPE)
    predicted = observed + np.random.default_rng(1).normal(0, 1, SHAPE)
    observed[3, 4, 5], predicted[3, 4, 5] = 251.9, 279.0
    first, *rest = found(predicted, observed)
    assert first == {
        "time": "2009-01-03T09:30", "lat": LAT[4], "lon": LON[5], "observed_k": 251.9, "predicted_k": 279.0,
    }  # fmt: skip
    assert len(rest) == KEPT - 1


def test_they_are_the_largest_of_their_dates_in_order():
    rng = np.random.default_rng(2)
    predicted, observed = rng.normal(size=SHAPE), rng.normal(size=SHAPE)
    highest = np.sort(np.abs(predicted - observed).max(axis=(1, 2)))[::-1][:KEPT]
    rows = found(predicted, observed)
    np.testing.assert_allclose([abs(row["predicted_k"] - row["observed_k"]) for row in rows], highest)
    assert len({row["time"] for row in rows}) == KEPT


def test_windows_and_their_order_do_not_change_them():
    rng = np.random.default_rng(3)
    predicted, observed = np.round(rng.normal(size=SHAPE)), np.zeros(SHAPE)  # many errors are equal
    assert found(predicted, observed, (14, 4, 3)) == found(predicted, observed)


def test_of_no_cell_there_is_none():
    nothing = Outliers.of(np.zeros(0), np.zeros(0), [np.zeros(0, int)] * 3, Window((0, 0, 0), SHAPE))
    assert nothing.result(TIME, LAT, LON) == []
