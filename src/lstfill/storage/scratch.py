"""Scratch space: a local directory for what does not fit into memory, gone when the work is done."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lstfill.errors import StoreError

# Stores explain their own disks; what is left inside are temporary files.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for temporary files, removed in every ending.

    Raises:
        StoreError: if the disk it lies on is full or cannot be written.
    """
    directory = ""
    try:
        with tempfile.TemporaryDirectory(prefix="lstfill-") as directory:
            yield Path(directory)
    except (OSError, StoreError) as error:
        failure = _failure(error, directory)
        if failure is None or failure.errno not in _DISK:
            raise
        where = tempfile.gettempdir()
        message = f"cannot write temporary files in {where}: {failure.strerror}; free some, or set TMPDIR"
        raise StoreError(message) from error


def _failure(error: OSError | StoreError, directory: str) -> OSError | None:
    """The failure of the disk behind an error: one that a store has explained, too, if that lies in the directory."""
    if isinstance(error, OSError):
        return error
    cause = error.__cause__
    return cause if isinstance(cause, OSError) and directory in str(error) else None
