"""What maps draw, gathered window by window, against the same cells of the whole cube."""

from __future__ import annotations

import numpy as np
import pytest

from lstfill.cube import chunk_windows
from lstfill.evaluate.maps import MAX_CELLS, Grid
from lstfill.evaluate.scene import Scene
from tests.evaluate.test_baselines import SHAPE, cube, cut

SCENE = Scene(4, np.array([0, 2, 4]), np.array([1, 2, 5]))


@pytest.mark.parametrize("chunks", [(9, 5, 6), (2, 5, 6), (5, 2, 4), (1, 1, 1)])
def test_joined_pieces_are_the_drawn_cells_of_the_date(chunks):
    chunk = cube()
    windows = [window for window in chunk_windows(SHAPE, chunks)[::-1] if SCENE.in_window(window)]
    pieces = []
    for window in windows:
        part = cut(chunk, window)
        step = SCENE.step - window.start[0]
        pieces.append(SCENE.cut(window, {"target": part.target[step], "part": part.part[step], "land": part.land}))
    drawn = SCENE.joined(pieces)
    cells = np.ix_(SCENE.rows, SCENE.columns)
    for name, whole in {"target": chunk.target[4], "part": chunk.part[4], "land": chunk.land}.items():
        np.testing.assert_array_equal(drawn[name], whole[cells])
        assert drawn[name].dtype == whole.dtype


def test_windows_of_other_dates_are_told():
    assert [SCENE.in_window(window) for window in chunk_windows(SHAPE, (2, 5, 6))] == [False, False, True, False, False]


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
