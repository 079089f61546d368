"""Groups of cells against flood fills and calendars written out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstfill.cube import Chunk, Window
from lstfill.evaluate.groups import GAP_SIZE_LABELS, LABELS, SIZES, gap_size, gap_size_class, group_codes


def flood_fill_sizes(gap):
    """The same by walking from cell to cell."""
    sizes = np.zeros(gap.shape, np.int64)
    for t in range(gap.shape[0]):
        seen = np.zeros(gap.shape[1:], bool)
        for start in zip(*np.nonzero(gap[t]), strict=True):
            if seen[start]:
                continue
            region, stack = [], [start]
            seen[start] = True
            while stack:
                y, x = stack.pop()
                region.append((y, x))
                for b, a in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    inside = 0 <= b < gap.shape[1] and 0 <= a < gap.shape[2]
                    if inside and gap[t, b, a] and not seen[b, a]:
                        seen[b, a] = True
                        stack.append((b, a))
            for y, x in region:
                sizes[t, y, x] = len(region)
    return sizes


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(*[st.integers(1, 7)] * 3)))
def test_gap_sizes_equal_a_flood_fill(gap):
    np.testing.assert_array_equal(gap_size(gap), flood_fill_sizes(gap))


def test_sizes_of_some_cells_are_those_of_all():
    gap = np.random.default_rng(0).random((3, 9, 8)) < 0.6
    cells = np.nonzero(~gap | (np.arange(8) > 4))
    np.testing.assert_array_equal(gap_size(gap, cells), gap_size(gap)[cells])


def test_corners_and_dates_do_not_join_gaps():
    gap = np.array([[[1, 0], [0, 1]], [[1, 1], [0, 1]]], bool)
    assert gap_size(gap).tolist() == [[[1, 0], [0, 1]], [[3, 3], [0, 3]]]


@pytest.mark.parametrize(
    ("size", "label"),
    [(1, "1-9"), (9, "1-9"), (10, "10-99"), (99, "10-99"), (100, "100-999"), (999, "100-999"), (1000, "1000-9999"),
     (9999, "1000-9999"), (10000, ">=10000"), (9_000_000, ">=10000")],
)  # fmt: skip
def test_gap_size_classes_are_named_by_their_bounds(size, label):
    assert GAP_SIZE_LABELS[gap_size_class(np.array([size]))[0]] == label


def test_codes_name_the_band_and_the_calendar_season_of_each_cell():
    time = pd.date_range("2001-02-01", periods=12, freq="MS").to_numpy()
    lat, lon = np.array([75.0, 10.0, -45.0]), np.array([5.0, 6.0])
    shape = (12, 3, 2)
    chunk = Chunk(Window((0, 0, 0), shape), shape, time, lat, lon, np.zeros(shape), {}, np.ones((3, 2), bool))
    cells = np.nonzero(np.ones(shape, bool))
    bands, seasons, classes = group_codes(chunk, cells, None)
    assert bands.shape == seasons.shape == classes.shape == (72,)
    named = [LABELS["latitude"][k] for k in bands.reshape(shape)[0, :, 0]]
    assert named == ["60N-90N", "0-30N", "60S-30S"]
    expected = ["DJF", *["MAM"] * 3, *["JJA"] * 3, *["SON"] * 3, "DJF", "DJF"]
    assert [LABELS["season"][k] for k in seasons.reshape(shape)[:, 2, 1]] == expected
    assert set(classes) == {0}
    assert tuple(len(labels) for labels in LABELS.values()) == SIZES == (6, 4, 5)
