"""Sums by group are those of masked cells, for each break-down by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.evaluate.grouping import Grouping, added


def made(n, seed=0):
    rng = np.random.default_rng(seed)
    codes = {
        "season": (rng.integers(0, 4, n), 4),
        "gap_size": (rng.integers(0, 5, n), 5),
        "days": (np.zeros(n, int), 3),
    }
    return codes, rng.normal(size=n), Grouping.of(codes, n)


@given(st.integers(0, 200))
def test_totals_are_sums_over_masked_cells(n):
    codes, values, grouping = made(n)
    tables = grouping.tables(values)
    for name, (code, size) in codes.items():
        counted, summed = tables[name]
        np.testing.assert_array_equal(counted, [(code == k).sum() for k in range(size)])
        np.testing.assert_allclose(summed, [values[code == k].sum() for k in range(size)], atol=1e-12)


def test_some_cells_and_the_others_add_up_to_all():
    _, values, grouping = made(100)
    some = values > 0
    both = added(grouping.where(some).tables(values[some]), grouping.where(~some).tables(values[~some]))
    for name, table in grouping.tables(values).items():
        assert both[name] == pytest.approx(table)


def test_without_break_downs_there_are_no_groups():
    grouping = Grouping.of({}, 7)
    assert grouping.tables(np.ones(7)) == {}
    assert grouping.where(np.arange(7) < 3).place.size == 3
