"""The model local as a model: fitted, asked, saved and loaded."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from lstfill.model import registry
from lstfill.model.base import Reach
from lstfill.model.local import LocalModel
from tests.model import tiles


@pytest.fixture(scope="module")
def made():
    return tiles.chunk(tiles.truth((8, 30, 30)), features=("t2m",))


@pytest.fixture(scope="module")
def model(made):
    return tiles.fitted(LocalModel(), tiles.whole(made))


def test_it_is_registered_under_its_name(model):
    assert isinstance(registry.create("local"), LocalModel)
    assert (model.name, model.reach, model.fits_samples) == ("local", Reach.TILE, False)


def test_a_fit_has_no_epochs_and_keeps_its_options(made):
    model = LocalModel()
    assert model.fit(tiles.view(tiles.whole(made)), tiles.Train(local={"dates": 5}), tiles.no_network) is None
    assert model.options()["dates"] == 5
    assert model.weights == {}


def test_it_predicts_what_is_not_visible_and_nothing_else(made, model):
    prediction = model.predict(made)
    visible = made.visible()
    for array in (prediction.value, prediction.spread):
        assert array.dtype == np.float32
        assert np.isfinite(array[~visible]).all()
        assert np.isnan(array[visible]).all()


def test_a_loaded_or_copied_one_gives_the_same_bits(made, model, tmp_path):
    expected = model.predict(made).value
    model.save(tmp_path)
    for other in (registry.load(tmp_path), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict(made).value, expected)


def test_what_the_model_was_not_made_for_is_not_looked_at(made, model):
    more = replace(made, features={**made.features, "odd": made.features["t2m"] ** 2})
    np.testing.assert_array_equal(model.predict(more).value, model.predict(made).value)


def test_a_hidden_value_has_no_part_in_its_prediction(made, model):
    hidden = tiles.hidden(made)
    other = replace(made, target=np.where(hidden, np.float32(500), made.target))
    np.testing.assert_array_equal(model.predict(made.hiding(hidden)).value, model.predict(other.hiding(hidden)).value)


def test_asked_for_some_dates_it_says_the_same_of_them(made, model):
    asked = np.arange(8) % 3 == 1
    whole, some = model.predict(made), model.predict(made, asked)
    np.testing.assert_array_equal(some.value[asked], whole.value[asked])
    np.testing.assert_array_equal(some.spread[asked], whole.spread[asked])
    assert np.isnan(some.value[~asked]).all()
