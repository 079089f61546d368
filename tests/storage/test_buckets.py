import shutil
import uuid

import pytest

from lstfill.errors import StoreError
from lstfill.storage import buckets, objects


def test_a_bucket_is_made_once_and_left_alone(s3):
    uri = f"s3://made-{uuid.uuid4().hex[:8]}/runs"
    with pytest.raises(StoreError, match=r"there is no bucket 'made-.*make it, or check the address"):
        buckets.probe(uri)
    buckets.ensure_bucket(uri)
    objects.put_bytes(uri + "/kept", b"x")
    buckets.ensure_bucket(uri)
    buckets.probe(uri)
    assert objects.get_bytes(uri + "/kept") == b"x"
    from lstfill.storage.handles import options_of, s3_filesystem

    assert len(s3_filesystem(options_of(uri)).find(uri)) == 1, "the probe leaves nothing behind"


def test_two_steps_may_make_it_at_once(s3, monkeypatch):
    uri = f"s3://made-{uuid.uuid4().hex[:8]}"
    buckets.ensure_bucket(uri)
    from minio import Minio

    monkeypatch.setattr(Minio, "bucket_exists", lambda *_, **__: False)
    buckets.ensure_bucket(uri)


@pytest.mark.parametrize("use", [buckets.ensure_bucket, buckets.probe])
@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("LSTFILL_S3_SECRET_ACCESS_KEY", "wrong-secret-98765", "no access at the endpoint"),
        ("LSTFILL_S3_ACCESS_KEY_ID", "nobody", "no access at the endpoint"),
        ("LSTFILL_S3_ENDPOINT_URL", "http://127.0.0.1:1", "endpoint http://127.0.0.1:1 cannot be reached"),
        ("LSTFILL_S3_ENDPOINT_URL", "127.0.0.1:1", "is not an address"),
    ],
)
def test_what_can_be_wrong(s3, monkeypatch, use, name, value, text):
    monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=text) as caught:
        use(s3)
    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("use", [buckets.ensure_bucket, buckets.probe])
@pytest.mark.parametrize("bucket", ["x", "Upper_Case", "two..dots"])
def test_names_that_no_bucket_can_have(s3, use, bucket):
    with pytest.raises(
        StoreError, match=r"the address is not valid .*: check the name|there is no bucket 'Upper_Case'"
    ):
        use(f"s3://{bucket}/runs")


def test_without_keys(no_credentials, monkeypatch):
    monkeypatch.setenv("LSTFILL_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match="there are no S3 credentials: set LSTFILL_S3_ACCESS_KEY_ID"):
        buckets.probe("s3://lst")


def test_a_directory_is_made_and_tried(tmp_path):
    buckets.ensure_bucket(f"{tmp_path}/a/b")
    buckets.probe(f"{tmp_path}/a/c")
    assert {p.name for p in (tmp_path / "a").iterdir()} == {"b", "c"}
    assert not list((tmp_path / "a/c").iterdir())


def test_a_directory_that_cannot_be_had(tmp_path):
    (tmp_path / "file").write_text("")
    for use in (buckets.ensure_bucket, buckets.probe):
        with pytest.raises(StoreError, match="a file stands where a directory is needed"):
            use(f"{tmp_path}/file/work")


def test_a_disk_without_space(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 2**40 - 5 * 2**20, 5 * 2**20))
    with pytest.raises(StoreError, match="5 MiB are free and 64 MiB are needed; free some space"):
        buckets.probe(str(tmp_path))
    buckets.probe(str(tmp_path), need_mib=5)
