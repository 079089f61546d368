"""A Zarr store over http(s) that repeats what a busy server or a broken connection spoiled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
from zarr.storage import WrapperStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

_WAITS_S = (0.3, 1.0)
_REFUSED = (401, 403)
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


class RetryingStore(WrapperStore[Any]):  # type: ignore[misc]  # zarr is not seen by mypy
    """Reads as the wrapped store does, up to three times; fsspec's http file system never repeats."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Reads one object, or None if there is none.

        Raises:
            PermissionError: if the server refuses, and that does not count as missing.
        """
        for wait in (*_WAITS_S, None):
            try:
                return await super().get(key, prototype, byte_range)
            except (aiohttp.ClientError, TimeoutError) as error:
                if getattr(error, "status", None) in _REFUSED:
                    if PermissionError in self._store.allowed_exceptions:
                        return None
                    raise PermissionError(str(error)) from error
                if wait is None or not _passes(error):
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names below a prefix; none where the server shows no lists, as most do not."""
        try:
            async for name in super().list_dir(prefix):
                yield name
        except aiohttp.ClientResponseError:
            return


def _passes(error: Exception) -> bool:
    """Whether the failure may be gone the next time: not for an answer like 403, nor for a host that does not exist."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status == _TOO_MANY_REQUESTS or error.status >= _SERVER_ERROR
    return not isinstance(error, aiohttp.ClientConnectorDNSError | aiohttp.InvalidURL)
