"""Model directories of the workspace and of the registry."""

from __future__ import annotations

import pytest

from lstfill.errors import DataError, StoreError, TrackingError
from lstfill.steps import models
from tests.model.calibrations import CALIBRATION
from tests.steps.chain import FEATURE, TARGET


def load(fitted, address, target=TARGET, features=(FEATURE,)):
    return models.load(address, fitted.tracking, target, features)


def test_a_directory_of_the_workspace(fitted):
    assert load(fitted, fitted.at("model")).card.target == TARGET


def test_a_logged_model_of_the_registry_is_the_same(fitted):
    from lstfill.steps.provenance import origin_of

    address = origin_of(fitted.at("model"))["facts"]["version"]
    assert address.startswith(models.REGISTRY)
    assert models.digest(load(fitted, address)) == models.digest(load(fitted, fitted.at("model")))


def test_a_digest_tells_models_apart(fitted):
    model = load(fitted, fitted.at("model"))
    other = model.calibrate(CALIBRATION)
    assert models.digest(model) != models.digest(other)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("{root}/nowhere", StoreError, r"there is no store at .*nowhere"),
        ("{samples}", StoreError, r"samples\.zarr was written by step preprocess, not train: .* address of the model"),
        ("models:/nothing@alias", TrackingError, "no model is registered as 'nothing'"),
        ("models:/", TrackingError, "no address of a registered model: give models:/NAME@ALIAS"),
    ],
)
def test_what_is_no_model_is_refused(fitted, tmp_path, address, error, message):
    with pytest.raises(error, match=message):
        load(fitted, address.format(root=tmp_path, samples=fitted.at("samples")))


@pytest.mark.parametrize(
    ("target", "features"),
    [("skin_temperature", [FEATURE]), (TARGET, ["air"]), (TARGET, [FEATURE, "elevation"]), (TARGET, [])],
)
def test_a_model_for_other_variables_is_refused_with_both(fitted, target, features):
    with pytest.raises(DataError) as caught:
        load(fitted, fitted.at("model"), target, features)
    for part in (f"made for {TARGET} from {FEATURE}", f"the cube has {target} from {', '.join(features)}"):
        assert part in str(caught.value)
