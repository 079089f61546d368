"""A Docker daemon and the images, where they are; what needs them is skipped elsewhere and says why."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass

import pytest
from docker.errors import DockerException, ImageNotFound

import docker
from components import image

SERVER_IMAGE = f"{image.REGISTRY}lstfill-mlflow:{image.TAG}"
IMAGES = {"light": image.LIGHT_IMAGE, "ml": image.FULL_IMAGE, "mlflow": SERVER_IMAGE}


@pytest.fixture(scope="session")
def daemon():
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except DockerException:
        pytest.skip(f"no Docker daemon answers at {os.environ.get('DOCKER_HOST') or 'its default socket'}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def built(daemon):
    """The images by target, each as the daemon describes it."""
    try:
        return {target: daemon.images.get(name) for target, name in IMAGES.items()}
    except ImageNotFound as error:
        pytest.skip(f"{error.explanation}: make images")


@dataclass
class Shell:
    """Runs commands in containers as a restricted cluster does: any user, a read-only root, no capabilities."""

    client: docker.DockerClient

    def start(self, target: str, command, *, user=10001, **options):
        """A container that runs a command; its ``/tmp`` may be written."""
        given = {
            "user": str(user),
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
