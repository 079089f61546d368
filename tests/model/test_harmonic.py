"""Harmonics of each cell: least squares, shrunk to the neighbours, never singular."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.model.harmonic import YEAR_DAYS, HarmonicModel, fit_harmonics, near_cells, season
from lstfill.modelconfig import Harmonic
from tests.model import tiles


def naive(chunk, options, features=()):
    """Least squares of each cell by itself."""
    angle = season(chunk.time)
    waves = [wave(k * angle) for k in range(1, options.harmonics + 1) for wave in (np.cos, np.sin)]
    visible, value = chunk.visible(), np.full(chunk.shape, np.nan)
    for y, x in np.ndindex(chunk.land.shape):
        own = [chunk.features[name][:, y, x] for name in features]
        design = np.stack([np.ones(len(angle)), *waves, *own], axis=1)
        seen = visible[:, y, x]
        found = np.linalg.lstsq(design[seen], chunk.target[seen, y, x].astype(float), rcond=None)[0]
        value[:, y, x] = design @ found
    return value


def empty_row(chunk, cells):
    """The chunk with nothing visible in some cells ``(lat, lon)``."""
    return replace(chunk, target=np.where(cells, np.float32(np.nan), chunk.target))


def test_season_is_an_angle_that_comes_back_after_a_year():
    time = np.array(["2000-01-01", "2000-07-01", "2001-01-01"], "datetime64[ns]")
    angle = season(time)
    assert angle[0] == 0
    assert np.cos(angle[1]) == pytest.approx(-1, abs=1e-3)
    assert angle[2] == pytest.approx(2 * np.pi * 366 / YEAR_DAYS)


@pytest.mark.parametrize("features", [(), ("t2m",)])
@pytest.mark.parametrize("harmonics", [0, 1, 2])
def test_with_hardly_any_shrinkage_each_cell_has_its_own_least_squares(features, harmonics):
    made = tiles.chunk(tiles.truth((24, 6, 7)), missing=0.1, features=features)
    options = Harmonic(harmonics=harmonics, shrinkage=1e-6)
    fit = fit_harmonics(made, options, features)
    np.testing.assert_allclose(fit.value, naive(made, options, features), atol=0.01)


def test_with_much_shrinkage_all_cells_are_the_tile():
    made = tiles.chunk(tiles.truth((24, 12, 12)), missing=0.1)
    fit = fit_harmonics(made, Harmonic(shrinkage=1e9), ())
    assert np.ptp(fit.value, axis=(1, 2)).max() < 0.01
    assert np.ptp(fit.spread) < 0.01


def test_a_cell_without_observations_is_like_its_neighbours_and_not_like_the_tile():
    values = tiles.truth((24, 30, 30), noise_k=0.0)
    values[:, :15] += 20
    made = tiles.chunk(values, missing=0.1)
    blind = np.zeros(made.land.shape, bool)
    blind[3:5, 10:12] = True
    fit = fit_harmonics(empty_row(made, blind), Harmonic(), ())
    near = fit.value[:, 2:6, 9:13][:, ~blind[2:6, 9:13]].mean(axis=1)
    assert np.abs(fit.value[:, blind].mean(axis=1) - near).max() < 3
    assert np.isfinite(fit.spread).all()


def test_it_predicts_what_is_hidden_better_than_the_mean_of_the_cell():
    values = tiles.truth()
    made = tiles.chunk(values, features=("t2m",))
    away = tiles.hidden(made)
    fit = fit_harmonics(made.hiding(away), Harmonic(), ("t2m",))
    mean = np.broadcast_to(np.nanmean(np.where(made.visible() & ~away, values, np.nan), axis=0), values.shape)
    assert tiles.mae(fit.value, values, away) < 0.5 * tiles.mae(mean, values, away)


def test_the_spread_is_the_deviation_of_the_residuals():
    values = tiles.truth((40, 30, 30))
    made = tiles.chunk(values)
    fit = fit_harmonics(made, Harmonic(), ())
    error = (values - fit.value)[made.visible()] / np.broadcast_to(fit.spread, values.shape)[made.visible()]
    assert 0.85 < error.std() < 1.1


@pytest.mark.parametrize("days", [[0], [0, 8], list(range(0, 80, 8))])
def test_a_short_period_does_not_explode(days):
    values = tiles.truth((len(days), 20, 20))
    made = replace(
        tiles.chunk(values, features=("t2m",)),
        time=np.datetime64("2002-05-21", "ns") + np.array(days).astype("timedelta64[D]"),
    )
    fit = fit_harmonics(made, Harmonic(harmonics=4), ("t2m",))
    seen = made.target[made.visible()]
    assert fit.value.min() > seen.min() - 10
    assert fit.value.max() < seen.max() + 10


@pytest.mark.parametrize("air", [np.nan, 280.0])
def test_a_feature_that_is_missing_or_constant_tells_nothing(air):
    made = tiles.chunk(tiles.truth((24, 12, 12)), features=("t2m",))
    flat = replace(made, features={"t2m": np.full(made.shape, air, "float32")})
    without = fit_harmonics(made, Harmonic(), ())
    np.testing.assert_allclose(fit_harmonics(flat, Harmonic(), ("t2m",)).value, without.value, atol=1e-3)


def test_a_missing_feature_counts_as_the_mean_of_its_date():
    made = tiles.chunk(tiles.truth((24, 12, 12)), features=("t2m",))
    air = made.features["t2m"].copy()
    air[3, 2:4] = np.nan
    mean = np.where(np.isnan(air), np.nanmean(air[3], dtype=float), air).astype("float32")
    lost, full = (fit_harmonics(replace(made, features={"t2m": of}), Harmonic(), ("t2m",)) for of in (air, mean))
    np.testing.assert_allclose(lost.value, full.value, atol=0.02)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0), st.integers(0, 3))
def test_values_are_finite_where_anything_is_visible(seed, shrinkage, harmonics):
    rng = np.random.default_rng(seed)
    made = tiles.chunk(tiles.truth((6, 9, 8), seed))
    land = rng.random(made.land.shape) < rng.random()
    target = np.where(rng.random(made.shape) < rng.random(), np.float32(np.nan), made.target)
    made = replace(made, land=land, target=target)
    fit = fit_harmonics(made, Harmonic(harmonics=harmonics, shrinkage=shrinkage), ())
    if not made.visible().any():
        assert fit is None
        return
    assert np.isfinite(fit.value).all()
    assert (fit.spread > 0).all()


def test_near_cells_goes_from_the_tile_to_the_cell():
    total, count = np.zeros((40, 40)), np.zeros((40, 40))
    total[5, 5], count[5, 5] = 300.0, 100.0
    total[35, 35], count[35, 35] = -300.0, 100.0
    mean = near_cells(total, count, np.ones((40, 40), bool), 1.0)
    assert mean[5, 5] == pytest.approx(3, abs=0.05)
    assert 0 < mean[5, 8] < mean[5, 6] < 3
    assert mean[20, 20] == pytest.approx(0, abs=0.05)


def test_the_model_predicts_all_cells_from_its_own_features(tmp_path):
    made = tiles.chunk(tiles.truth((24, 12, 12)), features=("t2m",))
    model = tiles.fitted(HarmonicModel(), tiles.whole(made), harmonic={"harmonics": 1, "shrinkage": 3})
    model.save(tmp_path)
    more = replace(made, features={**made.features, "other": np.zeros(made.shape)})
    said = HarmonicModel.load(tmp_path).predict(more)
    expected = fit_harmonics(made, Harmonic(harmonics=1, shrinkage=3), ("t2m",))
    np.testing.assert_array_equal(said.value, expected.value)
    np.testing.assert_array_equal(said.spread[4], expected.spread)
    assert model.predict(replace(made, target=np.full(made.shape, np.nan))).value.dtype == np.float32


def test_a_tile_without_a_visible_value_has_no_prediction():
    made = tiles.chunk(tiles.truth((5, 6, 6)))
    model = tiles.fitted(HarmonicModel(), tiles.whole(made))
    said = model.predict(made.hiding(np.ones(made.shape, bool)))
    assert np.isnan(said.value).all()
    assert np.isnan(said.spread).all()


def test_istra_is_filled_as_well_as_published(shared_data):
    with xr.open_zarr(shared_data / "istra_2008.zarr", consolidated=None, chunks=None) as cube:
        gap, target = cube["artificial_gap"].to_numpy(), cube["land_surface_temperature"].to_numpy()
        air, known = cube["air_temperature_2m"].to_numpy(), cube["truth"].to_numpy()
        land, axes = cube["land_mask"].to_numpy().astype(bool), {n: cube[n].to_numpy() for n in ("time", "lat", "lon")}
    made = tiles.chunk(np.zeros(gap.shape, "float32"), features=("t2m",))
    made = replace(made, **axes, target=np.where(gap, np.float32(np.nan), target), land=land, features={"t2m": air})
    fit = fit_harmonics(made, Harmonic(), ("t2m",))
    assert tiles.mae(fit.value, known, gap) <= 1.40
