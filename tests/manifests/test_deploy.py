"""deploy.sh and the targets of make, with stand-ins for kubectl, curl and kind that note what they are told."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.manifests.rendering import MANIFESTS, ROOT, program

SCRIPT = MANIFESTS / "deploy.sh"
NOTE = """#!/bin/sh
echo "$(basename "$0") $*" >> "$NOTES"
case "$*" in *"$FAILS"*) [ -z "$FAILS" ] || exit 1 ;; esac
"""


@pytest.fixture
def run(tmp_path):
    """Runs a command with stand-ins; gives what it returned, and what they were told."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("kubectl", "curl", "kind"):
        (programs / name).write_text(NOTE)
        (programs / name).chmod(0o755)

    def run(*command, fails=""):
        notes = tmp_path / "notes"
        notes.write_text("")
        env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "NOTES": str(notes), "FAILS": fails}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)
        return done, notes.read_text().splitlines()

    return run


def position(told, part):
    found = [number for number, line in enumerate(told) if part in line]
    assert found, f"{part!r} not in {told}"
    return found[0]


class TestDeploy:
    def test_goes_from_the_definitions_over_the_overlay_to_the_waits(self, run):
        done, told = run(str(SCRIPT))
        assert done.returncode == 0, done.stderr
        order = [
            "apply --server-side --force-conflicts --kustomize cluster-scoped",
            "wait crd --all",
            "delete job lstfill-buckets lstfill-demo-cube --ignore-not-found",
            "apply --kustomize overlays/kind",
            "wait deployment --all",
            "rollout status statefulset/mlflow-postgres",
            "wait job/lstfill-buckets job/lstfill-demo-cube",
            "http://127.0.0.1:8888/apis/v2beta1/healthz",
        ]
        assert [position(told, part) for part in order] == sorted(position(told, part) for part in order)

    def test_speaks_to_the_cluster_of_kind_and_to_no_other(self, run):
        _, told = run(str(SCRIPT))
        asked = [line for line in told if line.startswith("kubectl")]
        assert len(asked) == 7
        assert all(line.startswith("kubectl --context kind-lstfill ") for line in asked)

    def test_every_wait_ends(self, run):
        _, told = run(str(SCRIPT))
        waits = [line for line in told if " wait " in line or "rollout status" in line]
        assert len(waits) == 4
        assert all("--timeout=" in line for line in waits)
        assert all("--max-time" in line and "--retry 24" in line for line in told if line.startswith("curl"))

    @pytest.mark.parametrize("fails", ["--kustomize overlays/kind", "wait deployment", "127.0.0.1:5000"])
    def test_a_failure_stops_it_and_shows_the_pods(self, run, fails):
        done, told = run(str(SCRIPT), fails=fails)
        assert done.returncode == 1
        assert "the installation is not complete" in done.stderr
        assert told[-2:] == [
            "kubectl --context kind-lstfill --namespace kubeflow get pods --output wide",
            "kubectl --context kind-lstfill --namespace kubeflow get events --sort-by .lastTimestamp",
        ]
        assert fails in told[-3]

    def test_names_what_the_overlay_makes(self, kind):
        made = {thing["metadata"]["name"] for thing in kind if thing["kind"] in ("Job", "StatefulSet")}
        assert made == {"lstfill-buckets", "lstfill-demo-cube", "mlflow-postgres"}
        assert all(name in SCRIPT.read_text() for name in made)

    def test_is_clean(self):
        checker = program("shellcheck")
        if checker is None:
            pytest.skip("shellcheck is not on PATH: it checks the scripts")
        done = subprocess.run([checker, str(SCRIPT)], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout


class TestMake:
    def test_brings_the_images_that_the_manifests_name(self, run):
        done, told = run("make", "kind-load")
        assert done.returncode == 0, done.stderr
        loaded = told[0].removeprefix("kind load docker-image --name lstfill ").split()
        from importlib.metadata import version

        names = ("lstfill-python", "lstfill-python-ml", "lstfill-mlflow")
        assert loaded == [f"{name}:{version('lstfill')}" for name in names]

    def test_starts_a_cluster_that_is_not_there(self, run):
        done, told = run("make", "kind-up")
        assert done.returncode == 0, done.stderr
        assert told == ["kind get clusters", "kind create cluster --config manifests/kind.yaml --wait 300s"]

    def test_removes_it(self, run):
        _, told = run("make", "kind-down")
        assert told == ["kind delete cluster --name lstfill"]

    def test_checks_with_the_keys_of_the_overlay(self, run):
        done, _ = run("make", "--no-print-directory", "--dry-run", "check-demo")
        for part in ("LSTFILL_S3_ACCESS_KEY_ID=minio ", "LSTFILL_S3_SECRET_ACCESS_KEY=minio123 ", "tests/cluster"):
            assert part in done.stdout

    def test_submits_the_cube_that_the_job_writes(self, run, kind):
        (job,) = [thing for thing in kind if thing["metadata"]["name"] == "lstfill-demo-cube"]
        (argument,) = job["spec"]["template"]["spec"]["containers"][0]["args"]
        done, _ = run("make", "--no-print-directory", "--dry-run", "submit-demo")
        assert f"LSTFILL_DEMO_CUBE={argument.removeprefix('--output=')} " in done.stdout

    def test_what_is_submitted_is_what_the_command_takes(self, run):
        from pipelines.cli import _parser

        done, _ = run("make", "--no-print-directory", "--dry-run", "submit-demo")
        words = done.stdout.replace("\\\n", " ").split()
        options = _parser().parse_args(words[words.index("pipelines") + 1 :])
        assert options.wait is True
        assert options.host == "http://127.0.0.1:8888"
        assert str(options.config) == "pipelines/configs/demo.yaml"
