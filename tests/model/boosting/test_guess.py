"""The first guess: its parts add up, and each tells something of what is hidden."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lstfill.model.boosting.guess import FAR, RANK, SCALES, _around, _condition, _date, first_guess
from lstfill.modelconfig import Harmonic
from tests.model import tiles

OPTIONS = Harmonic()


@pytest.fixture(scope="module")
def made():
    values = tiles.truth()
    chunk = tiles.chunk(values)
    away = tiles.hidden(chunk)
    return values, away, chunk.hiding(away), first_guess(chunk.hiding(away), OPTIONS, ())


def test_the_value_is_the_sum_of_its_parts(made):
    *_, guess = made
    total = guess.harmonic + guess.date[:, None, None] + guess.cell + guess.others + sum(guess.around)
    np.testing.assert_allclose(guess.value, total)
    assert len(guess.around) == len(guess.seen) == len(SCALES)


def test_each_part_brings_the_guess_nearer_to_what_is_hidden(made):
    values, away, _, guess = made
    sums = np.cumsum(
        [guess.harmonic, guess.date[:, None, None] + guess.cell + 0 * values, guess.others, sum(guess.around)], axis=0
    )
    errors = [tiles.mae(of, values, away) for of in sums]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * errors[0]


def test_it_knows_nothing_of_what_is_hidden(made):
    _, away, shown, guess = made
    other = first_guess(replace(shown, target=np.where(away, np.float32(999), shown.target)), OPTIONS, ())
    np.testing.assert_array_equal(other.value, guess.value)


def test_the_doubt_is_about_as_large_as_the_error_without_the_cells_around(made):
    values, away, _, guess = made
    error = values - guess.harmonic - guess.date[:, None, None] - guess.cell - guess.others
    assert 0.7 < np.sqrt(np.mean((error / guess.doubt)[away] ** 2)) < 1.4


def test_an_outlier_counts_no_more_than_a_far_value():
    values = tiles.truth((24, 20, 20))
    clean = tiles.chunk(values, missing=0.1)
    date, row, column = np.argwhere(clean.visible())[100]
    target = clean.target.copy()
    target[date, row, column] -= 60
    guess = first_guess(replace(clean, target=target), OPTIONS, ())
    expected = first_guess(clean, OPTIONS, ())
    deviation = np.sqrt((expected.anomaly[date] ** 2).sum() / clean.visible()[date].sum())
    assert abs(guess.anomaly[date, row, column]) < 3 * FAR * deviation
    away = np.ones(values.shape, bool)
    away[:, row - 2 : row + 3, column - 2 : column + 3] = False
    assert np.abs(guess.value - expected.value)[away].mean() < 0.2


def test_the_effect_of_a_date_with_few_values_is_small():
    anomaly = np.random.default_rng(0).normal(5, 2, (3, 20, 20)) * np.array([1, -1, 1])[:, None, None]
    visible = np.ones(anomaly.shape, bool)
    visible[2] = False
    visible[2, 0, 0] = True
    date = _date(np.where(visible, anomaly, 0), visible)
    np.testing.assert_allclose(date[:2], [5, -5], atol=0.5)
    assert abs(date[2]) < 0.6 * abs(anomaly[2, 0, 0])


def test_conditioning_is_that_of_a_normal_distribution():
    rng = np.random.default_rng(3)
    dates, cells = 7, 5
    loadings, own = rng.normal(0, 0.4, (dates, 2)), rng.uniform(0.2, 0.6, dates)
    covariance = loadings @ loadings.T + np.diag(own)
    values, seen = rng.normal(size=(dates, cells)), rng.random((dates, cells)) < 0.6
    told, variance, left = _condition(np.where(seen, values, 0), seen, loadings, own)
    for date, cell in np.ndindex(dates, cells):
        by = seen[:, cell] & (np.arange(dates) != date)
        gain = covariance[date, by] @ np.linalg.inv(covariance[np.ix_(by, by)])
        mean = gain @ values[by, cell]
        if seen[date, cell]:
            assert left[date, cell] == pytest.approx(values[date, cell] - mean)
        else:
            assert told[date, cell] == pytest.approx(mean)
            assert variance[date, cell] == pytest.approx(covariance[date, date] - gain @ covariance[by, date])


def test_means_around_take_the_value_where_all_is_visible_and_fade_far_away():
    values = np.full((1, 60, 60), 2.0)
    visible = np.zeros(values.shape, bool)
    visible[0, :20] = True
    total = sum(_around(np.where(visible, values, 0), visible, [_share(visible, scale) for scale in SCALES]))
    np.testing.assert_allclose(total[0, :20], 2, atol=0.05)
    assert (np.diff(total[0, 20:, 30]) <= 1e-9).all()


def _share(visible, scale):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(visible.astype(float), scale, mode="constant", axes=(-2, -1), truncate=3.0)


@pytest.mark.parametrize("shape", [(1, 20, 20), (2, 20, 20), (RANK + 3, 17, 40)])
@pytest.mark.parametrize("kept", [1, 30, None])
def test_it_is_finite_with_one_date_one_value_and_land_in_a_corner(shape, kept):
    chunk = tiles.chunk(tiles.truth(shape))
    land = np.zeros(shape[1:], bool)
    land[:6, :7] = True
    chunk = replace(chunk, land=land)
    if kept:
        seen = np.flatnonzero(chunk.visible())[:kept]
        chunk = chunk.hiding(~np.isin(np.arange(chunk.target.size), seen).reshape(shape))
    guess = first_guess(chunk, OPTIONS, ())
    for part in (guess.value, guess.alone, guess.doubt[:, land], guess.likeness):
        assert np.isfinite(part).all()
    assert (guess.doubt[:, land] > 0).all()


def test_without_a_visible_value_there_is_none():
    chunk = tiles.chunk(tiles.truth((3, 8, 8)))
    assert first_guess(chunk.hiding(np.ones(chunk.shape, bool)), OPTIONS, ()) is None


def test_its_bits_do_not_depend_on_threads(made):
    _, _, shown, guess = made
    for threads in (1, 2):
        with threadpool_limits(threads):
            np.testing.assert_array_equal(first_guess(shown, OPTIONS, ()).value, guess.value)
