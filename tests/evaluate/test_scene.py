"""What maps draw, gathered window by window, against the same cells of the whole cube."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from lstfill.cube import chunk_windows
from lstfill.evaluate.maps import MAX_CELLS, Grid
from lstfill.evaluate.scene import Scene
from tests.evaluate.test_baselines import SHAPE, cube, cut

SCENE = Scene(4, np.array([0, 2, 4]), np.array([1, 2, 5]))


@pytest.mark.parametrize("chunks", [(9, 5, 6), (2, 5, 6), (5, 2, 4), (1, 1, 1)])
@pytest.mark.parametrize("held_out", [True, False])
def test_joined_pieces_are_the_drawn_cells_of_the_date(chunks, held_out):
    chunk = cube() if held_out else dataclasses.replace(cube(), held_out=None)
    windows = chunk_windows(SHAPE, chunks)
    pieces = list(itertools.chain(*(SCENE.cut(cut(chunk, window)) for window in windows[::-1])))
    drawn = SCENE.joined(pieces, chunk.time, chunk.lat, chunk.lon)
    cells = np.ix_(SCENE.rows, SCENE.columns)
    assert drawn.target.shape == drawn.shape == drawn.window.shape == (1, 3, 3)
    for name in ("target", "part", "held_out") if held_out else ("target", "part"):
        np.testing.assert_array_equal(getattr(drawn, name)[0], getattr(chunk, name)[4][cells])
    assert held_out or drawn.held_out is None
    for name, values in chunk.features.items():
        np.testing.assert_array_equal(drawn.features[name][0], values[4][cells])
    np.testing.assert_array_equal(drawn.land, chunk.land[cells])
    assert drawn.time == chunk.time[4]
    np.testing.assert_array_equal(drawn.lat, chunk.lat[SCENE.rows])
    np.testing.assert_array_equal(drawn.lon, chunk.lon[SCENE.columns])


def test_a_window_of_other_dates_gives_nothing():
    chunk = cube()
    pieces = [len(SCENE.cut(cut(chunk, window))) for window in chunk_windows(SHAPE, (2, 5, 6))]
    assert pieces == [0, 0, 1, 0, 0]


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("n", [3, 1080, 4320, 4321])
def test_the_drawn_cells_are_drawn_where_the_whole_grid_would_be(n, down):
    """A map of the drawn cells alone has the borders of a map that takes them out of the whole field."""
    lon = -180 + (np.arange(n) + 0.5) * 360 / n
    lat = lon[::-1] / 2 if down else lon / 2
    grid = Grid.of(lat, lon)
    alone = Grid.of(*grid.centres)
    assert alone.rows.size == grid.rows.size <= MAX_CELLS
    np.testing.assert_array_equal(alone.rows, np.argsort(grid.rows) if down else np.arange(grid.rows.size))
    np.testing.assert_allclose(alone.lon_edges, grid.lon_edges, atol=180 / n)
    np.testing.assert_allclose(alone.lat_edges, grid.lat_edges, atol=90 / n)
