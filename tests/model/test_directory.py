import dataclasses
import hashlib
import json

import pytest

from lstfill.errors import StoreError
from lstfill.model.directory import read_card, read_model, write_model
from tests.model.test_card import CARD

WEIGHTS = {"model.keras": b"weights", "layers.npz": b"\x00\xff"}


@pytest.fixture
def directory(tmp_path):
    """A whole model; its weight files are opaque to the directory."""
    write_model(CARD, tmp_path / "new" / "model", WEIGHTS)
    return tmp_path / "new" / "model"


def test_card_and_weights_come_back(directory):
    assert read_model(directory) == (CARD, WEIGHTS)
    assert read_card(directory) == CARD
    assert sorted(path.name for path in directory.iterdir()) == ["layers.npz", "model.json", "model.keras"]


def test_a_model_may_have_no_weights(tmp_path):
    write_model(CARD, tmp_path, {})
    assert read_model(tmp_path) == (CARD, {})


def test_the_card_names_each_file_with_its_digest(directory):
    files = json.loads((directory / "model.json").read_text())["files"]
    assert files == {name: hashlib.sha256(content).hexdigest() for name, content in WEIGHTS.items()}


def test_what_else_lies_there_is_none_of_the_models(directory):
    (directory / "loss.png").write_bytes(b"picture")
    assert read_model(directory)[1] == WEIGHTS


def test_the_form_of_the_first_models(directory):
    """They had one weight file, and a key of its own for its digest."""
    edit(directory, files=..., keras_sha256=hashlib.sha256(b"weights").hexdigest(), covariates=..., tiles=...)
    assert read_model(directory) == (CARD, {"model.keras": b"weights"})
    edit(directory, keras_sha256="0" * 64)
    with pytest.raises(StoreError, match="damaged or exchanged"):
        read_model(directory)


def test_nan_never_gets_into_the_file(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_model(dataclasses.replace(CARD, parameters={"intercept": float("nan")}), tmp_path, {})
    assert not (tmp_path / "model.json").exists()


def edit(directory, **changes):
    """Changes keys of the card; an ellipsis takes one away."""
    file = directory / "model.json"
    values = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))


BROKEN = {
    "no directory": (lambda d: d.rename(d.parent / "moved"), "model.json is missing, the directory does not exist"),
    "no card": (lambda d: (d / "model.json").unlink(), r"there is only \['layers.npz', 'model.keras'\]; train first"),
    "not JSON": (lambda d: (d / "model.json").write_text('{"model": '), "is damaged, it is not JSON"),
    "not text": (lambda d: (d / "model.json").write_bytes(b"\xff\x00"), "is damaged, it is not JSON"),
    "another's": (lambda d: (d / "model.json").write_text('{"layers": []}'), "is not a model of lstfill"),
    "a list": (lambda d: (d / "model.json").write_text("[1]"), "is not a model of lstfill"),
    "a later version": (lambda d: edit(d, lstfill_model=99), "is of format 99, this lstfill reads 1"),
    "a key lost": (lambda d: edit(d, scaling=...), "is damaged .KeyError: 'scaling'"),
    "no digests": (lambda d: edit(d, files=...), "is damaged .KeyError: 'files'"),
    "a wrong type": (lambda d: edit(d, features=3), "is damaged .TypeError"),
    "a directory in its place": (
        lambda d: [(d / "model.json").unlink(), (d / "model.json").mkdir()],
        "model.json cannot be read",
    ),
    "no weights": (lambda d: (d / "model.keras").unlink(), "model.keras cannot be read .*: the model is not whole"),
    "other weights": (lambda d: (d / "layers.npz").write_bytes(b"others"), "npz has SHA-256 .* damaged or exchanged"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_directory_that_is_no_whole_model(directory, case):
    spoil, message = BROKEN[case]
    spoil(directory)
    with pytest.raises(StoreError, match=message):
        read_model(directory)


def test_a_save_that_stops_half_way_over_an_old_model_is_noticed(directory):
    """Weights are written first: until the new card is there, the old one does not match them."""
    (directory / "model.keras").write_bytes(b"new weights")
    with pytest.raises(StoreError, match="damaged or exchanged"):
        read_model(directory)
