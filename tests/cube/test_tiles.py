"""Tiles: every cell in one, seen by its neighbours as far as the overlap goes, weights that add up to 1."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.cube import Window
from lstfill.cube.tiles import TILE_CELLS, TileAxis, Tiling, common, inside


@st.composite
def axes(draw):
    side = draw(st.integers(2, 40))
    return TileAxis.of(draw(st.integers(1, 150)), side, draw(st.integers(0, side // 2)))


@st.composite
def tilings(draw):
    side = draw(st.integers(2, 20))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 50)), draw(st.integers(1, 50)))
    return Tiling.of(shape, side, draw(st.integers(0, side // 2)))


@st.composite
def windows_of(draw, tiling):
    ends = [sorted(draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True))) for n in shape_of(tiling)]
    return Window(tuple(a for a, _ in ends), tuple(b for _, b in ends))


def shape_of(tiling):
    return (tiling.dates, tiling.lat.edges[-1], tiling.lon.edges[-1])


def whole(axis):
    return slice(0, axis.edges[-1])


def length(cut):
    return cut.stop - cut.start


@given(st.integers(1, 3000), st.integers(2, 200))
def test_tiles_cover_each_cell_once_and_none_is_tiny(n, side):
    axis = TileAxis.of(n, side, 0)
    assert [axis.core(i).start for i in range(1, len(axis))] == [axis.core(i).stop for i in range(len(axis) - 1)]
    assert (axis.core(0).start, axis.core(len(axis) - 1).stop) == (0, n)
    sizes = [length(axis.core(i)) for i in range(len(axis))]
    assert max(sizes) - min(sizes) <= 1
    if len(axis) > 1:
        assert min(sizes) > 2 * side / 3 - 1
    assert max(sizes) < 1.5 * side + 1


@given(axes())
def test_a_tile_sees_as_many_cells_beyond_each_edge_as_there_are(axis):
    for i in range(len(axis)):
        core, outer = axis.core(i), axis.outer(i)
        assert core.start - outer.start == min(axis.overlap, core.start)
        assert outer.stop - core.stop == min(axis.overlap, axis.edges[-1] - core.stop)


@given(axes())
def test_weights_add_up_to_one_and_are_zero_where_a_tile_sees_nothing(axis):
    weights = np.stack([axis.weights(i, whole(axis)) for i in range(len(axis))])
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=0, atol=1e-12)
    for i, of in enumerate(weights):
        unseen = np.ones(of.size, bool)
        unseen[axis.outer(i)] = False
        assert not of[unseen].any()


@given(axes())
def test_weights_change_by_one_cell_of_the_taper_at_most(axis):
    if axis.overlap:
        for i in range(len(axis)):
            assert np.abs(np.diff(axis.weights(i, whole(axis)))).max(initial=0) <= 1 / (2 * axis.overlap) + 1e-12


def test_weights_pass_linearly_over_both_margins():
    axis = TileAxis.of(20, 10, 2)
    assert axis.edges == (0, 10, 20)
    np.testing.assert_allclose(axis.weights(0, slice(7, 13)), [1, 0.875, 0.625, 0.375, 0.125, 0])


@given(axes(), st.data())
def test_weights_of_a_cell_are_the_same_in_any_range(axis, data):
    first = data.draw(st.integers(0, axis.edges[-1] - 1))
    cut = slice(first, data.draw(st.integers(first + 1, axis.edges[-1])))
    for i in range(len(axis)):
        np.testing.assert_array_equal(axis.weights(i, cut), axis.weights(i, whole(axis))[cut])


@given(axes(), st.data())
def test_touching_are_the_tiles_that_see_a_cell_of_the_range(axis, data):
    first = data.draw(st.integers(0, axis.edges[-1] - 1))
    cut = slice(first, data.draw(st.integers(first + 1, axis.edges[-1])))
    cells = set(range(cut.start, cut.stop))
    seen = [i for i in range(len(axis)) if cells & set(range(axis.outer(i).start, axis.outer(i).stop))]
    assert list(axis.touching(cut)) == seen


@given(tilings(), st.data())
def test_in_two_directions_it_is_the_same(tiling, data):
    window = data.draw(windows_of(tiling))
    total = np.zeros(window.shape[1:])
    for tile in tiling.touching(window):
        shared = common(tiling.outer(tile), window)
        total[inside(shared, window)[1:]] += tiling.weights(tile, shared)
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-12)


@given(tilings())
def test_tiles_are_numbered_row_by_row_and_hold_all_dates(tiling):
    cores = [tiling.core(tile) for tile in range(len(tiling))]
    assert [core.start for core in cores] == sorted(core.start for core in cores)
    assert sum(core.size for core in cores) == np.prod(shape_of(tiling))
    for core, outer in zip(cores, map(tiling.outer, range(len(tiling))), strict=True):
        assert (outer.start[0], outer.stop[0]) == (0, tiling.dates)
        assert common(core, outer) == core


@pytest.mark.parametrize("dates", [1, 46, 1000, 20_000])
def test_tiles_of_long_cubes_are_smaller_so_that_memory_is_bounded(dates):
    tiling = Tiling.of((dates, 2160, 4320), 96, 16)
    assert tiling.largest <= TILE_CELLS
    assert tiling.largest == max(tiling.outer(tile).size for tile in range(0, len(tiling), 7))
    if dates <= 46:
        assert tiling.lat.overlap == 16
    else:
        assert 0 <= tiling.lat.overlap < 16


def test_more_dates_than_fit_leave_tiles_of_a_cell():
    tiling = Tiling.of((1000, 3, 4), 2, 1, most_cells=10)
    assert len(tiling) == 12
    assert tiling.lat.overlap == 0


def test_a_grid_smaller_than_a_tile_is_one_tile():
    tiling = Tiling.of((10, 30, 120), 96, 16)
    assert len(tiling) == 1
    assert tiling.outer(0) == tiling.core(0) == Window((0, 0, 0), (10, 30, 120))


def test_common_and_inside_are_indices_of_the_shared_cells():
    one, other = Window((0, 2, 3), (4, 9, 8)), Window((1, 0, 5), (6, 4, 10))
    shared = common(one, other)
    index = np.arange(10 * 10 * 10).reshape(10, 10, 10)
    cells = [set(index[window.slices].ravel().tolist()) for window in (one, other, shared)]
    assert cells[0] & cells[1] == cells[2]
    for window in (one, other):
        np.testing.assert_array_equal(index[window.slices][inside(shared, window)], index[shared.slices])


def test_a_global_grid_has_tiles_of_about_the_side():
    tiling = Tiling.of((46, 2160, 4320), 96, 16)
    sizes = {tiling.core(tile).shape[1:] for tile in range(len(tiling))}
    assert all(93 <= side <= 99 for side in itertools.chain(*sizes))
