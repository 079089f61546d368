"""Counts for pictures against numpy's histograms and loops."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest

from lstfill.cube import Window, column_windows
from lstfill.evaluate.pictures import DENSITY_EDGES_K, RESIDUAL_EDGES_K, Pictures, strides

SHAPE = (3, 7, 1450)  # 1450 columns are more than the 720 of the coarse map: 3 to 1


def scored(seed=0, shape=SHAPE):
    rng = np.random.default_rng(seed)
    observed = rng.uniform(200, 330, shape)
    predicted = observed + rng.normal(0.5, 4, shape)
    return predicted, observed, rng.random(shape) < 0.3


def whole(predicted, observed, mask, shape=SHAPE) -> Pictures:
    return Pictures.of(predicted[mask], observed[mask], np.nonzero(mask), Window((0, 0, 0), shape), shape)


def test_histograms_equal_numpy():
    predicted, observed, mask = scored()
    pictures = whole(predicted, observed, mask)
    density, _, _ = np.histogram2d(observed[mask], predicted[mask], [DENSITY_EDGES_K, DENSITY_EDGES_K])
    residuals, _ = np.histogram((predicted - observed)[mask], RESIDUAL_EDGES_K)
    np.testing.assert_array_equal(pictures.density, density)
    np.testing.assert_array_equal(pictures.residuals, residuals)
    np.testing.assert_array_equal(pictures.per_date, mask.sum(axis=(1, 2)))


def test_what_lies_beyond_the_bins_is_counted_at_their_ends():
    observed, predicted = np.array([100.0, 300.0, 300.0]), np.array([300.0, 400.0, 200.0])
    pictures = whole(*(v.reshape(3, 1, 1) for v in (predicted, observed, np.ones(3, bool))), (3, 1, 1))
    assert pictures.density.sum() == pictures.residuals.sum() == 3
    at_300 = np.searchsorted(DENSITY_EDGES_K, 300, side="right") - 1
    assert pictures.density[0, at_300] == 1
    assert pictures.density[at_300, -1] == 1
    assert pictures.residuals[[0, -1]].tolist() == [1, 2]


def test_error_map_equals_a_loop_and_is_bounded():
    predicted, observed, mask = scored(1)
    lat, lon = np.linspace(60, 50, SHAPE[1]), np.linspace(-10, 10, SHAPE[2])
    fields = whole(predicted, observed, mask).figure_fields(lat, lon)
    assert strides(SHAPE[1:]) == (1, 3)
    assert fields["error_mean"].shape == fields["error_n"].shape == (7, 484)
    error = np.where(mask, predicted - observed, np.nan)
    for y, x in ((0, 0), (3, 200), (6, 483)):
        box = error[:, y, 3 * x : 3 * x + 3]
        assert fields["error_n"][y, x] == np.isfinite(box).sum()
        if np.isfinite(box).any():
            assert fields["error_mean"][y, x] == pytest.approx(np.nanmean(box))
    np.testing.assert_allclose(fields["error_lat"], lat)
    assert fields["error_lon"][0] == pytest.approx(lon[:3].mean())
    assert fields["error_lon"][-1] == pytest.approx(lon[-1])  # 1450 = 3 * 483 + 1
    assert fields["error_n"].sum() == mask.sum()


def test_coarse_cells_without_a_residual_are_missing_and_not_zero():
    predicted, observed, mask = scored(2)
    mask[:, 2] = False
    fields = whole(predicted, observed, mask).figure_fields(np.zeros(7), np.zeros(1450))
    assert np.isnan(fields["error_mean"][2]).all()
    assert (fields["error_n"][2] == 0).all()


@pytest.mark.parametrize("grid", [(2160, 4320), (720, 1440), (360, 720), (361, 721), (5, 9000), (1, 1)])
def test_the_coarse_map_never_exceeds_its_bounds(grid):
    rows, columns = (-(-n // s) for n, s in zip(grid, strides(grid), strict=True))
    assert rows <= 360
    assert columns <= 720


@pytest.mark.parametrize("chunks", [(3, 7, 1450), (3, 2, 100), (3, 7, 97)])
def test_windows_add_up_in_any_order(chunks):
    predicted, observed, mask = scored(3)
    expected = whole(predicted, observed, mask)
    parts = []
    for window in column_windows(SHAPE, chunks, 3 * chunks[1] * chunks[2]):
        p, o, m = (values[window.slices] for values in (predicted, observed, mask))
        parts.append(Pictures.of(p[m], o[m], np.nonzero(m), window, SHAPE))
    for order in (parts, parts[::-1]):
        merged = functools.reduce(operator.add, order)
        np.testing.assert_array_equal(merged.density, expected.density)
        np.testing.assert_array_equal(merged.residuals, expected.residuals)
        np.testing.assert_array_equal(merged.per_date, expected.per_date)
        for got, want in zip(merged.error.mean(), expected.error.mean(), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_a_window_sends_only_its_own_part_of_the_map():
    window = Window((0, 270, 540), (10, 540, 810))
    none = tuple(np.zeros(0, np.intp) for _ in range(3))
    error = Pictures.of(np.zeros(0), np.zeros(0), none, window, (10, 2160, 4320)).error
    assert error.n.shape == (45, 45)
    assert error.corner == (45, 90)
    assert error.total.dtype == np.float64
