"""Buckets and workspaces: made if need be, and tried before hours of work rely on them."""

from __future__ import annotations

import functools
import io
import os
import secrets
import shutil
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from lstfill.errors import StoreError
from lstfill.storage.address import bucket_and_key, is_s3, local_path, shown
from lstfill.storage.failures import explained
from lstfill.storage.options import ATTEMPTS, CONNECT_TIMEOUT_S, LOOPBACK, READ_TIMEOUT_S, endpoint, workspace_options

_MIB = 2**20
_FORBIDDEN = ("AccessDenied", "403")


def ensure_bucket(uri: str) -> None:
    """Makes the bucket of an address, or the directory of a path; one that is there is left as it is.

    Raises:
        StoreError: if it cannot be made: no access, no connection, no rights.
    """
    options = workspace_options() if is_s3(uri) else {}
    with explained(uri, options, "make"):
        if not is_s3(uri):
            local_path(uri).mkdir(parents=True, exist_ok=True)
            return
        client, bucket = _client(options), bucket_and_key(uri)[0]
        if not client.bucket_exists(bucket_name=bucket):
            _make(client, bucket)


def probe(uri: str, *, need_mib: int = 64) -> None:
    """Tries that a place can be written, by writing there: a bucket that exists, or a directory that is made.

    Args:
        uri: the workspace or a place in it.
        need_mib: free space that a disk must have, in MiB.

    Raises:
        StoreError: if it cannot be written, or the disk has too little space.
    """
    options = workspace_options() if is_s3(uri) else {}
    with explained(uri, options, "write"):
        if is_s3(uri):
            _probe_bucket(uri, options)
        else:
            _probe_directory(uri, need_mib)


def bucket_is_missing(uri: str, options: dict[str, Any]) -> bool:
    """Whether the bucket of an address is known not to exist; False if that cannot be told."""
    with explained(uri, options):
        return not _exists(_client(options), bucket_and_key(uri)[0])


def _exists(client: Any, bucket: str) -> bool:
    from minio.error import S3Error

    try:
        found: bool = client.bucket_exists(bucket_name=bucket)
    except S3Error as error:
        # Reading objects may be allowed where asking for the bucket is not.
        if error.code in _FORBIDDEN:
            return True
        raise
    return found


def _make(client: Any, bucket: str) -> None:
    from minio.error import S3Error

    try:
        client.make_bucket(bucket_name=bucket)
    except S3Error as error:
        # Another step may have been quicker.
        if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise


def _probe_bucket(uri: str, options: dict[str, Any]) -> None:
    client, (bucket, key) = _client(options), bucket_and_key(uri)
    if not _exists(client, bucket):
        raise StoreError(
            f"cannot write {shown(uri)}: there is no bucket {bucket!r} at {endpoint(options)}; "
            "make it, or check the address"
        )
    name = "/".join(part for part in (key, f".probe-{secrets.token_hex(4)}") if part)
    client.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(b"probe"), length=5)
    client.remove_object(bucket_name=bucket, object_name=name)


def _probe_directory(uri: str, need_mib: int) -> None:
    path = local_path(uri)
    path.mkdir(parents=True, exist_ok=True)
    trial = path / f".probe-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        trial.write_bytes(b"probe")
    finally:
        trial.unlink(missing_ok=True)
    free = shutil.disk_usage(path).free // _MIB
    if free < need_mib:
        raise StoreError(
            f"cannot write {path}: {free} MiB are free and {need_mib} MiB are needed; free some space, "
            "or choose another workspace"
        )


def _client(options: dict[str, Any]) -> Any:
    """A MinIO client with the same endpoint, keys and patience as s3fs has."""
    import urllib3
    from minio import Minio

    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
    retries = urllib3.Retry(total=ATTEMPTS - 1, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504])
    parts = urlsplit(options.get("endpoint_url") or "https://s3.amazonaws.com")
    key, secret, token = _keys(options)
    return Minio(
        endpoint=parts.netloc,
        access_key=key,
        secret_key=secret,
        session_token=token,
        region=options.get("client_kwargs", {}).get("region_name"),
        secure=parts.scheme == "https",
        http_client=_pool(parts)(timeout=timeout, retries=retries),
    )


def _pool(parts: SplitResult) -> Callable[..., Any]:
    """Connections, through the proxy of the environment where one is set for the host, as s3fs has them."""
    import urllib3

    proxy, host = getproxies().get(parts.scheme), parts.hostname or ""
    if proxy is None or host in LOOPBACK or proxy_bypass(host):
        return urllib3.PoolManager
    return functools.partial(urllib3.ProxyManager, proxy)


def _keys(options: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Access key, secret key and session token; without any in the options, those that botocore finds."""
    if options.get("anon"):
        return (None, None, None)
    if options.get("key"):
        return (options["key"], str(options["secret"]), options.get("token"))
    from botocore.session import get_session  # type: ignore[import-untyped]

    found = get_session().get_credentials()
    if found is None:
        raise StoreError("there are no S3 credentials: set LSTFILL_S3_ACCESS_KEY_ID and LSTFILL_S3_SECRET_ACCESS_KEY")
    frozen = found.get_frozen_credentials()
    return (frozen.access_key, frozen.secret_key, frozen.token)
