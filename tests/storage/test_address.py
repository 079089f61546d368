from pathlib import Path

import pytest

from lstfill.errors import StoreError
from lstfill.storage import address


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [("s3://b/k", "s3"), ("S3://b/k", "s3"), ("https://h/p", "https"), ("http://h", "http"), ("/a/b", "file"),
     ("a b/c", "file"), ("file:///a", "file"), ("./x:y", "file")],
)  # fmt: skip
def test_schemes(uri, scheme):
    assert address.scheme(uri) == scheme
    assert address.is_s3(uri) == (scheme == "s3")


def test_unknown_schemes_are_refused():
    with pytest.raises(StoreError, match="abfs://x has the unknown scheme 'abfs': use s3://, https:// or a path"):
        address.scheme("abfs://x")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [("s3://b/k/l", ("b", "k/l")), ("s3://b", ("b", "")), ("s3://b/", ("b", "")), ("s3://b/k/", ("b", "k"))],
)
def test_buckets_and_keys(uri, expected):
    assert address.bucket_and_key(uri) == expected


def test_a_bucket_is_needed():
    with pytest.raises(StoreError, match="s3:///k names no bucket: write s3://BUCKET/KEY"):
        address.bucket_and_key("s3:///k")


def test_paths(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert address.local_path("~/a") == tmp_path / "a"
    assert address.local_path("a/b") == tmp_path / "a/b"
    assert address.local_path("file:///a%20b/c") == Path("/a b/c")
    with pytest.raises(StoreError, match="is not a path of this machine"):
        address.local_path("s3://b/k")


def test_shown_hides_who_asks():
    assert address.shown("https://me:secret@host/p@q") == "https://host/p@q"
    assert address.shown("s3://b/k@l") == "s3://b/k@l"
    assert address.join("s3://b/", "a", "c") == "s3://b/a/c"
