"""Addresses of stores and objects: ``s3://bucket/key``, ``https://host/path`` or a path of this machine."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lstfill.errors import StoreError

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


def scheme(uri: str) -> str:
    """The kind of address: ``s3``, ``http``, ``https`` or ``file`` (a path).

    Raises:
        StoreError: for a scheme that is none of these.
    """
    match = _SCHEME.match(uri)
    found = match.group(1).lower() if match else "file"
    if found not in ("s3", "http", "https", "file"):
        raise StoreError(f"{shown(uri)} has the unknown scheme {found!r}: use s3://, https:// or a path")
    return found


def is_s3(uri: str) -> bool:
    """Whether the address lies in an object store."""
    return scheme(uri) == "s3"


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Parts of an ``s3://bucket/key`` address; the key has no slash at its ends and may be empty.

    Raises:
        StoreError: if there is no bucket.
    """
    bucket, _, key = uri.split("://", 1)[1].partition("/")
    if not bucket:
        raise StoreError(f"{shown(uri)} names no bucket: write s3://BUCKET/KEY")
    return bucket, key.strip("/")


def local_path(uri: str) -> Path:
    """The path behind a path or a ``file://`` address; ``~`` is the home directory.

    Raises:
        StoreError: if the address is not one of this machine.
    """
    if scheme(uri) != "file":
        raise StoreError(f"{shown(uri)} is not a path of this machine")
    return Path(unquote(urlsplit(uri).path) if uri.lower().startswith("file://") else uri).expanduser().absolute()


def join(uri: str, *parts: str) -> str:
    """The address of something below ``uri``."""
    return "/".join([uri.rstrip("/"), *parts])


def shown(uri: str) -> str:
    """The address as messages and logs may show it: without a user name or password before the host."""
    return _USER_INFO.sub("", uri)
