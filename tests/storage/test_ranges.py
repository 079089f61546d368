"""Parts of an object."""

from __future__ import annotations

import pytest

from lstfill.errors import StoreError
from lstfill.storage import objects
from lstfill.storage.ranges import get_range


def test_a_range_of_a_file(tmp_path):
    uri = str(tmp_path / "piece.bin")
    objects.put_bytes(uri, bytes(range(100)))
    assert get_range(uri, 10, 13) == bytes([10, 11, 12])
    assert get_range(uri, 0, 100) == bytes(range(100))


def test_a_range_of_an_object(s3):
    uri = f"{s3}/piece.bin"
    objects.put_bytes(uri, bytes(range(100)))
    assert get_range(uri, 10, 13) == bytes([10, 11, 12])
    assert get_range(uri, 0, 100) == bytes(range(100))


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(StoreError, match="piece"):
        get_range(str(tmp_path / "piece.bin"), 0, 1)
