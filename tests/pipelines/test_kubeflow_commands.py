"""``submit``, ``upload``, ``schedule``, ``status``: through the command line, against real HTTP."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lstfill.steps.task import EVENT
from pipelines.platform import STEPS
from tests import made
from tests.pipelines.conftest import run_pipeline
from tests.pipelines.kfp_api import Api, outside_pods, serving, task
from tests.pipelines.kubernetes_api import Handler, Kubernetes

REPO = Path(__file__).resolve().parents[2]
TOKEN = "a-token-that-nobody-may-see"
RUN = ["--workspace", "s3://b/w", "-p", "source_uri=s3://b/c.zarr"]
QUICK = ["--wait", "--poll", "0.02", "--grace", "0.2", "--timeout", "10"]


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    outside_pods(monkeypatch, tmp_path)


@pytest.fixture
def api(monkeypatch):
    """An endpoint that wants a token, which is in the environment."""
    with serving(Api(token=TOKEN)) as api:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", api.host)
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", TOKEN)
        yield api


@pytest.fixture
def kube(monkeypatch, tmp_path):
    with serving(Kubernetes(), Handler) as kube:
        monkeypatch.setenv("KUBECONFIG", kube.kubeconfig(tmp_path / "config"))
        yield kube


def started(api):
    """A run that was submitted, and its identifier."""
    assert run_pipeline("submit", *RUN)[0] == 0
    return next(iter(api.runs))


class TestSubmit:
    def test_says_where_the_run_is_and_returns(self, api):
        status, seen = run_pipeline("submit", *RUN, "--run-name", "of today")
        run_id = next(iter(api.runs))
        assert (status, seen) == (0, f"run      {run_id}  of today\naddress  {api.host}/#/runs/details/{run_id}\n")
        assert api.asked("GET", f"/runs/{run_id}") == []

    def test_sends_what_the_configuration_and_the_options_say(self, api, tmp_path):
        config = made.write_config(tmp_path / "c.yaml", "s3://b/cube.zarr")
        settings = tmp_path / "platform.yaml"
        settings.write_text(yaml.safe_dump({"service_account": "runner", "steps": {"train": {"memory_limit": "7Gi"}}}))
        status, seen = run_pipeline(
            "submit", "--config", config, "--workspace", "s3://b/w", "-p", "train_epochs=2", "--platform", settings,
            "--tag", "abc123", "--experiment", "tests", "--pipeline-root", "s3://b/root", "--no-cache",
        )  # fmt: skip
        assert status == 0, seen
        body = api.only("POST", "/runs").body
        parameters, spec = body["runtime_config"]["parameters"], body["pipeline_spec"]["pipeline_spec"]
        assert (parameters["train_epochs"], parameters["train_batch_size"], parameters["workspace"]) == (
            2,
            512,
            "s3://b/w",
        )
        assert parameters["split_block"] == {"time": 5, "lat": 9, "lon": 9}
        assert body["service_account"] == "runner"
        assert body["runtime_config"]["pipeline_root"] == "s3://b/root"
        assert api.experiments[0]["display_name"] == "tests"
        executors = spec["deploymentSpec"]["executors"]
        assert executors["exec-train"]["container"]["image"] == "lstfill-python-ml:abc123"
        assert executors["exec-train"]["container"]["resources"]["resourceMemoryLimit"] == "7Gi"
        assert not any(of["cachingOptions"].get("enableCache") for of in spec["root"]["dag"]["tasks"].values())
        secrets = body["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        assert "lstfill-s3" in json.dumps(secrets["exec-ingest"])

    def test_wait_shows_each_step_once(self, api):
        api.states = ["PENDING", "RUNNING", "RUNNING", "SUCCEEDED"]
        api.tasks = [task(step, "SUCCEEDED") for step in STEPS]
        status, seen = run_pipeline("submit", *RUN, *QUICK)
        assert status == 0, seen
        assert re.findall(r"✓ (\w+) +12.5 s", seen) == list(STEPS)
        assert seen.endswith("succeeded\n")

    def test_wait_ends_with_the_failure(self, api):
        api.states = ["RUNNING", "FAILED"]
        api.tasks = [task("ingest", "SUCCEEDED"), task("split", "FAILED", "exit code 1")]
        status, seen = run_pipeline("submit", *RUN, *QUICK)
        run_id = next(iter(api.runs))
        assert status == 1
        assert "✗ split" in seen
        assert seen.endswith(
            f"error: run {run_id} ended as FAILED\n  split: exit code 1\nSee {api.host}/#/runs/details/{run_id}\n"
        )

    @pytest.mark.parametrize("state", ["CANCELED", "SKIPPED"])
    def test_wait_for_a_run_that_is_stopped_from_elsewhere(self, api, state):
        api.states = ["RUNNING", "CANCELING", state]
        status, seen = run_pipeline("submit", *RUN, *QUICK)
        assert (status, f"ended as {state}" in seen) == (1, True)

    def test_wait_no_longer_than_asked(self, api):
        api.states = ["RUNNING"]
        begun = time.monotonic()
        status, seen = run_pipeline("submit", *RUN, "--wait", "--poll", "60", "--timeout", "0.2")
        assert status == 1
        assert time.monotonic() - begun < 20
        assert re.search(r"has not ended within 0.2 s. It goes on: python -m pipelines status [\w-]{36}\n", seen)

    def test_ctrl_c_leaves_the_run(self, api, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("pipelines.runs.wait", interrupted)
        status, seen = run_pipeline("submit", *RUN, "--wait")
        assert (status, len(api.runs)) == (130, 1)
        assert re.search(r"the run goes on: python -m pipelines status [\w-]{36}\nstopped\n$", seen)

    def test_a_token_in_a_file_and_the_address_of_the_user_interface(self, api, monkeypatch, tmp_path):
        monkeypatch.delenv("LSTFILL_KFP_TOKEN")
        (tmp_path / "token").write_text(TOKEN)
        status, seen = run_pipeline(
            "submit", *RUN, "--token-file", tmp_path / "token", "--ui", "https://k.example.org/"
        )
        assert status == 0
        assert f"address  https://k.example.org/#/runs/details/{next(iter(api.runs))}" in seen


class TestWhyItDoesNotStart:
    def submit(self, api, kube, fill):
        """Submits and waits; the cluster knows of the run from its first look on."""
        api.states = ["PENDING"]
        take = kube.answer

        def answer(path, query):
            if not kube.run_id:
                kube.run_id = next(iter(api.runs))
                fill()
            return take(path, query)

        kube.answer = answer
        return run_pipeline("submit", *RUN, *QUICK)

    @pytest.mark.parametrize(
        ("reason", "message", "told"),
        [
            (
                "ImagePullBackOff",
                "manifest unknown",
                "the image x/lstfill-python:9 cannot be pulled .*manifest",
            ),
            (
                "CreateContainerConfigError",
                'secret "lstfill-s3" not found',
                'secret "lstfill-s3" not found. Make it',
            ),
        ],
    )
    def test_a_pod_that_waits(self, api, kube, reason, message, told):
        status, seen = self.submit(api, kube, lambda: kube.add_waiting("ingest", reason, message, "x/lstfill-python:9"))
        assert status == 1
        assert seen.count("  waits: ingest: ") == 1
        assert re.search(rf"error: run [\w-]+ does not start, for 0.2 s now\n  ingest: .*{told}", seen), seen

    def test_a_quota(self, api, kube):
        message = 'pods "x" is forbidden: exceeded quota: small, requested: limits.cpu=4'
        status, seen = self.submit(api, kube, lambda: kube.add_node("train", "Pending", message))
        assert status == 1
        assert '  train: pods "x" is forbidden: exceeded quota: small, requested: limits.cpu=4. Wait for other' in seen

    def test_without_kubernetes_the_wait_is_the_same(self, api):
        api.states = ["PENDING"] * 5 + ["SUCCEEDED"]
        assert run_pipeline("submit", *RUN, *QUICK)[0] == 0


class TestUpload:
    def test_a_pipeline_a_version_and_nothing_twice(self, api):
        status, seen = run_pipeline("upload", "--name", "p")
        assert (status, seen) == (
            0, f"pipeline p\naddress  {api.host}/#/pipelines/details/{api.pipelines[0]['pipeline_id']}\n",
        )  # fmt: skip
        assert run_pipeline("upload", "--name", "p")[0] == 0
        version = api.versions[0]
        assert re.fullmatch(r"\d+\.\d+\.\d+-[0-9a-f]{8}", version["display_name"])
        status, seen = run_pipeline("upload", "--name", "p")
        assert (status, seen.splitlines()[0]) == (0, f"pipeline p: this is there as version {version['display_name']}")
        assert seen.endswith(f"/version/{version['pipeline_version_id']}\n")
        assert len(api.versions) == 1

    def test_other_images_are_another_version(self, api):
        for tag in ("a", "b", "c"):
            assert run_pipeline("upload", "--tag", tag)[0] == 0
        assert len({version["display_name"] for version in api.versions}) == 2

    def test_a_name_of_a_version_is_given_once(self, api):
        for _ in range(2):
            status, seen = run_pipeline("upload", "--version-name", "v1")
            assert status == 0, seen
        status, seen = run_pipeline("upload", "--version-name", "v1")
        assert status == 1
        assert re.search("error: pipeline 'lstfill' has a version 'v1' already: http.*another --version-name", seen)
        assert len(api.versions) == 1


class TestSchedule:
    def test_cron(self, api):
        status, seen = run_pipeline("schedule", *RUN, "--cron", "0 0 3 * * 1", "--name", "weekly")
        body = api.only("POST", "/recurringruns").body
        schedule = api.recurring[0]["recurring_run_id"]
        assert (status, seen) == (0, f"schedule weekly\naddress  {api.host}/#/recurringrun/details/{schedule}\n")
        assert body["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * 1"
        assert (body["max_concurrency"], body["no_catchup"]) == (1, True)
        assert {"pipeline_spec", "platform_spec"} == set(body["pipeline_spec"])

    @pytest.mark.parametrize(("option", "expected"), [([], False), (["--cache"], True)])
    def test_equal_parameters_are_no_equal_results(self, api, option, expected):
        """The source may have grown since the last time."""
        assert run_pipeline("schedule", *RUN, "--interval", "3600", *option)[0] == 0
        tasks = api.only("POST", "/recurringruns").body["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]
        assert {of["cachingOptions"].get("enableCache", False) for of in tasks.values()} == {expected}

    @pytest.mark.parametrize("when", [[], ["--cron", "0 0 3 * * 1", "--interval", "60"], ["--interval", "0"]])
    def test_when_is_said_once(self, api, when):
        with pytest.raises(SystemExit) as ended:
            run_pipeline("schedule", *RUN, *when)
        assert ended.value.code == 2
        assert api.requests == []


class TestStatus:
    def test_of_a_run_that_goes_on(self, api):
        run_id = started(api)
        api.states, api.tasks = ["RUNNING"], [task("ingest", "SUCCEEDED"), task("mask", "RUNNING")]
        status, seen = run_pipeline("status", run_id)
        name = api.runs[run_id]["display_name"]
        assert (status, seen.splitlines()) == (0, [
            f"run      {run_id}  {name}",
            f"address  {api.host}/#/runs/details/{run_id}",
            "state    RUNNING",
            "  ✓ ingest          12.5 s",
            "  · mask        RUNNING",
        ])  # fmt: skip

    def test_takes_the_address_of_a_run(self, api):
        run_id = started(api)
        assert run_pipeline("status", f"{api.host}/#/runs/details/{run_id}")[0] == 0

    @pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
    def test_of_a_run_that_did_not_succeed(self, api, state):
        run_id = started(api)
        api.states, api.run_error = [state], "the service account is not known"
        status, seen = run_pipeline("status", run_id)
        assert status == 1
        assert f"error: run {run_id} ended as {state}\n  the service account is not known\n" in seen

    def test_says_what_keeps_it_from_starting(self, api, kube):
        kube.run_id = started(api)
        api.states = ["PENDING"]
        kube.add_waiting("ingest", "ErrImagePull", "manifest unknown", "x:1")
        status, seen = run_pipeline("status", kube.run_id)
        assert status == 0
        assert "  waits: ingest: the image x:1 cannot be pulled (ErrImagePull: manifest unknown)" in seen

    def test_says_what_a_step_said(self, api, kube):
        kube.run_id = started(api)
        api.states, api.tasks = ["FAILED"], [task("split", "FAILED", "exit code 1")]
        name = kube.add_pod("split", {"phase": "Failed"})
        kube.logs[name] = f"{EVENT}{json.dumps({'error': 'the test part is empty: take smaller blocks'})}\n"
        status, seen = run_pipeline("status", kube.run_id)
        assert status == 1
        assert "\n  split: the test part is empty: take smaller blocks\n" in seen

    def test_the_pods_of_another_namespace(self, api, kube):
        kube.run_id, kube.namespace = started(api), "science"
        api.states = ["PENDING"]
        kube.add_waiting("ingest", "ErrImagePull", "manifest unknown", "x:1")
        assert "waits" not in run_pipeline("status", kube.run_id)[1]
        assert "waits" in run_pipeline("status", kube.run_id, "--namespace", "science")[1]


class TestSecrets:
    """No token and no cookie in what is said, logged, or sent anywhere but in its header."""

    COMMANDS = (
        ["submit", *RUN, *QUICK], ["upload"], ["schedule", *RUN, "--interval", "60"], ["status", "0" * 36],
    )  # fmt: skip
    COOKIE = "authservice_session=a-cookie-that-nobody-may-see"

    @pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
    @pytest.mark.parametrize("status", [200, 401, 403, 500])
    def test_never_seen(self, api, monkeypatch, caplog, command, status):
        monkeypatch.setenv("LSTFILL_KFP_COOKIE", self.COOKIE)
        api.cookie = self.COOKIE
        if status != 200:
            path = {"upload": "/pipelines", "status": f"/runs/{'0' * 36}"}.get(command[0], "/experiments")
            api.refuse("GET", "/runs/ID" if "runs" in path else path, status, f"header: Bearer {TOKEN}; {self.COOKIE}")
        with caplog.at_level(logging.INFO):
            _, seen = run_pipeline(*command)
        assert "nobody-may-see" not in seen + caplog.text + repr([of.args for of in caplog.records])
        elsewhere = [(request.path, request.query, request.body) for request in api.requests]
        assert "nobody-may-see" not in repr(elsewhere)
        assert api.requests[-1].headers["authorization"] == f"Bearer {TOKEN}"
        assert api.requests[-1].headers["cookie"] == self.COOKIE

    @pytest.mark.parametrize("command", ["submit", "upload", "schedule", "status"])
    @pytest.mark.parametrize("option", ["--token", "--cookie", "--existing-token"])
    def test_no_option_takes_one(self, api, command, option):
        """Every user of a machine sees the arguments of its processes."""
        needed = {"schedule": ["--interval", "60"], "status": ["x"]}.get(command, [])
        with pytest.raises(SystemExit) as ended:
            run_pipeline(command, *needed, option, TOKEN)
        assert ended.value.code == 2
        assert api.requests == []


class TestShell:
    def run(self, api, *arguments, **environment):
        env = {name: value for name, value in os.environ.items() if not name.startswith("LSTFILL_KFP")}
        env |= {"PYTHONPATH": str(REPO), "LSTFILL_KFP_TOKEN": TOKEN, "KUBECONFIG": os.devnull, **environment}
        return subprocess.run(
            [sys.executable, "-m", "pipelines", *arguments, "--host", api.host],
            env=env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def test_submit_says_two_lines_and_nothing_of_kfp_s(self, api):
        done = self.run(api, "submit", *RUN, *QUICK)
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.split()[0] for line in done.stdout.splitlines()] == ["run", "address", "succeeded"]

    def test_an_expired_token_is_one_line(self, api):
        done = self.run(api, "upload", LSTFILL_KFP_TOKEN="of-yesterday")
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(
            r"error: .* does not let you in \(401\): the token is wrong or has expired.*\n", done.stderr
        )
        assert "of-yesterday" not in done.stderr
