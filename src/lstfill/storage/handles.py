"""Zarr stores and file systems behind addresses; connections are kept for the life of the process."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lstfill.storage.address import bucket_and_key, is_s3, local_path, scheme
from lstfill.storage.options import Secret, workspace_options

if TYPE_CHECKING:
    from zarr.abc.store import Store

_DECODED_AT_ONCE = 4


def options_of(uri: str) -> dict[str, Any]:
    """How an address of the workspace is reached: nothing for a path, the environment's options for ``s3://``."""
    return workspace_options() if is_s3(uri) else {}


def zarr_store(
    uri: str, options: dict[str, Any] | None = None, *, read_only: bool = True, refused_is_missing: bool = False
) -> Store:
    """A store of zarr for the address, without looking whether anything is there.

    Args:
        uri: ``s3://``, ``https://`` (reading only) or a path.
        options: arguments of s3fs; by default those of the workspace.
        read_only: refuse writing.
        refused_is_missing: take an object that may not be read for one that is not there.
    """
    from zarr.storage import FsspecStore, LocalStore

    _bound_decoding()
    kind = scheme(uri)
    refused = (PermissionError,) if refused_is_missing else ()
    missing = (FileNotFoundError, IsADirectoryError, NotADirectoryError, *refused)
    if kind == "file":
        return LocalStore(local_path(uri), read_only=read_only)
    if kind == "s3":
        path = "/".join(part for part in bucket_and_key(uri) if part)
        given = workspace_options() if options is None else options
        return FsspecStore(s3_filesystem(given, asynchronous=True), read_only, path, missing)
    from lstfill.storage.retrying import RetryingStore

    return RetryingStore(FsspecStore(_http_filesystem(os.getpid()), True, uri.rstrip("/"), missing))


@functools.lru_cache(maxsize=1)
def _bound_decoding() -> None:
    """Bounds the chunks that are decoded or encoded at once: more than there are cores only hold more memory.

    It counts where chunks are large: one of the Earth System Data Cube is 51 MiB when it is decoded, of which a step
    may need ten dates of 184. Zarr takes its setting when it starts its first thread; a user's own stays.
    """
    import zarr

    if zarr.config.get("threading.max_workers") is None:
        zarr.config.set({"threading.max_workers": min(_DECODED_AT_ONCE, os.cpu_count() or 1)})


def put(store: Store, documents: Mapping[str, Any]) -> None:
    """Writes documents by key into a store, side by side."""
    from zarr.core.sync import sync

    async def writing() -> None:
        await asyncio.gather(*(store.set(key, document) for key, document in documents.items()))

    sync(writing())


def s3_filesystem(options: dict[str, Any], *, asynchronous: bool = False) -> Any:
    """The file system for these options: one a process, so that connections are shared between calls and threads."""
    # The secret is part of the key, but only in memory: JSON writes a Secret as it is.
    return _s3_filesystem(Secret(json.dumps(options, sort_keys=True)), asynchronous, os.getpid())


@functools.lru_cache(maxsize=16)
def _s3_filesystem(options: str, asynchronous: bool, pid: int) -> Any:  # noqa: ARG001
    from lstfill.storage.sessions import S3Files

    given = {name: Secret(value) if isinstance(value, str) else value for name, value in json.loads(options).items()}
    # Reading in parts would ask for the size of every chunk first: twice the requests for nothing. fsspec's own cache
    # is left out because it keeps one instance a thread, each with its own connections.
    return S3Files(**given, asynchronous=asynchronous, max_concurrency=1, skip_instance_cache=True)


@functools.lru_cache(maxsize=2)
def _http_filesystem(pid: int) -> Any:  # noqa: ARG001
    from lstfill.storage.sessions import http_files

    return http_files()
