"""Seams by the naive expression, and the cost of a year from made-up figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import tiles
from lstfill.cube.tiles import Tiling

SHAPE = (2, 20, 30)
PLAN = Tiling.of(SHAPE, 10, 2)


def naive(value, filled, tiling):
    """One pair of neighbours after the other."""
    sums = {}
    for axis, cuts in ((1, tiling.lat), (2, tiling.lon)):
        outer = {e for tile in range(len(cuts)) for e in (cuts.outer(tile).start, cuts.outer(tile).stop)}
        for cell in np.ndindex(value.shape):
            other = tuple(c + (k == axis) for k, c in enumerate(cell))
            edge = other[axis]
            if edge < value.shape[axis] and filled[cell] and filled[other]:
                name = "outer" if edge in outer else "core" if edge in cuts.edges else "inside"
                sums.setdefault(name, []).append(abs(value[cell] - value[other]))
    inside = np.mean(sums["inside"])
    return {name: np.mean(sums.get(name, [inside])) / inside for name in ("core", "outer")}


@given(st.integers(0, 2**32), st.floats(0.2, 1))
def test_seams_are_those_of_the_naive_expression(seed, share):
    rng = np.random.default_rng(seed)
    value, filled = rng.normal(280, 5, SHAPE), rng.random(SHAPE) < share
    assert tiles.seams(value, filled, PLAN) == pytest.approx(naive(value, filled, PLAN))


def test_observed_and_missing_values_have_no_part_in_seams():
    value = np.random.default_rng(0).normal(280, 5, SHAPE)
    filled = np.ones(SHAPE, bool)
    filled[:, 3:8] = False
    expected = tiles.seams(value, filled, PLAN)
    value[:, 3:8] = np.nan
    assert tiles.seams(value, filled, PLAN) == expected


def test_a_step_between_tiles_is_a_seam_and_one_tile_has_none():
    value = np.add.outer(np.arange(20), np.arange(30))[None] + 0.0
    filled = np.ones(value.shape, bool)
    assert tiles.seams(value, filled, PLAN) == pytest.approx({"core": 1, "outer": 1})
    value[:, :, 10:] += 9
    assert tiles.seams(value, filled, PLAN)["core"] > 2
    assert tiles.seams(value, filled, Tiling.of(SHAPE, 40, 2)) == {"core": 1, "outer": 1}


def test_a_year_of_all_land_is_in_proportion_to_dates_and_tiles():
    found = {"globe": 360.0, "long": {"local": {"tile_cpu_s": 10.0, "dates": 23}}}
    assert tiles.year_cpu_h(found) == {"local": pytest.approx(2.0)}


def test_land_of_the_globe_is_a_third_of_its_cells_in_degrees():
    # The shares of the mask by latitude: 33 % of the cells of an equidistant grid are land, with Antarctica.
    cells = 360 * 720
    assert tiles.tiles_of_the_globe((1, 360, 720)) * tiles.TILES["side"] ** 2 / cells == pytest.approx(0.33, abs=0.02)
