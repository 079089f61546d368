"""The workflow of the public repository: fixed actions, few rights, an end for each job, targets that make knows."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.manifests.rendering import ROOT, program

FILE = ROOT / ".github/workflows/ci.yaml"


@pytest.fixture(scope="module")
def workflow():
    return yaml.safe_load(FILE.read_text())


@pytest.fixture(scope="module")
def steps(workflow):
    return [(name, step) for name, job in workflow["jobs"].items() for step in job["steps"]]


def test_runs_for_pushes_requests_and_releases(workflow):
    # YAML 1.1 reads the key `on` as a truth value.
    assert workflow[True] == {"push": {"branches": ["main"], "tags": ["v*"]}, "pull_request": None}


def test_has_its_jobs_in_order(workflow):
    needs = {name: job.get("needs", []) for name, job in workflow["jobs"].items()}
    assert needs == {"test": [], "images": [], "e2e": "images", "publish": ["test", "images", "e2e"]}


def test_reads_and_only_the_publishing_job_writes(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert more == {"publish": {"contents": "read", "packages": "write"}}
    assert workflow["jobs"]["publish"]["if"] == "startsWith(github.ref, 'refs/tags/v')"


def test_every_job_ends(workflow):
    assert all(0 < job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())


def test_actions_have_a_full_version(steps):
    used = [step["uses"] for _, step in steps if "uses" in step]
    assert len(used) > 10
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", action) for action in used), used
    versions = dict(action.split("@") for action in used)
    assert len(versions) == len(set(used)), "an action is used in two versions"


def test_runners_and_kind_have_a_version(workflow, steps):
    assert {job["runs-on"] for job in workflow["jobs"].values()} == {"ubuntu-24.04"}
    kinds = [step["with"]["version"] for _, step in steps if "kind-action" in step.get("uses", "")]
    assert kinds
    assert set(kinds) == {"v0.30.0"}


def test_asks_make_for_targets_that_there_are(steps):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = set()
    for _, step in steps:
        for command in re.findall(r"\bmake ([^&|\n]+)", step.get("run", "")):
            asked |= {word for word in command.split() if "=" not in word}
    assert {"lint", "test", "images", "kind-up", "kind-load", "deploy", "submit-demo", "check-demo"} <= asked
    assert asked <= targets


def test_a_failure_leaves_its_logs(workflow):
    kept = [step for step in workflow["jobs"]["e2e"]["steps"] if step.get("if") == "failure()"]
    assert any("kind export logs" in step.get("run", "") for step in kept)
    assert any("upload-artifact" in step.get("uses", "") for step in kept)


def test_publishes_the_images_that_were_tested_into_its_own_registry(workflow):
    text = "\n".join(step.get("run", "") for step in workflow["jobs"]["publish"]["steps"])
    assert "make images" not in text
    assert "docker load" in text
    assert "ghcr.io/${GITHUB_REPOSITORY,,}/" in text


def test_no_expression_is_put_into_a_script(steps):
    """What others choose, such as the name of a branch, would run as a command."""
    assert not [name for name, step in steps if "${{" in step.get("run", "")]


def test_is_clean():
    checker = program("actionlint")
    if checker is None:
        pytest.skip("actionlint is not on PATH: it checks workflows")
    done = subprocess.run([checker, str(FILE)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
