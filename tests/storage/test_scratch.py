import errno
import os

import pytest

from lstfill.errors import StoreError
from lstfill.storage import objects
from lstfill.storage.scratch import scratch_directory


def test_is_there_and_goes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_directory() as directory:
        (directory / "part").write_bytes(b"x")
        assert directory.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_goes_after_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ZeroDivisionError), scratch_directory():
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_nothing_is_named_with_the_remedy(tmp_path, monkeypatch, number):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    message = f"cannot write temporary files in {tmp_path}: {os.strerror(number)}; free some, or set TMPDIR"
    with pytest.raises(StoreError, match=message), scratch_directory():
        raise OSError(number, os.strerror(number))


def test_an_object_written_there_is_a_temporary_file_too_and_one_elsewhere_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr("pathlib.Path.write_bytes", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(StoreError, match=f"temporary files in {tmp_path}.*set TMPDIR"), scratch_directory() as place:
        objects.put_bytes(f"{place}/piece.bin", b"x")
    with pytest.raises(StoreError, match="choose another workspace"), scratch_directory():
        objects.put_bytes(f"{tmp_path}/output/report.html", b"x")


def test_other_failures_pass_as_they_are():
    with pytest.raises(ConnectionError), scratch_directory():
        raise ConnectionError
