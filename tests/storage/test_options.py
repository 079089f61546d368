import json
import pickle

import fsspec.utils
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.config import Source
from lstfill.errors import StoreError
from lstfill.storage.options import Secret, endpoint, scrub, source_environment, source_options, workspace_options

SECRET = "hardly-guessable-0123456789"
WORK = {
    "LSTFILL_S3_ENDPOINT_URL": "http://store:9000/",
    "LSTFILL_S3_ACCESS_KEY_ID": "work-key",
    "LSTFILL_S3_SECRET_ACCESS_KEY": SECRET,
}
AWS = {
    "AWS_ENDPOINT_URL": "http://other:1",
    "AWS_ACCESS_KEY_ID": "aws-key",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
    "AWS_SESSION_TOKEN": "aws-token",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
OWN = {"LSTFILL_SOURCE_S3_ACCESS_KEY_ID": "own-key", "LSTFILL_SOURCE_S3_SECRET_ACCESS_KEY": "own-secret"}


@pytest.fixture
def environment(no_credentials, monkeypatch):
    def put(*families):
        for family in families:
            for name, value in family.items():
                monkeypatch.setenv(name, value)

    return put


def test_our_names_come_before_those_of_aws(environment):
    environment(WORK, AWS)
    options = workspace_options()
    assert (options["key"], options["secret"], options["endpoint_url"]) == ("work-key", SECRET, "http://store:9000")
    assert "token" not in options, "a token of other keys would spoil the signature"


def test_aws_names_stand_in(environment):
    environment(AWS)
    options = workspace_options()
    assert (options["key"], options["secret"], options["token"]) == ("aws-key", "aws-secret", "aws-token")
    assert options["endpoint_url"] == "http://other:1"
    assert options["client_kwargs"] == {"region_name": "eu-central-1"}


def test_without_anything_botocore_searches_on_aws(environment):
    options = workspace_options()
    assert not {"key", "secret", "endpoint_url", "client_kwargs"} & set(options)
    assert endpoint(options) == "AWS"


def test_an_anonymous_source_takes_nothing_from_the_environment(environment):
    environment(WORK, AWS, OWN)
    options = source_options(Source(uri="s3://public/c.zarr", anonymous=True))
    assert options["anon"] is True
    assert not {"key", "secret", "token", "endpoint_url"} & set(options)
    assert options["config_kwargs"]["ignore_configured_endpoint_urls"] is True
    named = source_options(Source(uri="s3://public/c.zarr", anonymous=True, endpoint_url="https://minio:9000"))
    assert named["endpoint_url"] == "https://minio:9000"


def test_a_source_without_endpoint_lies_where_its_own_variable_says(environment, monkeypatch):
    environment(WORK, OWN)
    monkeypatch.setenv("LSTFILL_SOURCE_S3_ENDPOINT_URL", "http://elsewhere:1")
    options = source_options(Source(uri="s3://b/c"))
    assert (options["endpoint_url"], options["key"]) == ("http://elsewhere:1", "own-key")


def test_a_source_on_aws_takes_no_key_and_no_endpoint_of_the_workspace(environment, monkeypatch):
    environment(WORK)
    monkeypatch.setenv("LSTFILL_SOURCE_S3_ENDPOINT_URL", "aws")
    options = source_options(Source(uri="s3://b/c"))
    assert not {"endpoint_url", "key", "secret"} & set(options), "profiles and roles are botocore's to find"
    assert options["config_kwargs"]["ignore_configured_endpoint_urls"]


@pytest.mark.parametrize("families", [(), (AWS,), (WORK,), (WORK, OWN), (WORK, AWS)])
def test_an_embedded_workspace_leaves_the_users_store_reachable(environment, monkeypatch, families):
    """What led to a source before the embedded store took the workspace's names leads there afterwards."""
    environment(*families)
    source = Source(uri="s3://b/c")
    before = source_options(source)
    for name, value in source_environment().items():
        monkeypatch.setenv(name, value)
    environment(WORK | {"LSTFILL_S3_ENDPOINT_URL": "http://127.0.0.1:1", "LSTFILL_S3_ACCESS_KEY_ID": "embedded"})
    after = source_options(source)
    assert [after.get(name) for name in ("endpoint_url", "key", "secret")] == [
        before.get(name) for name in ("endpoint_url", "key", "secret")
    ]


@pytest.mark.parametrize(
    ("families", "endpoint_url", "key", "expected"),
    [
        ((WORK, AWS), None, "work-key", "http://store:9000"),
        ((WORK, AWS), "http://store:9000", "work-key", "http://store:9000"),
        ((WORK, AWS), "https://elsewhere", "aws-key", "https://elsewhere"),
        ((WORK,), "https://elsewhere", "work-key", "https://elsewhere"),
        ((WORK, AWS, OWN), "https://elsewhere", "own-key", "https://elsewhere"),
        ((WORK, AWS, OWN), None, "own-key", "http://store:9000"),
        ((AWS,), None, "aws-key", "http://other:1"),
    ],
)
def test_keys_of_a_signed_source(environment, families, endpoint_url, key, expected):
    environment(*families)
    options = source_options(Source(uri="s3://b/c.zarr", endpoint_url=endpoint_url))
    assert (options["key"], options["endpoint_url"]) == (key, expected)


@pytest.mark.parametrize("absent", ["LSTFILL_S3_ACCESS_KEY_ID", "LSTFILL_S3_SECRET_ACCESS_KEY"])
def test_half_a_pair_of_keys_is_refused(environment, monkeypatch, absent):
    environment(WORK, AWS)
    monkeypatch.delenv(absent)
    with pytest.raises(StoreError, match=f"is set but {absent} is not: set both or none"):
        workspace_options()


@pytest.mark.parametrize(
    ("value", "text"),
    [("store:9000", "is not an address: write http"), ("http://a:b@store", "'http://store' holds a password")],
)
def test_endpoints_that_cannot_be_meant(environment, monkeypatch, value, text):
    monkeypatch.setenv("LSTFILL_S3_ENDPOINT_URL", value)
    with pytest.raises(StoreError, match=text) as caught:
        workspace_options()
    assert "a:b" not in str(caught.value)


def test_patience_is_bounded(environment):
    environment(WORK)
    config = workspace_options()["config_kwargs"]
    assert config["connect_timeout"] * config["retries"]["total_max_attempts"] <= 12
    assert config["read_timeout"] <= 30


def test_a_secret_does_not_show_itself(environment):
    environment(WORK, AWS)
    for options in (workspace_options(), source_options(Source(uri="s3://b/c", endpoint_url="http://x"))):
        for shown in (repr(options), f"{options}", str(sorted(options.items(), key=str))):
            assert SECRET not in shown
            assert "aws-secret" not in shown
            assert "aws-token" not in shown


def test_scrub_takes_secrets_out(environment):
    environment(WORK, AWS)
    assert scrub(f"a {SECRET} b aws-token c") == "a *** b *** c"


def test_a_placeholder_does_not_spoil_messages(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert scrub("cannot be reached") == "cannot be reached"


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_secret_is_a_string_and_tokens_tell_secrets_apart(first, second):
    """fsspec keeps instances by the text of their options: two secrets must not share one."""
    one, two = Secret(first), Secret(second)
    assert one == first
    assert json.loads(json.dumps(one)) == first
    assert pickle.loads(pickle.dumps(one)) == first  # noqa: S301
    assert (fsspec.utils.tokenize(secret=one) == fsspec.utils.tokenize(secret=two)) == (first == second)
