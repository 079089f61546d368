import dataclasses
import json

import pytest

from lstfill.model import Card
from tests.model.calibrations import CALIBRATION
from tests.model.views import view

PARAMETERS = {"slope": {"t2m": 1.12, "height": -0.0065}, "intercept": -30.0}
CARD = dataclasses.replace(
    Card.of("linear", view(names=("t2m", "height")), PARAMETERS), calibration=CALIBRATION, impute={"height": 812.5}
)
TILED = dataclasses.replace(CARD, model="local", covariates=("elevation",), tiles={"side": 96, "overlap": 16})


def through_json(card):
    return Card.from_dict(json.loads(json.dumps(card.to_dict())))


@pytest.mark.parametrize("card", [CARD, TILED, dataclasses.replace(CARD, calibration=None)])
def test_round_trip_through_json(card):
    assert through_json(card) == card


def test_a_person_can_read_it():
    values = TILED.to_dict()
    assert values["model"] == "local"
    assert values["target"] == {"name": "lst", "units": "K"}
    assert [of["name"] for of in values["features"]] == ["t2m", "height"]
    assert values["features"][1]["units"] == "m"
    assert values["features"][1]["imputed_with"] == 812.5
    assert values["features"][0]["imputed_with"] is None
    assert values["features"][0]["range"] == list(CARD.ranges["t2m"])
    assert values["parameters"] == PARAMETERS
    assert values["scaling"]["lst"].keys() == {"offset", "scale"}
    assert values["calibration"]["factors"]["latitude"][0] == 1.0
    assert values["covariates"] == ["elevation"]
    assert values["tiles"] == {"side": 96, "overlap": 16}
    assert values["provenance"]["config_hash"] == "abc"


def test_a_card_of_before_there_were_tiles():
    values = CARD.to_dict()
    del values["covariates"], values["tiles"]
    assert Card.from_dict(values) == CARD


def test_covariates_are_those_of_models_that_see_tiles():
    of = dataclasses.replace(view(), covariates=("elevation",))
    assert Card.of("mlp", of, {}).covariates == ()
    assert Card.of("local", of, {}, {"side": 96, "overlap": 16}).covariates == ("elevation",)


def test_it_is_the_card_of_the_view():
    of = view(names=("t2m", "height"))
    card = Card.of("linear", of, PARAMETERS)
    assert (card.target, card.features, card.scaling) == (of.target, of.features, of.scaling)
    assert (dict(card.units), dict(card.ranges)) == (of.units, of.ranges)
    assert (card.provenance, card.calibration, card.tiles) == (of.provenance, None, None)
    assert card.with_calibration(CALIBRATION) == dataclasses.replace(card, calibration=CALIBRATION)
