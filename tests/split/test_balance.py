"""Balance against naive counts, the 2 points that are promised, and the refusal of an empty part."""

from __future__ import annotations

import dataclasses
import json
import logging
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.config import Split
from lstfill.cube import Window, chunk_windows, column_windows
from lstfill.cube.geometry import latitude_band
from lstfill.errors import DataError
from lstfill.split import (
    PARTS,
    Part,
    SplitTable,
    assert_no_empty,
    balance,
    count_parts,
    count_usable,
    draw_blocks,
    parts_of_blocks,
    reached,
    sum_counts,
)
from tests.split.cubes import chunk, spotted

SHAPE = (6, 40, 44)


def config(block=(3, 5, 4), **other):
    return Split(block=dict(zip(("time", "lat", "lon"), block, strict=True)), **other)


def count(target, land, table, windows, **chunk_options):
    return sum_counts(table, (count_usable(chunk(target, land, w, **chunk_options), table) for w in windows))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.tuples(st.integers(2, 6), st.integers(5, 40), st.integers(5, 44)))
def test_counts_are_those_of_each_block_and_band_in_any_windows(seed, sizes):
    target, land = spotted(SHAPE, seed)
    table = draw_blocks(SHAPE, config(seed=seed))
    cells = np.isfinite(target) & land
    band = latitude_band(chunk(target, land).lat)
    expected = np.zeros((*table.grid, 6), int)
    for t, y, x in np.argwhere(cells):
        expected[t // 3, y // 5, x // 4, band[y]] += 1
    np.testing.assert_array_equal(count(target, land, table, chunk_windows(SHAPE, sizes)), expected)
    np.testing.assert_array_equal(count(target, land, table, column_windows(SHAPE, sizes, 400)), expected)
    whole = count_parts(chunk(target, land), table)
    np.testing.assert_array_equal(parts_of_blocks(table, expected), whole)
    in_windows = sum(count_parts(chunk(target, land, w), table) for w in chunk_windows(SHAPE, sizes))
    np.testing.assert_array_equal(in_windows, whole)


def test_held_out_and_missing_features_do_not_count():
    target, land = np.ones((1, 4, 4), np.float32), np.ones((4, 4), bool)
    feature, held_out = np.ones((1, 4, 4)), np.zeros((1, 4, 4), bool)
    feature[0, 0, 0], held_out[0, 0, 1], land[0, 2], target[0, 0, 3] = np.nan, True, False, np.nan
    table = draw_blocks((1, 4, 4), config((1, 2, 2)))
    one = chunk(target, land, held_out=held_out, features={"t2m": feature})
    assert count_usable(one, table).values.sum() == 12
    assert count_parts(one, table).sum() == 12
    assert count_usable(one, table, "mean").values.sum() == 13
    assert count_parts(one, table, "constant").sum() == 13


def test_counts_of_a_window_hold_only_the_blocks_it_touches():
    target, land = spotted(SHAPE, 1)
    table = draw_blocks(SHAPE, config())
    counts = count_usable(chunk(target, land, Window((3, 4, 12), (6, 6, 20))), table)
    assert counts.origin == (1, 0, 3)
    assert counts.values.shape == (1, 2, 2, 6)


def skewed(table, seed):
    """Counts of an ESDC-like cube: each row of blocks in one or two bands, sea empty, land full in parts."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 1000, table.grid) * (rng.random(table.grid) < 0.4)
    counts = np.zeros((*table.grid, 6), np.int64)
    rows = np.arange(table.grid[1]) * 6 // table.grid[1]
    for row, band in enumerate(rows):
        counts[:, row, :, band] = cells[:, row]
        if row and band != rows[row - 1]:
            counts[:, row, :, band - 1] = cells[:, row] // 3
    return counts


def misses(table, counts):
    held = parts_of_blocks(table, counts)[:3]
    in_use = held.sum(axis=0) > 0
    return np.abs(held[:, in_use] / held[:, in_use].sum(axis=0) - np.array(table.fractions)[:, None])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(0.7, 0.1, 0.2), (0.8, 0.1, 0.1), (0.4, 0.3, 0.3)]))
def test_every_part_has_its_share_of_every_band_within_2_points(seed, fractions):
    shares = dict(zip(("train", "validation", "test"), fractions, strict=True))
    table = draw_blocks((10, 2160, 4320), config((10, 100, 100), fractions=shares, seed=seed))
    counts = skewed(table, seed)
    balanced = balance(table, counts)
    assert misses(balanced, counts).max() <= 0.02
    report = reached(balanced, parts_of_blocks(balanced, counts)).report
    assert report["within_2_points"] is True
    assert report["largest_miss"] == pytest.approx(misses(balanced, counts).max())
    assert 0 < report["moved_blocks"] < 968 / 4


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(3, 5)))
def test_balance_never_makes_it_worse_and_empties_no_part(seed, grid):
    table = draw_blocks(grid, config((1, 1, 1), seed=seed))
    counts = skewed(table, seed)
    balanced = balance(table, counts)
    if np.count_nonzero(counts.any(axis=-1)) >= 3:
        assert parts_of_blocks(balanced, counts).sum(axis=1)[:3].min() > 0
    if parts_of_blocks(table, counts).sum(axis=1)[:3].min() > 0:
        assert (misses(balanced, counts) ** 2).sum() <= (misses(table, counts) ** 2).sum() + 1e-12
    np.testing.assert_array_equal(balance(table, counts).parts, balanced.parts)
    assert set(np.unique(balanced.parts)) <= {0, 1, 2}


def test_an_exchange_goes_on_where_no_single_move_helps():
    # Train has 60 + 40 for 80, test 20 + 10 for 50: moving 40 turns the misses round, exchanging 40 and 20 ends them.
    counts = np.zeros((1, 1, 5, 6), np.int64)
    counts[0, 0, :, 4] = [60, 20, 10, 40, 10]
    parts = np.array([[[Part.TRAIN, Part.TEST, Part.TEST, Part.TRAIN, Part.VALIDATION]]], np.int8)
    table = SplitTable("block", (1, 1, 5), (1, 1, 1), (80 / 140, 10 / 140, 50 / 140), (0, 0, 0), 0, False, parts)
    assert misses(balance(table, counts), counts).max() == pytest.approx(0, abs=1e-12)


def test_blocks_without_usable_cells_stay_where_the_draw_put_them():
    table = draw_blocks((10, 2160, 4320), Split())
    counts = skewed(table, 3)
    balanced = balance(table, counts)
    empty = ~counts.any(axis=-1)
    np.testing.assert_array_equal(balanced.parts[empty], table.parts[empty])
    assert balance(table, np.zeros_like(counts)).report == {"moved_blocks": 0}


def test_drawn_table_is_left_alone_and_moves_are_told(caplog):
    table = draw_blocks((10, 2160, 4320), Split())
    before = table.parts.copy()
    with caplog.at_level(logging.INFO, "lstfill"):
        balanced = balance(table, skewed(table, 5))
    np.testing.assert_array_equal(table.parts, before)
    moved = np.count_nonzero(balanced.parts != before)
    assert f"balance moved {moved} of" in caplog.text
    assert balanced.report["moved_blocks"] == moved


def test_random_split_needs_no_balance():
    table = draw_blocks(SHAPE, config(kind="random"))
    assert balance(table, np.zeros((*table.grid, 6), np.int64)) is table


def test_report_holds_the_shares_and_survives_json():
    target, land = spotted(SHAPE, 2)
    table = draw_blocks(SHAPE, config(buffer={"time": 0, "lat": 1, "lon": 1}))
    counts = count_parts(chunk(target, land), table)
    report = reached(table, counts).report
    assert json.loads(json.dumps(report)) == report
    cells, parts = np.isfinite(target) & land, table.part_in(Window((0, 0, 0), SHAPE))
    n = {part: np.count_nonzero(cells & (parts == part)) for part in Part}
    assert report["reached"]["left_out_by_buffer"] == n[Part.NONE] > 0
    assert report["reached"]["cells"] == n[0] + n[1] + n[2]
    assert report["reached"]["test"] == pytest.approx(n[Part.TEST] / (n[0] + n[1] + n[2]))
    assert report["asked"] == {"train": 0.7, "validation": 0.1, "test": 0.2}
    assert list(report["bands"]) == ["60S-30S", "30S-0", "0-30N", "30N-60N", "60N-90N"]
    assert sum(report["blocks"].values()) == np.prod(table.grid)
    assert reached(table, counts).to_dataset().attrs["report"] == report


def test_an_empty_part_is_refused_with_the_numbers():
    table = draw_blocks((10, 30, 10), config((10, 10, 10), seed=1))
    counts = np.zeros((4, 6), np.int64)
    counts[[Part.TRAIN, Part.TEST, Part.NONE], 4] = 500, 20, 7
    message = (
        r"split: no usable cell for validation \(usable cells: train 500 in 1 blocks, validation 0 in 1 blocks, "
        r"test 20 in 1 blocks, left out by the buffer 7\): "
        r"make split.block smaller than \{'time': 10, 'lat': 10, 'lon': 10\}"
    )
    with pytest.raises(DataError, match=message):
        assert_no_empty(table, counts)
    counts[Part.VALIDATION, 0] = 1
    assert_no_empty(table, counts)


def test_a_cube_without_usable_cells_is_refused_with_another_remedy():
    table = draw_blocks(SHAPE, config(kind="random"))
    with pytest.raises(DataError, match=r"train and validation and test .* check the mask, source.valid_range_k"):
        assert_no_empty(table, np.zeros((4, 6), np.int64))


def test_forty_years_of_the_globe_take_seconds():
    start = time.process_time()
    table = draw_blocks((1840, 2160, 4320), Split(), periodic_lon=True)
    counts = skewed(table, 0)
    balanced = balance(table, counts)
    assert misses(balanced, counts).max() <= 0.02
    assert time.process_time() - start < 20


def test_balance_changes_only_parts_and_report():
    table = draw_blocks((10, 2160, 4320), Split(buffer={"lat": 3}), periodic_lon=True)
    balanced = balance(table, skewed(table, 1))
    for field in dataclasses.fields(table):
        if field.name not in ("parts", "report"):
            assert getattr(balanced, field.name) == getattr(table, field.name)
    assert [int(part) for part in PARTS] == [0, 1, 2]
