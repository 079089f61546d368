"""The model boosting, on tiles whose truth is known."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from lstfill.errors import DataError
from lstfill.gaps import PARTS
from lstfill.model import registry
from lstfill.model.boosting import BoostingModel
from lstfill.model.boosting.guess import first_guess
from lstfill.model.boosting.model import VALUES, _collect
from lstfill.model.tiled import without_part
from lstfill.modelconfig import Harmonic
from tests.model import tiles
from tests.model.calibrations import CALIBRATION

OPTIONS = {"boosting": {"max_samples": 8000, "max_iter": 25, "min_samples_leaf": 50}}


@pytest.fixture(scope="module")
def made():
    """The truth, what is hidden, the tile without it, and a model learned from it."""
    values = tiles.truth((18, 32, 32))
    chunk = tiles.with_parts(tiles.chunk(values, features=("t2m",)))
    away = tiles.hidden(chunk)
    shown = chunk.hiding(away)
    return values, away, shown, tiles.fitted(BoostingModel(), tiles.whole(shown), **OPTIONS)


def test_it_is_better_than_its_first_guess(made):
    values, away, shown, model = made
    guess = first_guess(shown, Harmonic(), ("t2m",)).value
    assert tiles.mae(model.predict(shown).value, values, away) < tiles.mae(guess, values, away)


def test_it_predicts_the_land_that_is_not_visible_and_nothing_else(made):
    _, _, shown, model = made
    land = shown.land.copy()
    land[:5] = False
    said = model.predict(replace(shown, land=land))
    wanted = land[None] & ~shown.visible()
    np.testing.assert_array_equal(np.isfinite(said.value), wanted)
    np.testing.assert_array_equal(np.isfinite(said.spread), wanted)
    assert said.value.dtype == said.spread.dtype == np.float32
    assert said.spread[wanted].min() > 0


def test_its_spread_is_about_as_large_as_its_error(made):
    values, away, shown, model = made
    said = model.predict(shown)
    assert 0.7 < np.sqrt(np.mean(((said.value - values) / said.spread)[away] ** 2)) < 1.4


def test_it_learns_nothing_of_what_is_held_out_and_of_the_test_part(made):
    _, away, shown, model = made
    unseen = away | (shown.part == 2)
    other = replace(shown, target=np.where(unseen, np.float32(400), shown.target)).hiding(unseen)
    again = tiles.fitted(BoostingModel(), tiles.whole(other), **OPTIONS)
    alike = tiles.fitted(BoostingModel(), tiles.whole(shown.hiding(unseen)), **OPTIONS)
    said = alike.predict(shown).value
    np.testing.assert_array_equal(again.predict(shown).value, said)
    assert not np.array_equal(model.predict(shown).value, said, equal_nan=True)


def test_the_same_tiles_and_seed_give_the_same_model(made):
    _, _, shown, model = made
    again = tiles.fitted(BoostingModel(), tiles.whole(shown), **OPTIONS)
    np.testing.assert_array_equal(again.predict(shown).value, model.predict(shown).value)
    other = tiles.fitted(BoostingModel(), tiles.whole(shown), seed=1, **OPTIONS)
    assert not np.array_equal(other.predict(shown).value, model.predict(shown).value, equal_nan=True)


def test_it_comes_back_from_its_directory_and_from_a_pickle(made, tmp_path):
    _, _, shown, model = made
    model.save(tmp_path)
    for copy in (registry.load(tmp_path), pickle.loads(pickle.dumps(model))):  # noqa: S301 - just made
        np.testing.assert_array_equal(copy.predict(shown).value, model.predict(shown).value)
        np.testing.assert_array_equal(copy.predict(shown).spread, model.predict(shown).spread)
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "values.skops", "spread.skops"}


def test_the_card_says_how_it_was_learned(made):
    *_, model = made
    parameters = model.card.parameters
    assert 0 < parameters["samples"] <= 8000
    assert 0 < parameters["trees"] <= 25
    assert parameters["options"]["max_samples"] == 8000
    assert 0 < parameters["mae_k"] < 2


def test_samples_come_from_core_cells_of_train_and_validation_evenly_over_tiles(made):
    _, _, shown, _ = made
    tile = replace(tiles.whole(shown), core=(slice(5, 25), slice(0, 20)))
    config = tiles.Train(boosting={"max_samples": 1600})
    rows = _collect(tiles.ListOfTiles([tile, tile]), (Harmonic(), ("t2m",), ()), config)
    assert {len(of.error) for of in rows} == {100}
    assert [of.part for of in rows[:4]] == [0, 1, 2, 3]
    lat = np.concatenate([of.predictors[:, 2] for of in rows])
    assert lat.min() >= np.float32(shown.lat[24])
    assert lat.max() <= np.float32(shown.lat[5])


def test_without_features_parts_and_with_covariates_it_learns_as_well():
    chunk = tiles.chunk(tiles.truth((10, 24, 24)))
    chunk = replace(chunk, covariates={"biome": (np.arange(24 * 24).reshape(24, 24) // 100).astype("int16")})
    model = tiles.fitted(BoostingModel(), tiles.whole(chunk), **OPTIONS)
    assert model.card.covariates == ("biome",)
    said = model.predict(chunk)
    assert np.isfinite(said.value[~chunk.visible()]).all()


@pytest.mark.parametrize("dates", [1, 2])
def test_few_dates_are_enough(dates):
    values = tiles.truth((dates, 32, 32))
    chunk = tiles.with_parts(tiles.chunk(values, features=("t2m",)))
    shown = chunk.hiding(tiles.hidden(chunk))
    said = tiles.fitted(BoostingModel(), tiles.whole(shown), **OPTIONS).predict(shown)
    gaps = ~shown.visible()
    assert np.isfinite(said.spread[gaps]).all()
    assert tiles.mae(said.value, values, gaps) < np.abs(values - values.mean()).mean()


def test_nothing_visible_to_fill_from_gives_no_value(made):
    _, _, shown, model = made
    said = model.predict(shown.hiding(np.ones(shown.shape, bool)))
    assert np.isnan(said.value).all()


def test_nothing_visible_to_learn_from_is_refused(made):
    _, _, shown, _ = made
    blind = tiles.whole(shown.hiding(np.ones(shown.shape, bool)))
    with pytest.raises(DataError, match="no visible value where artificial gaps are cut"):
        tiles.fitted(BoostingModel(), blind)


def test_asked_for_some_dates_it_says_the_same_of_them(made):
    _, _, shown, model = made
    asked = np.arange(len(shown.time)) % 3 == 1
    whole, some = model.predict(shown), model.predict(shown, asked)
    np.testing.assert_array_equal(some.value[asked], whole.value[asked])
    assert np.isnan(some.value[~asked]).all()


def test_folds_have_not_learned_from_their_dates_and_go_with_the_calibration(made, tmp_path):
    _, _, shown, model = made
    wild = np.where((np.arange(len(shown.time)) % PARTS == 1)[:, None, None], shown.target + 9, shown.target)
    other = tiles.fitted(BoostingModel(), tiles.whole(replace(shown, target=wild.astype("float32"))), **OPTIONS)
    assert [of.weights[VALUES] == model.weights[VALUES] for of in model.folds] == [False] * PARTS
    assert other.weights[VALUES] != model.weights[VALUES]
    assert without_part(model, 1) is model.folds[1]
    calibrated = model.calibrate(CALIBRATION)
    assert calibrated.folds == ()
    assert without_part(calibrated, 1) is calibrated
