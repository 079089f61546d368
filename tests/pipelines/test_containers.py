"""What a container is given of this machine, and how one is attended; none of it needs a Docker daemon."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest
from docker.errors import APIError
from kfp.local import docker_task_handler

from lstfill.config import Config, build
from lstfill.errors import LstfillError
from pipelines import containers
from tests import made
from tests.pipelines.conftest import run_pipeline, without_foreign

NOWHERE = "unix:///nowhere/docker.sock"


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    without_foreign(monkeypatch)
    for name in (*containers._CERTIFICATES, *containers._PROXIES, *(name.lower() for name in containers._PROXIES)):
        monkeypatch.delenv(name, raising=False)


def config(uri="s3://lstfill/cube.zarr", **sections):
    return build(Config, made.config(uri, **sections), origin="test")


class TestEnvironment:
    def test_holds_access_to_stores_and_tracking(self, monkeypatch):
        given = {
            "LSTFILL_S3_ENDPOINT_URL": "http://127.0.0.1:1",
            "LSTFILL_S3_SECRET_ACCESS_KEY": "secret",
            "LSTFILL_SOURCE_S3_ENDPOINT_URL": "aws",
            "AWS_ACCESS_KEY_ID": "key",
            "MLFLOW_TRACKING_URI": "sqlite:////w/mlflow.db",
            "HTTPS_PROXY": "http://proxy.example:3128",
            "no_proxy": "127.0.0.1",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        assert containers.environment() == given

    def test_leaves_out_what_belongs_to_this_machine(self, monkeypatch):
        """A path of this machine's Python, or a profile in a file that the container does not see, would mislead."""
        for name in (
            "AWS_PROFILE",
            "AWS_CONFIG_FILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "PYTHONPATH",
            "LSTFILL_DEMO_CUBE",
        ):
            monkeypatch.setenv(name, "/home/me/it")
        assert containers.environment() == {}

    def test_an_empty_variable_is_none(self, monkeypatch):
        monkeypatch.setenv("AWS_SESSION_TOKEN", "")
        assert containers.environment() == {}


def seen(found):
    return {(mount["Target"], mount["Source"], mount["Type"], mount.get("ReadOnly", False)) for mount in found}


TEMPORARY = ("/tmp", None, "volume", False)  # noqa: S108 - a place in the container


