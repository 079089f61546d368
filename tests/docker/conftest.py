"""A Docker daemon and the images, where they are; what needs them is skipped elsewhere and says why."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from components import image

SERVER_IMAGE = f"{image.REGISTRY}lstfill-mlflow:{image.TAG}"
IMAGES = {"light": image.LIGHT_IMAGE, "ml": image.FULL_IMAGE, "mlflow": SERVER_IMAGE}


@pytest.fixture(scope="session")
def daemon():
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except DockerException:
        _missing(f"no Docker daemon answers at {os.environ.get('DOCKER_HOST') or 'its default socket'}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def built(daemon):
    """The images by target, each as the daemon describes it."""
    try:
        found = {target: daemon.images.get(name) for target, name in IMAGES.items()}
    except ImageNotFound as error:
        _missing(f"{error.explanation}: make images")
    for target in ("light", "ml"):
        if _package(daemon, IMAGES[target]) != _sources():
            _missing(f"{IMAGES[target]} was built from other sources than these: make images")
    return found


def _missing(reason: str):
    """Skips; where the images have just been built, what is missing is a failure."""
    (pytest.fail if os.environ.get("LSTFILL_IMAGES_REQUIRED") else pytest.skip)(reason)


def _package(daemon, name: str) -> str:
    """Digest of the package in an image."""
    digest = (
        "cd /opt/venv/lib/python3*/site-packages/lstfill && find . -name '*.py' | LC_ALL=C sort | xargs cat | sha256sum"
    )
    return daemon.containers.run(name, ["sh", "-c", digest], remove=True, network_mode="none").decode().split()[0]


def _sources() -> str:
    root = Path(__file__).resolve().parents[2] / "src" / "lstfill"
    paths = sorted(root.rglob("*.py"), key=lambda path: os.fsencode(path.relative_to(root)))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


@dataclass
class Shell:
    """Runs commands in containers as a restricted cluster does: any user, a read-only root, no capabilities."""

    client: docker.DockerClient

    def start(self, target: str, command, *, user=10001, **options):
        """A container that runs a command; its ``/tmp`` may be written."""
        given = {
            "user": str(user),
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {"/tmp": "mode=1777"},  # noqa: S108 - a place in the container
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "name": f"lstfill-test-{uuid.uuid4().hex[:8]}",
        }
        return self.client.containers.run(IMAGES[target], command, detach=True, **{**given, **options})

    def __call__(self, target: str, command, **options) -> tuple[int, str]:
        """Runs a command to its end: its status, and all it said."""
        container = self.start(target, command, **options)
        try:
            status = container.wait(timeout=180)["StatusCode"]
            return status, container.logs().decode()
        finally:
            container.remove(force=True, v=True)


@pytest.fixture
def shell(built, daemon):
    return Shell(daemon)
