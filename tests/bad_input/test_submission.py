"""What users get wrong on the way to Kubeflow: status 1, one message, no run, no pipeline and no schedule made."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import access, cli
from tests import made
from tests.pipelines.kfp_api import Api, alone, serving
from tests.pipelines.kubernetes_api import Handler, Kubernetes

RUN = ["--workspace", "s3://b/w", "-p", "source_uri=s3://b/c.zarr"]
WAIT = ["--wait", "--poll", "0.02", "--grace", "0.1", "--timeout", "20"]
SECRET = "the-token-of-yesterday"


@dataclass
class Given:
    """Where nothing is wrong yet."""

    api: Api
    kube: Kubernetes
    tmp: Path
    patch: pytest.MonkeyPatch

    def file(self, name: str, content: Any) -> str:
        path = self.tmp / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return str(path)

    def pending(self, fill: Callable[[], None]) -> list[str]:
        """A run that never starts; the cluster knows why."""
        self.api.states, take = ["PENDING"], self.kube.answer

        def answer(path, query):
            if not self.kube.run_id:
                self.kube.run_id = next(iter(self.api.runs))
                fill()
            return take(path, query)

        self.kube.answer = answer  # type: ignore[method-assign]
        return ["submit", *RUN, *WAIT]


@pytest.fixture
def given(monkeypatch, tmp_path):
    alone(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for name in ("PROJECTED", "SERVICE_ACCOUNT"):
        monkeypatch.setattr(access, name, tmp_path / "none")
    with serving(Api()) as api, serving(Kubernetes(), Handler) as kube:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", api.host)
        monkeypatch.setenv("KUBECONFIG", kube.kubeconfig(tmp_path / "kubeconfig"))
        yield Given(api, kube, tmp_path, monkeypatch)


CASES: dict[str, tuple[Callable[[Given], list[str]], str]] = {}
STARTED: set[str] = set()


def case(message: str, *, started: bool = False):
    """Registers a case: a function to the arguments, what the message must say, and whether a run exists by then."""

    def register(function):
        name = function.__name__.replace("_", " ")
        CASES[name] = (function, message)
        if started:
            STARTED.add(name)
        return function

    return register


@case(r"the pipeline has no parameter 'train_epoch'; close to it: train_epochs")
def unknown_parameter(_):
    return ["submit", *RUN, "-p", "train_epoch=3"]


@case(r"the pipeline has no parameter 'xxxxx'; it has: workspace, source_uri")
def parameter_of_another_pipeline(_):
    return ["schedule", *RUN, "-p", "xxxxx=red", "--interval", "60"]


@case(r"parameter train_epochs takes a whole number, got 'many'")
def wrong_type(_):
    return ["submit", *RUN, "-p", "train_epochs=many"]


@case(r"parameter split_block takes a mapping in JSON, like .*, got 'lat:2'")
def mapping_that_is_no_json(_):
    return ["submit", *RUN, "-p", "split_block=lat:2"]


@case(r"parameter train_learning_rate takes a finite number, got 'nan'")
def not_a_number(_):
    return ["submit", *RUN, "-p", "train_learning_rate=nan"]


@case(r"parameters: train.epochs: .*, got 0")
def value_out_of_its_range(_):
    return ["submit", *RUN, "-p", "train_epochs=0"]


@case(r"parameter 'train_epochs' has no value: write it as name=value")
def parameter_without_a_value(_):
    return ["submit", *RUN, "-p", "train_epochs"]


@case(r"cannot read the configuration nowhere.yaml: No such file")
def no_configuration(_):
    return ["submit", "--config", "nowhere.yaml", "--workspace", "s3://b/w"]


@case(r"unknown key 'train.epoch'; known there: model")
def unknown_key_of_the_configuration(given):
    config = made.write_config(given.tmp / "c.yaml", "s3://b/c.zarr", train={"epoch": 3})
    return ["submit", "--config", str(config), "--workspace", "s3://b/w"]


@case(r"source.uri '/data/cube.zarr' is a path of this machine, which pods do not see")
def cube_on_the_own_disk(given):
    config = made.write_config(given.tmp / "c.yaml", "/data/cube.zarr")
    return ["submit", "--config", str(config), "--workspace", "s3://b/w"]


@case(r"the workspace is 'workspace', and pods need an object store: --workspace s3://bucket/prefix")
def workspace_on_the_own_disk(_):
    return ["submit", "--workspace", "workspace", "-p", "source_uri=s3://b/c.zarr"]


@case(r"there is no address of Kubeflow: give --host or set KF_PIPELINES_ENDPOINT")
def no_host(given):
    given.patch.delenv("KF_PIPELINES_ENDPOINT")
    return ["upload"]


@case(r"--host 'kubeflow:8080' is no address: write it like http://")
def host_without_a_scheme(_):
    return ["upload", "--host", "kubeflow:8080"]


@case(r"Kubeflow at http://127.0.0.1:\d+ cannot be reached: the connection is refused. Check --host")
def unreachable_host(_):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return ["submit", *RUN, "--host", f"http://127.0.0.1:{port}"]


@case(r"answers with a page and not as Kubeflow Pipelines: a login is in front of it")
def login_page(given):
    given.api.refuse("*", "*", 200, body="<html>Log in</html>", kind="text/html")
    return ["submit", *RUN]


@case(r"does not let you in \(401\): the token is wrong or has expired, get a new one")
def expired_token(given):
    given.api.token = "the token of today"
    given.patch.setenv("LSTFILL_KFP_TOKEN", SECRET)
    return ["submit", *RUN]


@case(r"cannot read the file .*/token: Is a directory")
def unreadable_token_file(given):
    (given.tmp / "token").mkdir()
    return ["submit", *RUN, "--token-file", str(given.tmp / "token")]


@case(r"the file .*/token is empty")
def empty_token_file(given):
    return ["submit", *RUN, "--token-file", given.file("token", "\n")]


@case(r"LSTFILL_KFP_TOKEN does not hold one line of plain characters: copy it again, without quotes")
def token_with_its_header(given):
    given.patch.setenv("LSTFILL_KFP_TOKEN", f"Bearer {SECRET}")
    return ["submit", *RUN]


@case(r"has many users: give the namespace of yours as --namespace")
def no_namespace(given):
    given.api.multi_user = True
    return ["submit", *RUN]


@case(r"forbids this \(403\): User 'me' is not authorized .*: check the namespace 'kube-system' \(--namespace\)")
def wrong_namespace(given):
    given.api.multi_user = True
    return ["submit", *RUN, "--namespace", "kube-system"]


@case(r"cron '0 3 \* \* 1' has 5 fields, and Kubeflow takes 6, seconds first: write '0 0 3 \* \* 1'")
def cron_with_five_fields(_):
    return ["schedule", *RUN, "--cron", "0 3 * * 1"]


@case(r"cron '0 0 25 \* \* \*': '25' is no hour, which goes from 0 to 23")
def cron_with_an_hour_too_many(_):
    return ["schedule", *RUN, "--cron", "0 0 25 * * *"]


@case(r"images: tag: .*'latest' does not: take a version or a commit")
def image_that_is_not_pinned(_):
    return ["submit", *RUN, "--tag", "latest"]


@case(r"unknown key 'step'; known")
def platform_with_an_unknown_key(given):
    return ["upload", "--platform", given.file("platform.yaml", {"step": {}})]


@case(r"memory_request '2Gi' is above memory_limit '1Gi': raise the limit")
def platform_that_contradicts_itself(given):
    steps = {"mask": {"memory_limit": "1Gi", "memory_request": "2Gi"}}
    return ["submit", *RUN, "--platform", given.file("platform.yaml", {"steps": steps})]


@case(r"the pipeline does not compile with these settings: ")
def package_that_does_not_compile(given):
    given.patch.setattr("kfp.kubernetes.set_image_pull_policy", refuse_to_compile)
    return ["submit", *RUN]


def refuse_to_compile(*_):
    raise ValueError("Invalid imagePullPolicy")


@case(r"there is no run 'nobody' at http://")
def unknown_run(_):
    return ["status", "nobody"]


@case(r"is at its limit \(429\): too many runs: wait for other runs to end, or ask for a larger quota")
def kubeflow_s_own_limit(given):
    body = json.dumps({"error": "too many runs", "message": "too many runs", "code": 8})
    given.api.refuse("POST", "/runs", 429, body=body)
    return ["submit", *RUN]


@case(r"does not start, for 0.1 s now\n  ingest: the image x/lstfill-python:9 cannot be pulled .*--tag", started=True)
def missing_image(given):
    return given.pending(
        lambda: given.kube.add_waiting("ingest", "ImagePullBackOff", "manifest unknown", "x/lstfill-python:9")
    )


@case(r'\n  ingest: .*: secret "lstfill-s3" not found. Make it in namespace kubeflow, or name another', started=True)
def missing_secret(given):
    message = 'secret "lstfill-s3" not found'
    return given.pending(lambda: given.kube.add_waiting("ingest", "CreateContainerConfigError", message))


@case(r"\n  train: pods .* exceeded quota: small, .*raise the quota, or lower the step's requests", started=True)
def quota_exceeded(given):
    message = (
        'pods "train" is forbidden: exceeded quota: small, requested: limits.memory=4Gi, limited: limits.memory=2Gi'
    )
    return given.pending(lambda: given.kube.add_node("train", "Pending", message))


@pytest.mark.parametrize("name", CASES)
def test_bad_input_ends_with_one_message_and_nothing_made(name, given, capfd):
    function, message = CASES[name]
    status = cli.main(function(given))
    said = capfd.readouterr()
    assert status == 1
    assert re.search(message, said.err), said.err
    assert said.err.startswith("error: ")
    assert said.err.count("error: ") == 1
    assert "Traceback" not in said.out + said.err
    assert SECRET not in said.out + said.err
    if name in STARTED:
        assert said.out.startswith("run      ")
    else:
        made_there = (given.api.runs, given.api.pipelines, given.api.recurring)
        assert (said.out, made_there) == ("", ({}, [], []))


@pytest.mark.parametrize("command", [["submit", *RUN], ["upload"], ["schedule", *RUN, "--interval", "60"]])
def test_the_same_commands_work_when_nothing_is_wrong(given, capfd, command):
    assert cli.main(command) == 0
    assert capfd.readouterr().err == ""
    assert len(given.api.runs) + len(given.api.pipelines) + len(given.api.recurring) == 1
