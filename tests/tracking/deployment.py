"""The pod of ``manifests/base/mlflow/server`` on this machine: command and environment as a kubelet makes them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
SERVER = MANIFESTS / "base" / "mlflow" / "server"
POSTGRES = MANIFESTS / "base" / "mlflow" / "postgres"
START_S, STOP_S = 120, 20


def documents(file: Path) -> list[dict]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def pod_of(file: Path) -> dict:
    """The pod template's specification of the one workload in a file."""
    (workload,) = documents(file)
    return workload["spec"]["template"]["spec"]


def settings() -> dict[str, str]:
    """The ConfigMap ``mlflow-server``, read as kustomize reads it."""
    lines = (SERVER / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def environment(container: Mapping, objects: Mapping[tuple[str, str], Mapping[str, str]]) -> dict[str, str]:
    """The container's environment; what a reference names has to be there unless it is optional.

    Args:
        container: its specification.
        objects: data of Secrets and ConfigMaps, by kind and name.
    """
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= objects["ConfigMap", source["configMapRef"]["name"]]
    for entry in container["env"]:
        found |= {entry["name"]: entry["value"]} if "value" in entry else _referred(entry, objects)
    return found


def _referred(entry: Mapping, objects: Mapping[tuple[str, str], Mapping[str, str]]) -> dict[str, str]:
    kinds = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}
    ((kind, reference),) = entry["valueFrom"].items()
    data = objects[kinds[kind], reference["name"]]
    if reference.get("optional") and reference["key"] not in data:
        return {}
    return {entry["name"]: data[reference["key"]]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgres_binaries() -> Path:
    """Directory of initdb and postgres; skips where there is none."""
    there = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(there[-1]) if there else None)
    if found is None:
        pytest.skip("no Postgres on this machine: install Debian's package postgresql, or put initdb on PATH")
    return Path(found).resolve().parent


def _as_postgres() -> list[str]:
    """Postgres refuses to run as root; Debian's package brings an account for it."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("Postgres does not run as root, and there is no setpriv to become another user")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


@contextlib.contextmanager
def postgres(secret: Mapping[str, str], arguments: str) -> Iterator[int]:
    """A fresh database that asks for its password, as the official image makes it from the same Secret.

    Args:
        secret: data of the Secret ``lstfill-mlflow-db``.
        arguments: of initdb, from the manifest.

    Yields:
        Its port on loopback.
    """
    binaries, become, port = postgres_binaries(), _as_postgres(), free_port()
    place = Path(tempfile.mkdtemp(prefix="lstfill-postgres-"))
    try:
        (place / "password").write_text(secret["POSTGRES_PASSWORD"])
        if become:
            for path in (place, place / "password"):
                shutil.chown(path, "postgres")
        account = [f"--username={secret['POSTGRES_USER']}", f"--pwfile={place}/password", *arguments.split()]
        subprocess.run(
            [*become, binaries / "initdb", f"--pgdata={place}/data", "--no-sync", "--encoding=UTF8", *account],
            check=True,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            timeout=START_S,
        )
        command = [*become, binaries / "postgres", "-D", f"{place}/data", "-p", str(port), "-F"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={place}"]
        with _running(command, {"PATH": os.environ["PATH"]}, place, place / "log", signal.SIGINT) as process:
            _await_postgres(binaries, port, process, place / "log")
            _make_database(binaries, port, secret)
            yield port
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _await_postgres(binaries: Path, port: int, process: subprocess.Popen, log: Path) -> None:
    (probe,) = [pod["startupProbe"]["exec"]["command"] for pod in pod_of(POSTGRES / "statefulset.yaml")["containers"]]
    command = [binaries / probe[0], *(part.replace("5432", str(port)) for part in probe[1:])]
    _await(lambda: subprocess.run(command, timeout=10).returncode == 0, process, log)


def _make_database(binaries: Path, port: int, secret: Mapping[str, str]) -> None:
    account = {"PGUSER": secret["POSTGRES_USER"], "PGPASSWORD": secret["POSTGRES_PASSWORD"]}
    subprocess.run(
        [binaries / "createdb", "--host=127.0.0.1", f"--port={port}", secret["POSTGRES_DB"]],
        env={"PATH": os.environ["PATH"], **account},
        check=True,
        timeout=START_S,
    )


@dataclass
class TrackingServer:
    """A running server; ``process`` leads its group."""

    port: int
    log: Path
    environment: dict[str, str] = field(repr=False)
    process: subprocess.Popen = field(repr=False)

    def uri(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}"

    def stop(self) -> None:
        _stop(self.process, signal.SIGTERM)


@contextlib.contextmanager
def tracking_server(
    objects: Mapping[tuple[str, str], Mapping[str, str]], place: Path, *, ready: bool = True, **replaced: str
) -> Iterator[TrackingServer]:
    """Runs the manifest's command in its environment; addresses, ports and the interpreter are this machine's.

    Args:
        objects: data of the Secrets and ConfigMaps that the pod refers to.
        place: stands for the pod's writable /tmp.
        ready: whether to wait until the startup probe is answered.
        replaced: variables with another value than the pod's.
    """
    (container,) = pod_of(SERVER / "deployment.yaml")["containers"]
    port = free_port()
    variables = environment(container, {("ConfigMap", "mlflow-server"): settings(), **objects})
    variables |= {"MLFLOW_AUTH_CONFIG_PATH": str(SERVER / "basic_auth.ini"), **replaced}
    variables |= {"HOME": str(place), "TMPDIR": str(place), "PATH": os.environ["PATH"]}
    variables |= {name: os.environ[name] for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
    command = [*container["command"], *container["args"]]
    assert command[0] == "python"
    given = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=5000": f"--port={port}"}
    assert given.keys() <= set(command)
    command = [sys.executable, *(given.get(part, part) for part in command[1:])]
    with _running(command, variables, place, place / "server.log", signal.SIGTERM) as process:
        server = TrackingServer(port, place / "server.log", variables, process)
        if ready:
            path = container["startupProbe"]["httpGet"]["path"]
            _await(lambda: _answers(server.uri() + path), process, server.log)
        yield server


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
        return answer.status == 200
    return False


def _await(condition, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"it ended with status {process.returncode}: {log.read_text()[-2000:]}")
        if condition():
            return
        time.sleep(0.2)
    pytest.fail(f"it did not answer within {START_S} s: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def _running(command: list, variables: Mapping[str, str], place: Path, log: Path, ending: signal.Signals) -> Iterator:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=variables, cwd=place, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield process
        finally:
            _stop(process, ending)


def _stop(process: subprocess.Popen, ending: signal.Signals) -> None:
    """Ends the process and, if it does not go, its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, ending)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def resident_mib(group: int) -> float:
    """Resident memory of the processes of a group in MiB."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = re.sub(r"^.*\) ", "", stat.read_text(), flags=re.DOTALL).split()
            if int(fields[2]) == group:
                pages += int((stat.parent / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