class TestMounts:
    @pytest.fixture(autouse=True)
    def server(self, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")

    def test_stores_of_a_network_need_none_but_room_for_temporary_files(self):
        assert seen(containers.mounts(config())) == {TEMPORARY}

    def test_a_source_that_is_a_path_can_be_read_but_not_written(self, tmp_path):
        assert seen(containers.mounts(config(tmp_path))) == {TEMPORARY, (str(tmp_path), str(tmp_path), "bind", True)}

    def test_a_source_that_is_not_there_is_left_to_the_step(self, tmp_path):
        """The step says what is missing; Docker would speak of mounts."""
        assert seen(containers.mounts(config(tmp_path / "no-such.zarr"))) == {TEMPORARY}

    def test_a_model_that_is_a_path_can_be_read(self, tmp_path):
        found = containers.mounts(config(train={"pretrained": str(tmp_path)}))
        assert (str(tmp_path), str(tmp_path), "bind", True) in seen(found)

    def test_a_registered_model_is_no_path(self):
        assert seen(containers.mounts(config(train={"pretrained": "models:/lst@champion"}))) == {TEMPORARY}

    def test_the_directory_of_a_tracking_database_can_be_written(self, monkeypatch, tmp_path):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
        assert (str(tmp_path), str(tmp_path), "bind", False) in seen(containers.mounts(config()))

    def test_certificates_of_this_network_can_be_read(self, monkeypatch, tmp_path):
        bundle = tmp_path / "ca.pem"
        bundle.write_text("")
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        assert seen(containers.mounts(config())) == {TEMPORARY, (str(bundle), str(bundle), "bind", True)}
        assert containers.environment()["SSL_CERT_FILE"] == str(bundle)


class TestTracking:
    def test_a_relative_database_becomes_absolute(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        found = containers.tracking_uri(config(tracking={"uri": "sqlite:///runs.db"}))
        assert found == {"tracking_uri": f"sqlite:///{tmp_path / 'runs.db'}"}

    @pytest.mark.parametrize("uri", [None, "http://127.0.0.1:5000"])
    def test_anything_else_stays(self, uri):
        assert containers.tracking_uri(config(tracking={"uri": uri})) == {}


class TestRunner:
    def test_gives_a_container_nothing_that_it_does_not_need(self, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
        with containers.runner(config()) as runner:
            given = runner.container_run_args
        assert given["read_only"] is True
        assert given["cap_drop"] == ["ALL"]
        assert given["security_opt"] == ["no-new-privileges"]
        assert given["user"] == f"{os.getuid()}:{os.getgid()}"
        assert given["labels"] == {containers.LABEL: str(os.getpid())}
        assert given["environment"] == {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}

    def test_kfp_starts_containers_our_way_and_has_its_own_back(self):
        before = docker_task_handler.run_docker_container
        with containers.runner(config()):
            assert docker_task_handler.run_docker_container is containers.run_container
        with contextlib.suppress(ZeroDivisionError), containers.runner(config()):
            raise ZeroDivisionError
        assert docker_task_handler.run_docker_container is before

    def test_a_daemon_that_ends_is_named(self):
        with pytest.raises(LstfillError, match="Docker ended the run: gone"), containers.runner(config()):
            raise APIError("gone")


class TestImages:
    def test_are_those_of_the_components(self):
        from components import image

        assert containers.images() == {image.LIGHT_IMAGE, image.FULL_IMAGE}


class TestWithoutDaemon:
    @pytest.fixture
    def outcome(self, monkeypatch, tmp_path):
        monkeypatch.setenv("DOCKER_HOST", NOWHERE)
        path = made.write_config(tmp_path / "run.yaml", tmp_path / "no-such.zarr")
        place, summary = tmp_path / "w", tmp_path / "summary.json"
        options = ["--docker", "--workspace", place, "--summary", summary]
        status, said = run_pipeline("run", "--config", path, *options)
        return status, said, place, json.loads(summary.read_text())

    def test_one_message_and_nothing_is_started(self, outcome):
        status, said, place, summary = outcome
        assert status == 1
        assert said.startswith(f"error: no Docker daemon answers at {NOWHERE} (")
        assert "start it, set DOCKER_HOST, or leave out --docker" in said
        assert "Traceback" not in said
        assert not place.exists()
        assert summary["status"] == "failed"
        assert summary["error"]["message"].startswith("no Docker daemon answers")


class Container:
    """A container that says some bytes and ends; it remembers what was done with it."""

    def __init__(self, parts=(), status=0, killed=False, start=None):
        self.parts, self.status, self._start = parts, status, start
        self.attrs = {"State": {"OOMKilled": killed}}
        self.done = []

    def attach(self, stream):
        assert stream
        self.done.append("attach")
        return self._said()

    def _said(self):
        for part in self.parts:
            if isinstance(part, BaseException):
                raise part
            yield part

    def start(self):
        self.done.append("start")
        if self._start:
            raise self._start

    def wait(self):
        return {"StatusCode": self.status}

    def reload(self):
        self.done.append("reload")

    def remove(self, force, v):
        assert force
        assert v
        self.done.append("remove")


def attend(container):
    client = SimpleNamespace(containers=SimpleNamespace(create=lambda *_, **__: container))
    return containers.run_container(client, "image:1", ["true"], {})


class TestContainer:
    @pytest.mark.parametrize("status", [0, 1, 3])
    def test_gives_its_own_status_and_is_removed(self, status):
        container = Container(status=status)
        assert attend(container) == status
        assert container.done == ["attach", "start", "remove"]

    def test_shows_what_it_says_also_where_a_letter_is_cut(self, capsys):
        whole = "−3 °C\n".encode()
        attend(Container([whole[:1], whole[1:6], whole[6:]]))
        assert capsys.readouterr().out == "−3 °C\n"

    def test_bytes_that_are_no_text_do_no_harm(self, capsys):
        attend(Container([b"\xff\n"]))
        assert capsys.readouterr().out == "�\n"

    def test_names_the_signal_that_ended_it(self, capsys):
        assert attend(Container([b"working\n"], status=137)) == 137
        assert capsys.readouterr().out.strip().endswith("the container was ended by signal 9")

    def test_names_a_want_of_memory(self, capsys):
        attend(Container(status=137, killed=True))
        assert "used more memory than it may" in capsys.readouterr().out

    def test_is_removed_when_the_person_who_waits_stops_it(self):
        container = Container([b"working\n", KeyboardInterrupt()])
        with pytest.raises(KeyboardInterrupt):
            attend(container)
        assert container.done == ["attach", "start", "remove"]

    def test_that_cannot_start_is_a_failure_with_the_reason(self, capsys):
        container = Container(start=APIError("400", explanation="no such device"))
        assert attend(container) == containers._NOT_RUN
        assert capsys.readouterr().out == "Docker could not run image:1: no such device\n"
        assert container.done == ["attach", "start", "remove"]

    def test_is_removed_when_docker_answers_after_the_person_stopped_it(self):
        container = Container()
        answered = threading.Event()

        def create(*_, **__):
            time.sleep(0.2)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.2)
            answered.set()
            return container

        client = SimpleNamespace(containers=SimpleNamespace(create=create))
        with pytest.raises(KeyboardInterrupt):
            containers.run_container(client, "image:1", ["true"], {})
        assert answered.is_set()
        assert container.done == ["remove"]
