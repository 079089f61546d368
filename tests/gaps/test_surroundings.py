"""Surroundings of cells against walks over the cells and over the dates, written out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstfill.cube import Chunk, Window
from lstfill.gaps import LABELS, gap_size, surroundings
from lstfill.gaps.surroundings import days_class, distance_class, gap_size_class, missing_class

SHAPES = st.tuples(*[st.integers(1, 7)] * 3)
MASKS = arrays(bool, SHAPES)


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
    assert LABELS["gap_size"][gap_size_class(np.array([size]))[0]] == label


def distance_label(distance):
    bounds = {"1": (0, 1), "2-3": (2, 3), "4-7": (4, 7), "8-15": (8, 15), "16-31": (16, 31), ">=32": (32, np.inf)}
    return next(label for label, (low, high) in bounds.items() if low <= distance <= high)


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 40)), fill=st.just(False)))
def test_distances_equal_those_to_every_visible_cell(visible):
    cells = np.flatnonzero(~visible)
    found = distance_class(visible, cells)
    for cell, code in zip(cells, found, strict=True):
        date, row, column = np.unravel_index(cell, visible.shape)
        rows, columns = np.nonzero(visible[date])
        away = np.maximum(abs(rows - row), abs(columns - column))
        assert LABELS["distance"][code] == distance_label(away.min(initial=10**9))


@settings(max_examples=60, deadline=None)
@given(MASKS, st.data())
def test_days_equal_those_to_every_other_visible_date(visible, data):
    days = np.cumsum(data.draw(st.lists(st.integers(1, 20), min_size=len(visible), max_size=len(visible))))
    time = np.datetime64("2008-01-01", "ns") + days * np.timedelta64(1, "D")
    cells = np.flatnonzero(np.ones(visible.shape, bool))
    found = days_class(visible, time, cells).reshape(visible.shape)
    for date, row, column in np.ndindex(visible.shape):
        others = [abs(days[date] - days[k]) for k in range(len(days)) if k != date and visible[k, row, column]]
        nearest = min(others, default=np.inf)
        expected = next((k for k, edge in enumerate((1, 4, 8, 16, 32)) if nearest <= edge), 5)
        assert found[date, row, column] == expected


def test_days_go_on_beyond_the_window():
    visible = np.array([[[True, False, False]], [[False, False, False]]])
    time = np.array(["2008-01-01", "2008-01-31"], "datetime64[ns]")
    day = (time[1] - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    cells = np.array([3, 4, 5])
    assert days_class(visible, time, cells).tolist() == [4, 5, 5]
    after = np.array([[day + 2, day + 8, np.nan]])
    assert days_class(visible, time, cells, after=after).tolist() == [1, 2, 5]
    assert days_class(visible, time, cells, before=np.array([[np.nan, day - 9, np.nan]])).tolist() == [4, 3, 5]


def test_overpasses_of_one_day_are_within_a_day():
    visible = np.array([True, False, False]).reshape(3, 1, 1)
    time = np.array(["2019-06-01T09:10", "2019-06-01T09:15", "2019-06-02T09:12"], "datetime64[ns]")
    assert days_class(visible, time, np.array([1, 2])).tolist() == [0, 1]


def test_missing_is_the_share_of_the_date_s_land():
    land = np.array([[True, True, True, True, False]])
    visible = np.array([[[1, 1, 1, 1, 1]], [[1, 1, 0, 1, 1]], [[0, 0, 0, 1, 0]], [[0, 0, 0, 0, 1]]], bool)
    named = [LABELS["missing"][k] for k in missing_class(visible, land, np.arange(20)).reshape(4, 5)[:, 0]]
    assert named == ["<10 %", "25-50 %", "75-90 %", ">=90 %"]


def chunk_of(shape, visible=None):
    time = pd.date_range("2001-02-01", periods=shape[0], freq="MS").to_numpy()
    lat, lon = np.linspace(75, -45, shape[1]), np.linspace(5, 6, shape[2])
    target = np.where(np.ones(shape, bool) if visible is None else visible, 280.0, np.nan)
    return Chunk(Window((0, 0, 0), shape), shape, time, lat, lon, target, {}, np.ones(shape[1:], bool))


def test_bands_and_calendar_seasons_are_named():
    chunk = chunk_of((12, 3, 2))
    found = surroundings(chunk, np.arange(72), ["latitude", "season"])
    assert [LABELS["latitude"][k] for k in found["latitude"].reshape(12, 3, 2)[0, :, 0]] == [
        "60N-90N",
        "0-30N",
        "60S-30S",
    ]
    expected = ["DJF", *["MAM"] * 3, *["JJA"] * 3, *["SON"] * 3, "DJF", "DJF"]
    assert [LABELS["season"][k] for k in found["season"].reshape(12, 3, 2)[:, 2, 1]] == expected


def test_some_cells_have_the_surroundings_they_have_among_all():
    visible = np.random.default_rng(0).random((5, 20, 30)) < 0.3
    chunk = chunk_of(visible.shape, visible)
    everywhere = surroundings(chunk, np.arange(visible.size))
    some = np.sort(np.random.default_rng(1).choice(visible.size, 200, replace=False))
    assert list(everywhere) == list(LABELS)
    for name, codes in surroundings(chunk, some).items():
        assert codes.dtype == np.int8
        assert codes.max() < len(LABELS[name])
        np.testing.assert_array_equal(codes, everywhere[name][some])


def test_what_is_held_out_or_off_the_land_is_not_seen():
    chunk = chunk_of((1, 1, 9))
    hidden = np.zeros((1, 1, 9), bool)
    hidden[..., 2:7] = True
    found = surroundings(chunk.hiding(hidden), np.array([4]))
    assert (LABELS["distance"][found["distance"][0]], LABELS["gap_size"][found["gap_size"][0]]) == ("2-3", "1-9")
    assert LABELS["missing"][found["missing"][0]] == "50-75 %"
