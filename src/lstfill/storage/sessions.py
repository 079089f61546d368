"""File systems whose connections are closed in good order when the process ends.

Left alone, aiohttp prints "Unclosed client session" below the last line that a user reads.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
from collections.abc import Awaitable, Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any

import aiohttp
from fsspec.implementations.http import HTTPFileSystem
from s3fs import S3FileSystem

from lstfill.storage.options import CONNECT_TIMEOUT_S, READ_TIMEOUT_S

_CLOSE_TIMEOUT_S = 2


class S3Files(S3FileSystem):  # type: ignore[misc]  # s3fs has no types
    """The S3 file system for zarr, used from zarr's event loop; one request an object."""

    retries = 3  # of what botocore does not repeat itself: a body that breaks off, "slow down"

    async def set_session(self, refresh: bool = False, kwargs: Any = None) -> Any:
        """Connects, and sees to it that the connections are closed at exit."""
        is_new = self._s3 is None or refresh
        client = await super().set_session(refresh=refresh, kwargs=kwargs or {})
        if is_new and self.asynchronous:
            _close_at_exit(functools.partial(self._s3creator.__aexit__, None, None, None))
        return client


def http_files() -> Any:
    """A file system over http(s), for zarr; follows the proxy settings of the environment."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
    client = {"timeout": timeout, "trust_env": True}
    return HTTPFileSystem(
        asynchronous=True,
        get_client=_http_client,
        client_kwargs=client,
        use_listings_cache=False,
        skip_instance_cache=True,
    )


async def _http_client(loop: Any = None, **options: Any) -> aiohttp.ClientSession:  # noqa: ARG001
    session = aiohttp.ClientSession(**options)
    _close_at_exit(session.close)
    return session


def _close_at_exit(close: Callable[[], Awaitable[Any]]) -> None:
    """Runs ``close`` in the event loop of now; it must be called from inside it."""
    atexit.register(_close, asyncio.get_running_loop(), close)


def _close(loop: asyncio.AbstractEventLoop, close: Callable[[], Awaitable[Any]]) -> None:
    async def closing() -> None:
        await close()

    if loop.is_running():
        with suppress(FutureTimeoutError, RuntimeError, OSError):
            asyncio.run_coroutine_threadsafe(closing(), loop).result(_CLOSE_TIMEOUT_S)
