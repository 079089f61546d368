"""What tests share: one real object store a session, and the real cubes where they are."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from lstfill.errors import StoreError
from lstfill.storage.embedded import embedded_store

_CREDENTIALS = ("LSTFILL_S3_", "LSTFILL_SOURCE_S3_", "AWS_")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Keeps what shares a run or a fitted model on one worker; the rest goes by file."""
    sharing = {item.path for item in items if "ran" in item.fixturenames}
    for item in items:
        folder = item.path.parent.name
        shared = "ran" if item.path in sharing else folder if folder in ("steps", "bad_input") else None
        item.add_marker(pytest.mark.xdist_group(shared or item.path.stem))


@pytest.fixture(scope="session")
def object_store(tmp_path_factory):
    """A running SeaweedFS with the bucket ``lst``, for the whole session."""
    try:
        running = embedded_store(tmp_path_factory.mktemp("store"), "lst")
        store = running.__enter__()
    except StoreError as error:
        if "not installed" not in str(error):
            raise
        pytest.skip(str(error))
    yield store
    running.__exit__(None, None, None)


@pytest.fixture
def no_credentials(monkeypatch):
    """An environment without any endpoint, key, profile or role."""
    for name in list(os.environ):
        if name.startswith(_CREDENTIALS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def s3(object_store, no_credentials, monkeypatch):
    """The environment leads to the object store; gives a fresh place in it, ``s3://lst/...``."""
    for name, value in object_store.env.items():
        monkeypatch.setenv(name, value)
    return f"{object_store.uri}/{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def shared_data():
    """Directory of the real cubes."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("LSTFILL_SHARED_DATA") or beside)
    if not path.is_dir():
        pytest.skip(f"the real cubes are not at {path}: set LSTFILL_SHARED_DATA")
    return path
