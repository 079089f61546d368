"""A store that is far away: a proxy on loopback behind which each request takes longer to arrive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

HOST = "127.0.0.1"
_BUFFER_BYTES = 2**16
_BUFFERS = 64  # that a connection may have under way; more wait at the sender


@contextmanager
def delaying_proxy(upstream: str, delay_s: float) -> Iterator[str]:
    """Runs a proxy that passes each byte to a server unchanged, ``delay_s`` after it came; answers pass at once.

    Connections are kept and each has its own delay, so that requests at the same time are delayed together. Nothing is
    rewritten, the header ``Host`` included: signatures of S3 hold.

    Args:
        upstream: ``http://host:port``.
        delay_s: how much later than sent a request arrives, in s.

    Yields:
        ``http://127.0.0.1:port`` of the proxy.

    Raises:
        ValueError: if the server is not reached by plain http.
    """
    parts = urlsplit(upstream)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{upstream!r} cannot be delayed: give http://HOST:PORT")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="delaying-proxy", daemon=True)
    thread.start()
    proxy = _Proxy(parts.hostname, parts.port or 80, delay_s)
    try:
        port = asyncio.run_coroutine_threadsafe(proxy.start(), loop).result()
        yield f"http://{HOST}:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Proxy:
    def __init__(self, host: str, port: int, delay_s: float) -> None:
        self._place = (host, port)
        self._delay_s = delay_s
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        with suppress(OSError, asyncio.CancelledError):
            server, requests = await asyncio.open_connection(*self._place)
            try:
                await asyncio.gather(_pass(client, requests, self._delay_s), _pass(server, answers, 0.0))
            finally:
                requests.close()
        answers.close()


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_s: float) -> None:
    """Passes what comes, each piece ``delay_s`` after it came, and the end of it."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_BUFFERS)
    clock = asyncio.get_running_loop().time

    async def receive() -> None:
        data = b"-"
        while data:
            data = await source.read(_BUFFER_BYTES)
            await under_way.put((clock() + delay_s, data))

    async def send() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - clock()))
            if not data:
                sink.write_eof()
                return
            sink.write(data)
            await sink.drain()

    await asyncio.gather(receive(), send())
