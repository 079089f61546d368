import dataclasses
import json

import pytest

from lstfill.errors import StoreError
from lstfill.model import Card, LinearModel
from lstfill.model.card import read_card, write_card
from tests.model.test_spread import SPREAD
from tests.model.views import view

PARAMETERS = {"slope": {"t2m": 1.12, "height": -0.0065}, "intercept": -30.0}
CARD = dataclasses.replace(
    Card.of("linear", view(names=("t2m", "height")), PARAMETERS), spread=SPREAD, impute={"height": 812.5}
)


@pytest.fixture
def directory(tmp_path):
    """A whole model; its weight file is opaque to the card."""
    LinearModel(CARD, b"weights").save(tmp_path / "model")
    return tmp_path / "model"


def test_round_trip_through_json(tmp_path):
    write_card(CARD, tmp_path, "digest")
    assert read_card(tmp_path) == (CARD, "digest")
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


def test_a_person_can_read_it(directory):
    values = json.loads((directory / "model.json").read_text())
    assert values["model"] == "linear"
    assert values["target"] == {"name": "lst", "units": "K"}
    assert [of["name"] for of in values["features"]] == ["t2m", "height"]
    assert values["features"][1]["units"] == "m"
    assert values["features"][1]["imputed_with"] == 812.5
    assert values["features"][0]["imputed_with"] is None
    assert values["features"][0]["range"] == list(CARD.ranges["t2m"])
    assert values["parameters"] == PARAMETERS
    assert values["scaling"]["lst"].keys() == {"offset", "scale"}
    assert values["spread"]["std_k"][0] is None
    assert values["provenance"]["config_hash"] == "abc"
    assert len((directory / "model.json").read_text().splitlines()) > 30


def test_nan_never_gets_into_the_file(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_card(dataclasses.replace(CARD, parameters={"intercept": float("nan")}), tmp_path, "")
    assert not (tmp_path / "model.json").exists()


def edit(directory, **changes):
    file = directory / "model.json"
    values = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))


BROKEN = {
    "no directory": (lambda d: d.rename(d.parent / "moved"), "model.json is missing, the directory does not exist"),
    "no card": (lambda d: (d / "model.json").unlink(), r"there is only \['model.keras'\]; train first"),
    "not JSON": (lambda d: (d / "model.json").write_text('{"model": '), "is damaged, it is not JSON"),
    "not text": (lambda d: (d / "model.json").write_bytes(b"\xff\x00"), "is damaged, it is not JSON"),
    "another's": (lambda d: (d / "model.json").write_text('{"layers": []}'), "is not a model of lstfill"),
    "a list": (lambda d: (d / "model.json").write_text("[1]"), "is not a model of lstfill"),
    "a later version": (lambda d: edit(d, lstfill_model=99), "is of format 99, this lstfill reads 1"),
    "a key lost": (lambda d: edit(d, scaling=...), "is damaged .KeyError: 'scaling'"),
    "a wrong type": (lambda d: edit(d, features=3), "is damaged .TypeError"),
    "a directory in its place": (
        lambda d: [(d / "model.json").unlink(), (d / "model.json").mkdir()],
        "model.json cannot be read",
    ),
    "no weights": (lambda d: (d / "model.keras").unlink(), "model.keras cannot be read .*: the model is not whole"),
    "other weights": (lambda d: (d / "model.keras").write_bytes(b"others"), "SHA-256 .* damaged or exchanged"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_directory_that_is_no_whole_model(directory, case):
    spoil, message = BROKEN[case]
    spoil(directory)
    with pytest.raises(StoreError, match=message):
        LinearModel.load(directory)


def test_a_save_that_stops_half_way_over_an_old_model_is_noticed(directory):
    """Weights are written first: until the new card is there, the old one does not match them."""
    (directory / "model.keras").write_bytes(b"new weights")
    with pytest.raises(StoreError, match="damaged or exchanged"):
        LinearModel.load(directory)
