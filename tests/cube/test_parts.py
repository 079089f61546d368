"""Parts, regions and windows: every cell once, every chunk of the source once where the bound allows."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.cube import DIMS, Window, chunk_windows
from lstfill.cube.parts import Axis, Layout, join, peak_bytes, regions, windows_of

PLENTY = 2**40


@st.composite
def axes(draw):
    """An asked range of one dimension, its chunks in source and work cube; maybe over the seam of the longitudes."""
    length, size = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    first = draw(st.integers(0, length - 1))
    count = draw(st.integers(1, length))
    turned = (np.arange(count) + first) % length if draw(st.booleans()) else np.arange(first, length)[:count]
    return Axis(turned.astype(np.int64), size), draw(st.integers(1, len(turned)))


cubes = st.tuples(axes(), axes(), axes())


def layout_of(cube, name="a", itemsize=4):
    return Layout(name, itemsize, dict(zip(DIMS, (axis for axis, _ in cube), strict=True)))


def chunks_of(cube):
    return tuple(chunk for _, chunk in cube)


def shape_of(layout):
    return tuple(axis.positions.size for axis in layout.axes.values())


def needs_of(layouts, region, chunks):
    local = [layout.within(region) for layout in layouts]
    return [[part for layout in local for part in layout.parts(window)] for window in windows_of(region, chunks)]


def source_of(layout):
    sizes = [int(axis.positions.max()) + 1 for axis in layout.axes.values()]
    return np.arange(np.prod(sizes)).reshape(sizes)


def read(source, part):
    cuts = [np.arange(n)[part.indexers[dim]] for n, dim in zip(source.shape, part.layout.axes, strict=True)]
    return source[np.ix_(*cuts)]


@settings(deadline=None, max_examples=60)
@given(cubes, st.sampled_from([0, 100, PLENTY]))
def test_windows_of_regions_are_those_of_the_cube_each_once(cube, held):
    layout, chunks = layout_of(cube), chunks_of(cube)
    found = [window for region in regions(chunks, [layout], held) for window in windows_of(region, chunks)]
    assert sorted(window.start for window in found) == [w.start for w in chunk_windows(shape_of(layout), chunks)]
    assert {(w.start, w.stop) for w in found} == {(w.start, w.stop) for w in chunk_windows(shape_of(layout), chunks)}


@settings(deadline=None, max_examples=60)
@given(cubes, st.sampled_from([0, 100, PLENTY]))
def test_parts_join_to_the_cells_that_are_asked_for(cube, held):
    layout, chunks = layout_of(cube), chunks_of(cube)
    source = source_of(layout)
    whole = source[np.ix_(*(axis.positions for axis in layout.axes.values()))]
    for region in regions(chunks, [layout], held):
        for window, needed in zip(windows_of(region, chunks), needs_of([layout], region, chunks), strict=True):
            joined = join(window, {part: read(source, part) for part in needed})
            np.testing.assert_array_equal(joined, whole[window.slices])


@settings(deadline=None, max_examples=60)
@given(cubes, cubes)
def test_no_two_regions_need_the_same_chunk_where_enough_may_be_held(cube, other):
    chunks, one = chunks_of(cube), layout_of(cube)
    more = {dim: Axis(axis.positions, size) for (dim, axis), (_, size) in zip(one.axes.items(), other, strict=True)}
    layouts = [one, Layout("b", 4, more)]
    seen = Counter(
        (name, chunk)
        for region in regions(chunks, layouts, PLENTY)
        for name, chunk in {(p.layout.name, p.chunk) for parts in needs_of(layouts, region, chunks) for p in parts}
    )
    assert set(seen.values()) == {1}


@settings(deadline=None, max_examples=60)
@given(cubes, st.integers(1, 4000))
def test_a_region_of_more_than_one_window_holds_no_more_than_the_bound(cube, held):
    layout, chunks = layout_of(cube), chunks_of(cube)
    for region in regions(chunks, [layout], held):
        needs = needs_of([layout], region, chunks)
        assert len(needs) == 1 or peak_bytes(needs) <= held


@settings(deadline=None, max_examples=60)
@given(cubes)
def test_the_peak_is_what_a_reader_would_count(cube):
    layout, chunks = layout_of(cube), chunks_of(cube)
    needs = needs_of([layout], Window((0, 0, 0), shape_of(layout)), chunks)
    held = [
        {part for parts in needs[: at + 1] for part in parts} & {part for parts in needs[at:] for part in parts}
        for at in range(len(needs))
    ]
    assert peak_bytes(needs) == max(sum(part.nbytes for part in parts) for parts in held)
    cells = sum(part.nbytes for part in set(itertools.chain(*needs))) // 4
    assert cells == np.prod(shape_of(layout))


def axis(first, count, size):
    return Axis(np.arange(first, first + count), size)


def test_on_the_grid_each_chunk_is_a_region():
    layout = Layout("a", 4, dict(zip(DIMS, (axis(0, 10, 10), axis(270, 540, 270), axis(0, 1080, 270)), strict=True)))
    found = regions((10, 270, 270), [layout], PLENTY)
    assert found == chunk_windows((10, 540, 1080), (10, 270, 270))


def test_off_the_grid_along_one_dimension_the_others_are_still_cut():
    layout = Layout("a", 4, dict(zip(DIMS, (axis(0, 20, 10), axis(100, 540, 270), axis(0, 540, 270)), strict=True)))
    found = regions((10, 270, 270), [layout], PLENTY)
    assert [(region.start, region.shape) for region in found] == [
        ((t, 0, x), (10, 540, 270)) for t in (0, 10) for x in (0, 270)
    ]


def test_a_layout_of_184_dates_a_chunk_off_its_grid_holds_a_row_of_the_ten_dates_that_are_asked_for():
    time, chunks, chunk_bytes = axis(17, 10, 184), (10, 270, 270), 4 * 10 * 270 * 270
    column = Layout("a", 4, {"time": time, "lat": axis(100, 2000, 270), "lon": axis(0, 270, 270)})
    assert peak_bytes(needs_of([column], Window((0, 0, 0), (10, 2000, 270)), chunks)) == 2 * chunk_bytes
    box = Layout("a", 4, {"time": time, "lat": axis(100, 2000, 270), "lon": axis(50, 4000, 270)})
    region = Window((0, 0, 0), (10, 2000, 4000))
    assert regions(chunks, [box], 64 * 2**20) == [region]
    assert peak_bytes(needs_of([box], region, chunks)) < 18 * chunk_bytes


@pytest.mark.parametrize(("start", "due"), [((0, 0, 0), 1), ((1, 0, 0), 0)])
def test_a_variable_without_time_is_due_with_the_first_dates(start, due):
    layout = Layout("land", 1, {"lat": axis(0, 4, 2), "lon": axis(0, 4, 2)})
    assert len(layout.parts(Window(start, (start[0] + 1, 2, 2)))) == due
