"""Small objects beside the cubes: JSON, bytes and directories, in an object store or on disk."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from lstfill.errors import StoreError
from lstfill.storage.address import bucket_and_key, is_s3, local_path, shown
from lstfill.storage.failures import explained
from lstfill.storage.handles import options_of, s3_filesystem


def put_json(uri: str, value: Any) -> None:
    """Writes a value as JSON; NaN is refused, because other readers cannot parse it.

    Raises:
        StoreError: if the place cannot be written.
    """
    put_bytes(uri, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def get_json(uri: str) -> Any:
    """Reads a JSON object.

    Raises:
        StoreError: if it is not there, cannot be read, or is not JSON.
    """
    data = get_bytes(uri)
    with explained(uri):
        return json.loads(data)


def put_bytes(uri: str, data: bytes) -> None:
    """Writes an object, whole or not at all.

    Raises:
        StoreError: if the place cannot be written.
    """
    options = options_of(uri)
    with explained(uri, options, "write"):
        if is_s3(uri):
            s3_filesystem(options).pipe_file(_key(uri), data)
            return
        path = local_path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _beside(path)
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def get_bytes(uri: str) -> bytes:
    """Reads an object.

    Raises:
        StoreError: if it is not there or cannot be read.
    """
    options = options_of(uri)
    with explained(uri, options):
        data: bytes = s3_filesystem(options).cat_file(_key(uri)) if is_s3(uri) else local_path(uri).read_bytes()
        return data


def put_tree(local_dir: Path, uri: str) -> None:
    """Copies a directory; what was at ``uri`` before is replaced, on disk in one move.

    Raises:
        StoreError: if the place cannot be written.
    """
    options = options_of(uri)
    with explained(uri, options, "write"):
        if is_s3(uri):
            remove(uri)
            for path in _files(local_dir):
                s3_filesystem(options).put_file(str(path), f"{_key(uri)}/{path.relative_to(local_dir).as_posix()}")
            return
        target = local_path(uri)
        partial = _beside(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(local_dir, partial)
            remove(uri)
            partial.replace(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def get_tree(uri: str, local_dir: Path) -> None:
    """Copies a directory to this machine, into ``local_dir``, which is made.

    Raises:
        StoreError: if there is nothing, or it cannot be read.
    """
    options = options_of(uri)
    with explained(uri, options):
        local_dir.mkdir(parents=True, exist_ok=True)
        if not is_s3(uri):
            shutil.copytree(local_path(uri), local_dir, dirs_exist_ok=True)
            return
        keys = s3_filesystem(options).find(_key(uri))
        for key in keys:
            target = local_dir / key.removeprefix(_key(uri)).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            s3_filesystem(options).get_file(key, str(target))
    if not keys:
        raise StoreError(f"cannot read {shown(uri)}: there is no such object; check the address")


def exists(uri: str) -> bool:
    """Whether there is an object, or anything below the address.

    Raises:
        StoreError: if that cannot be found out: no access, no connection.
    """
    options = options_of(uri)
    with explained(uri, options):
        if not is_s3(uri):
            return local_path(uri).exists()
        return _any_key(uri, s3_filesystem(options))


def remove(uri: str) -> None:
    """Removes an object, or a directory with all that is in it; nothing there is fine.

    Raises:
        StoreError: if it cannot be removed.
    """
    options = options_of(uri)
    with explained(uri, options, "remove"):
        if is_s3(uri):
            _remove_keys(uri, s3_filesystem(options))
            return
        path = local_path(uri)
        if path.is_dir() and not path.is_symlink():
            # Moved away first: whoever looks meanwhile sees all of it or nothing.
            away = _beside(path)
            path.rename(away)
            shutil.rmtree(away)
        else:
            path.unlink(missing_ok=True)


def _remove_keys(uri: str, filesystem: Any) -> None:
    key = _key(uri)
    if not bucket_and_key(uri)[1]:
        raise StoreError(f"{shown(uri)} is a whole bucket: name a place in it, nothing was removed")
    try:
        filesystem.rm(key, recursive=True)
    except FileNotFoundError:
        return


def _any_key(uri: str, filesystem: Any) -> bool:
    """Asks for names, not for the object: some stores answer for a directory that has become empty."""
    bucket, key = bucket_and_key(uri)
    for prefix in (key, f"{key}/"):
        answer = filesystem.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        names = [item["Key"] for item in answer.get("Contents", [])]
        if any(name == key or name.startswith(f"{key}/") for name in names):
            return True
    return False


def _key(uri: str) -> str:
    return "/".join(part for part in bucket_and_key(uri) if part)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
