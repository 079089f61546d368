"""Aliases against a real registry: who has one, and the reason that stays with a version."""

from __future__ import annotations

import pytest

from lstfill.errors import TrackingError
from lstfill.tracking import Alias

NAME = "lst"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A client of a database with a registered model of three versions."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"
    client = MlflowClient(uri, uri)
    client.create_registered_model(NAME)
    for _ in range(3):
        client.create_model_version(NAME, "nowhere")
    return client, uri


def test_no_version_has_an_alias_that_was_never_given(registry):
    _, uri = registry
    assert Alias(uri, NAME, "nobody").current() is None
    assert Alias(uri, "unknown", "nobody").current() is None


def test_the_alias_moves_and_each_version_keeps_its_reason(registry):
    client, uri = registry
    alias = Alias(uri, NAME, "champion")
    alias.promote("1", "first", {})
    assert alias.current() == "1"
    alias.promote("2", "better", {"p": 0.001})
    assert alias.current() == "2"
    versions = {number: client.get_model_version(NAME, number) for number in ("1", "2")}
    assert {of.tags["gate.champion.reason"] for of in versions.values()} == {"first", "better"}
    assert versions["2"].tags["gate.champion.p"] == "0.001"
    assert versions["2"].description == "champion: promoted. better"


def test_a_refusal_keeps_the_alias_where_it_is_and_its_reason_with_the_version(registry):
    client, uri = registry
    alias = Alias(uri, NAME, "steady")
    alias.promote("1", "first", {})
    alias.refuse("3", "worse by 0.3 K", {"p": 0.9})
    assert alias.current() == "1"
    version = client.get_model_version(NAME, "3")
    assert (version.tags["gate.steady.verdict"], version.tags["gate.steady.p"]) == ("refused", "0.9")
    assert version.description == "steady: refused. worse by 0.3 K"


def test_a_reason_shows_no_password(registry):
    client, uri = registry
    Alias(uri, NAME, "quiet").refuse("3", "not at https://me:secret@there/model", {})
    assert "secret" not in client.get_model_version(NAME, "3").description


def test_a_version_that_is_not_there_is_an_error_in_words(registry):
    _, uri = registry
    with pytest.raises(TrackingError, match="cannot tag version 9 of lst"):
        Alias(uri, NAME, "champion").promote("9", "better", {})
