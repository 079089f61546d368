"""Runs the steps in their images, on this machine's Docker: each in a container that reaches no more than it needs.

A container has a read-only root, no capabilities and the user of this process. It shares the network of this machine,
because the embedded object store listens on loopback, and sees three places: KFP's outputs, the directory of the
tracking database, and, to read, a source that is a path. Credentials reach it as environment variables alone.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstfill.config import Config, Tracking
from lstfill.errors import LstfillError
from lstfill.storage.address import local_path, scheme
from lstfill.tracking.uri import SQLITE, resolve_uri, sqlite_file

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.types import Mount
    from kfp.local import DockerRunner

LABEL = "lstfill.step"
"""Label of every container that is started here; its value is the process that did."""

_PASSED = ("LSTFILL_S3_", "LSTFILL_SOURCE_S3_", "AWS_", "MLFLOW_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# Files of this machine: bundles of certificates are handed in, profiles with credentials are not.
_CERTIFICATES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_PROFILES = ("AWS_CONFIG_FILE", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
_PING_TIMEOUT_S = 10
# Docker's own status for a container that it could not run.
_NOT_RUN = 125
_BY_SIGNAL = 128


def check() -> None:
    """Makes sure that the steps can run in containers, before anything else starts.

    Raises:
        LstfillError: no daemon answers, or an image is not there.
    """
    with _client() as client:
        missing = [image for image in sorted(images()) if not _present(client, image)]
    if missing:
        raise LstfillError(
            f"Docker has no image {', '.join(missing)}: build with 'make images', or pull and tag what was built; "
            "LSTFILL_IMAGE_REGISTRY and LSTFILL_IMAGE_TAG choose others"
        )


def _present(client: DockerClient, image: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def images() -> set[str]:
    """The images that the pipeline's tasks name."""
    from pipelines.pipeline import lstfill

    executors = lstfill.pipeline_spec.deployment_spec["executors"]
    return {executor["container"]["image"] for executor in executors.values()}


@contextlib.contextmanager
def _client() -> Iterator[DockerClient]:
    """A client of the daemon, after a look whether it answers."""
    try:
        import docker
    except ImportError:
        raise LstfillError("running in containers needs the package docker: pip install docker") from None
    where = os.environ.get("DOCKER_HOST") or "its default socket"
    try:
        client = docker.from_env(timeout=_PING_TIMEOUT_S)
        client.ping()
    except docker.errors.DockerException as error:
        raise LstfillError(
            f"no Docker daemon answers at {where} ({_reason(error)}): start it, set DOCKER_HOST, or leave out --docker"
        ) from None
    with contextlib.closing(client):
        yield client


def _reason(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def tracking_uri(config: Config) -> dict[str, str]:
    """The pipeline's parameter for tracking where a relative path has to be made absolute for a container."""
    uri = config.tracking.uri or ""
    return {"tracking_uri": resolve_uri(config.tracking, None)} if uri.startswith(SQLITE) else {}


@contextlib.contextmanager
def runner(config: Config) -> Iterator[DockerRunner]:
    """KFP's runner for containers, for as long as the context lasts.

    Call it when the environment leads to the workspace's store and to the tracking server.

    Raises:
        LstfillError: if the daemon ends meanwhile.
    """
    from docker.errors import DockerException
    from kfp import local

    found = local.DockerRunner(
        network_mode="host",
        environment=environment(),
        mounts=mounts(config),
        user=f"{os.getuid()}:{os.getgid()}",
        group_add=[str(group) for group in os.getgroups()],
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        labels={LABEL: str(os.getpid())},
    )
    try:
        with _true_status():
            yield found
    except DockerException as error:
        raise LstfillError(f"Docker ended the run: {_reason(error)}") from None


def environment() -> dict[str, str]:
    """What a container gets of this process's environment: endpoints, credentials, tracking, proxies."""
    wanted = {*_PROXIES, *(name.lower() for name in _PROXIES), *_CERTIFICATES}
    return {
        name: value
        for name, value in os.environ.items()
        if (name.startswith(_PASSED) or name in wanted) and name not in _PROFILES and value
    }


def mounts(config: Config) -> list[Mount]:
    """Places that a container sees beside KFP's outputs, each under the path it has here.

    Temporary files lie on Docker's disk in a volume that goes with the container; in memory they would count as the
    step's.
    """
    from docker.types import Mount

    read = [path for path in (*_data(config), *_certificates()) if path.exists()]
    places = [Mount(str(path), str(path), type="bind", read_only=True) for path in dict.fromkeys(read)]
    uri = resolve_uri(Tracking(uri=config.tracking.uri), None)
    if uri.startswith(SQLITE):
        directory = str(sqlite_file(uri).parent)
        places.append(Mount(directory, directory, type="bind"))
    return [*places, Mount("/tmp", None, type="volume")]  # noqa: S108 - a place in the container


def _data(config: Config) -> list[Path]:
    """Paths that the configuration names, of the source and of a model to use as it is."""
    named = [config.source.uri, config.train.pretrained or ""]
    return [local_path(uri) for uri in named if uri and not uri.startswith("models:") and scheme(uri) == "file"]


def _certificates() -> list[Path]:
    return [Path(os.environ[name]).absolute() for name in _CERTIFICATES if os.environ.get(name)]


@contextlib.contextmanager
def _true_status() -> Iterator[None]:
    """Has KFP start containers by ``run_container``.

    KFP 2.17.0 lets Docker remove a container as soon as it ends, and takes one that it no longer finds for a success:
    about 1 in 60 of those that fail at once.
    """
    from kfp.local import docker_task_handler as handler

    before = handler.run_docker_container
    handler.run_docker_container = run_container
    try:
        yield
    finally:
        handler.run_docker_container = before


def run_container(client: DockerClient, image: str, command: list[str], volumes: dict[str, Any], **options: Any) -> int:
    """Runs a command in a new container, shows what it says, and removes the container in every ending.

    Args:
        client: of the Docker daemon.
        image: name and tag.
        command: the whole command.
        volumes: places of this machine, as the Docker SDK takes them.
        options: further arguments of the Docker SDK's ``containers.create``.

    Returns:
        The command's exit status; 125 if Docker could not run it.
    """
    from docker.errors import APIError

    made: list[Container] = []
    try:
        with _uninterrupted():
            made.append(client.containers.create(image, command, volumes=volumes, **options))
        return _attended(made[0])
    except APIError as error:
        sys.stdout.write(f"Docker could not run {image}: {error.explanation or error}\n")
        return _NOT_RUN
    finally:
        for container in made:
            container.remove(force=True, v=True)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end: between Docker's making of a container and its answer it would leave one behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            raise KeyboardInterrupt


def _attended(container: Container) -> int:
    # Attached before the start, so that nothing is lost however soon it ends.
    output = container.attach(stream=True)
    container.start()
    text = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for part in output:
        sys.stdout.write(text.decode(part))
    status = int(container.wait()["StatusCode"])
    if status > _BY_SIGNAL:
        sys.stdout.write(f"\n{_killed(container, status - _BY_SIGNAL)}\n")
    return status


def _killed(container: Container, number: int) -> str:
    container.reload()
    if container.attrs["State"].get("OOMKilled"):
        return "the container was ended because it used more memory than it may"
    return f"the container was ended by signal {number}"
