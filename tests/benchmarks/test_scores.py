"""The line and the errors against NumPy's own least squares and plain means."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import bare, cubes, scores
from lstfill.synthetic import esdc_like
from tests.made import land

SHAPE = (4, 12, 24)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(10, 500), cuts=st.integers(1, 5))
def test_moments_in_pieces_give_the_least_squares(seed, n, cuts):
    draws = np.random.default_rng(seed)
    x = draws.normal(285, 12, n).astype(np.float32)
    y = (1.12 * x - 30 + draws.normal(0, 3, n)).astype(np.float32)
    moments = scores.Moments()
    for piece in np.array_split(np.arange(n), cuts):
        moments.add(x[piece], y[piece])
    line = moments.line()
    expected = np.polyfit(x.astype(float) - 273.15, y.astype(float), 1)
    np.testing.assert_allclose([line.slope, line.intercept], expected, rtol=1e-6)
    residual = np.polyval(expected, x.astype(float) - 273.15) - y
    assert moments.least_mse() == pytest.approx(float(np.mean(residual**2)), rel=1e-6)
    np.testing.assert_allclose(line(x.astype(float)), np.polyval(expected, x.astype(float) - 273.15), rtol=1e-9)


@pytest.fixture
def stored(tmp_path):
    """A cube and its truth as ``cubes.make`` lays them out, with a land of the test's own."""
    cube, truth = esdc_like(SHAPE, seed=5, land=land(SHAPE))
    beside = truth.to_dataset(name=cubes.TRUTH).assign({cubes.LAND: (("lat", "lon"), land(SHAPE))})
    place = tmp_path / "cube.zarr"
    chunks = {name: {"chunks": (4, 5, 10)} for name in (cubes.TARGET, cubes.FEATURE)}
    cube[[cubes.TARGET, cubes.FEATURE]].to_zarr(place, zarr_format=2, encoding=chunks)
    beside.to_zarr(cubes.truth_of(place), zarr_format=2)
    return place


def test_errors_are_those_of_the_gaps_of_land(stored):
    cube, truth = xr.open_zarr(stored, chunks=None), xr.open_zarr(cubes.truth_of(stored), chunks=None)
    gap = np.isnan(cube[cubes.TARGET].values) & land(SHAPE)
    found = scores.truth_errors(
        str(stored), str(cubes.truth_of(stored)), lambda region, _: np.full(SHAPE, 290.0)[region]
    )
    error = 290.0 - truth[cubes.TRUTH].values[gap].astype(float)
    assert found["n"] == gap.sum()
    assert found["unfilled"] == 0
    assert found["mae_k"] == pytest.approx(np.abs(error).mean())
    assert found["rmse_k"] == pytest.approx(np.sqrt((error**2).mean()))
    assert found["bias_k"] == pytest.approx(error.mean())


def test_what_was_not_filled_is_counted_apart(stored):
    found = scores.truth_errors(str(stored), str(cubes.truth_of(stored)), lambda _, observed: observed)
    assert found["n"] == 0
    assert found["unfilled"] > 0


def test_the_floor_is_the_line_of_all_observed_land(stored):
    cube = xr.open_zarr(stored, chunks=None)
    there = np.isfinite(cube[cubes.TARGET].values) & land(SHAPE)
    x, y = (cube[name].values[there].astype(float) for name in (cubes.FEATURE, cubes.TARGET))
    found = bare.floor(str(stored), str(cubes.truth_of(stored)))
    slope, intercept = np.polyfit(x - 273.15, y, 1)
    assert found["line"] == pytest.approx({"slope": slope, "intercept": intercept}, rel=1e-6)
    assert found["scores"]["mae_k"] < 5


def test_traffic_counts_every_byte_and_leaves_nothing(stored, tmp_path):
    found = bare.traffic(str(stored), str(stored), str(stored), str(tmp_path / "scratch"))
    grid = 2 * int(np.prod(SHAPE)) * 4
    axes = sum(xr.open_zarr(stored, chunks=None)[dim].nbytes for dim in ("time", "lat", "lon"))
    assert {name: row["size"] for name, row in found.items()} == {
        "read source": grid,
        "read cube": grid + axes,
        "write cube": grid + axes,
        "write filled": grid + axes,
    }
    assert not list((tmp_path / "scratch").iterdir())
