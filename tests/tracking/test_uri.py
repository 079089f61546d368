"""How long a server that does not answer is waited for."""

from __future__ import annotations

import http.server
import threading
import time

import pytest

from lstfill.errors import TrackingError
from lstfill.tracking.uri import probe
from tests.tracking.deployment import free_port


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_server_that_restarts_is_waited_for():
    port, servers = free_port(), []

    def start():
        time.sleep(1.5)
        servers.append(http.server.HTTPServer(("127.0.0.1", port), Healthy))
        servers[0].handle_request()

    late = threading.Thread(target=start)
    late.start()
    try:
        probe(f"http://127.0.0.1:{port}", patience_s=30)
    finally:
        late.join(10)
        servers[0].server_close()


def test_without_patience_it_is_tried_twice():
    started = time.monotonic()
    with pytest.raises(TrackingError, match=r"tried 2 times\); start it"):
        probe(f"http://127.0.0.1:{free_port()}")
    assert time.monotonic() - started < 10


def test_patience_ends():
    started = time.monotonic()
    with pytest.raises(TrackingError, match=r"tried [34] times"):
        probe(f"http://127.0.0.1:{free_port()}", patience_s=2.0)
    assert 2 <= time.monotonic() - started < 12
