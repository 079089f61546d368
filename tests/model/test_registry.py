import dataclasses
import typing

import pytest

from lstfill import model
from lstfill.config import Train
from lstfill.errors import ConfigError, StoreError
from tests.model.test_card import CARD


def test_every_model_of_the_configuration_can_be_created():
    assert sorted(typing.get_args(Train.model_fields["model"].annotation)) == model.names()
    for name in model.names():
        assert model.create(name).name == name


def test_created_models_share_nothing():
    assert model.create("linear") is not model.create("linear")


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ConfigError, match="no model 'forest', known: boosting, ensemble, harmonic, linear, local, mlp"):
        model.create("forest")


def test_load_finds_the_class_by_the_card(tmp_path):
    saved = model.LinearModel(CARD, b"weights")
    saved.save(tmp_path)
    assert model.load(tmp_path) == saved


def test_a_model_of_another_version(tmp_path):
    model.LinearModel(dataclasses.replace(CARD, model="forest"), b"weights").save(tmp_path)
    with pytest.raises(
        StoreError, match="holds a model 'forest', this lstfill knows: boosting, ensemble, harmonic, linear"
    ):
        model.load(tmp_path)
