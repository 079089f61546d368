"""The delaying proxy: late, together, unchanged."""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from benchmarks.delaying import delaying_proxy
from lstfill.storage import objects

TOGETHER = 8


class Echo(BaseHTTPRequestHandler):
    """Answers with what was sent; ``/together`` once as many requests are there as shall come together."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        self.server.connections.append(self.client_address)
        super().setup()

    def do_GET(self):
        if self.path == "/together":
            self.server.barrier.wait(timeout=30)
        self._answer(self.headers["Host"].encode())

    def do_PUT(self):
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def echo():
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        server.connections, server.barrier = [], threading.Barrier(TOGETHER)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def address(server):
    return "http://{}:{}".format(*server.server_address)


def status(url, path):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("GET", path)
    answered = connection.getresponse().status
    connection.close()
    return answered


def test_requests_on_one_connection_are_passed_unchanged_whatever_their_size(echo):
    sent = [b"", b"a", bytes(range(256)) * 40_000]
    with delaying_proxy(address(echo), 0.001) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        for body in sent:
            connection.request("PUT", "/any", body=body)
            assert connection.getresponse().read() == body
        connection.request("GET", "/host")
        assert connection.getresponse().read().decode() == urlsplit(url).netloc
        connection.close()
    assert len(echo.connections) == 1


def test_requests_are_delayed_together_and_not_one_after_the_other(echo):
    # None is answered before all are there.
    with delaying_proxy(address(echo), 0.01) as url, ThreadPoolExecutor(TOGETHER) as pool:
        answers = pool.map(lambda _: status(url, "/together"), range(TOGETHER))
        assert list(answers) == [200] * TOGETHER


def test_no_request_arrives_sooner_than_the_delay(echo):
    with delaying_proxy(address(echo), 0.2) as url:
        begin = time.monotonic()
        assert status(url, "/") == 200
        assert time.monotonic() - begin >= 0.2  # how much more depends on the machine


def test_a_connection_that_is_open_does_not_keep_the_proxy_from_ending(echo):
    with delaying_proxy(address(echo), 0.0) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        connection.request("GET", "/")
        connection.getresponse().read()
    connection.close()


def test_signed_requests_are_understood_by_a_real_store(s3, object_store, monkeypatch):
    with delaying_proxy(object_store.endpoint_url, 0.005) as url:
        monkeypatch.setenv("LSTFILL_S3_ENDPOINT_URL", url)
        objects.put_bytes(f"{s3}/any", b"far away")
        assert objects.get_bytes(f"{s3}/any") == b"far away"


def test_an_address_that_is_not_plain_http_is_refused():
    with pytest.raises(ValueError, match="give http://HOST:PORT"), delaying_proxy("https://localhost", 0.1):
        pass
