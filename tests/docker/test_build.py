"""What is written of the images: the Dockerfile, what is sent to the daemon, and the script that builds them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

# Stands in for the docker program: tells what it is asked for.
TELLS = """#!/bin/sh
[ "$1" = image ] && { echo "${4} 1000000"; exit; }
printf '%s|' "$DOCKER_BUILDKIT" "$@"
echo
"""


def stages() -> dict[str, list[str]]:
    """Instructions by stage, each on one line."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE.read_text()).replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    name = ""
    for line in filter(None, text.splitlines()):
        if line.startswith("FROM "):
            name = line.rsplit(" AS ", 1)[1]
        found.setdefault(name, []).append(line)
    return found


class TestDockerfile:
    def test_hadolint_finds_nothing(self):
        hadolint = Path(sys.executable).parent / "hadolint"
        found = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, timeout=60)
        assert (found.returncode, found.stdout) == (0, "")

    @pytest.mark.parametrize("target", ["light", "ml", "mlflow"])
    def test_an_image_ends_as_a_user_of_no_rights(self, target):
        assert [line for line in stages()[target] if line.startswith("USER ")] == ["USER 10001:0"]

    def test_none_has_an_entrypoint(self):
        """Kubeflow and Dask give whole commands, which an entry point would take for its arguments."""
        assert not [line for lines in stages().values() for line in lines if line.startswith("ENTRYPOINT")]

    def test_the_base_is_pinned_and_can_be_another(self):
        default = next(line for line in stages()[""] if line.startswith("ARG BASE_IMAGE="))
        assert re.fullmatch(r"ARG BASE_IMAGE=python:3\.\d+-slim-\w+", default)
        bases = {lines[0].split()[1] for name, lines in stages().items() if name}
        assert bases - set(stages()) == {"${BASE_IMAGE}"}

    def test_packages_come_by_the_lock_file_alone(self):
        """The one place that calls pip fetches the installer, with its version."""
        pip = [line for lines in stages().values() for line in lines if re.search(r"\bpip install", line)]
        assert len(pip) == 1
        assert '"uv==${UV_VERSION}"' in pip[0]
        assert "--constraints /mnt/requirements.lock" in (ROOT / "docker" / "install.sh").read_text()


class TestContext:
    def test_holds_only_what_is_named(self):
        lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
        assert lines[0] == "**"
        sent = [line[1:] for line in lines if line.startswith("!")]
        assert all(list(ROOT.glob(name)) for name in sent)
        assert not {".git", ".venv", "workspace", "tests", "docker/base.sh"} & set(sent)

    def test_holds_all_that_the_dockerfile_copies(self):
        copied = [
            part
            for lines in stages().values()
            for line in lines
            if line.startswith("COPY ")
            for part in line.split()[1:-1]
        ]
        sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        assert set(copied) == sent


@pytest.mark.parametrize("name", ["ml-with", "server-without", "steps-without"])
def test_every_package_that_is_named_is_in_the_lock_file(name):
    """A misspelled one would leave out nothing, or come without a hash."""
    lock = (ROOT / "requirements.lock").read_text()
    lines = [line.split("#")[0].strip() for line in (ROOT / "docker" / f"{name}.txt").read_text().splitlines()]
    names = [line.split(";")[0].strip() for line in lines if line]
    assert names
    assert [name for name in names if f"\n{name}==" not in lock] == []


class TestScript:
    @pytest.fixture
    def build(self, monkeypatch, tmp_path):
        program = tmp_path / "docker"
        program.write_text(TELLS)
        program.chmod(0o755)
        for name in list(os.environ):
            if name.startswith("LSTFILL_IMAGE_") or name in ("BASE_IMAGE", "CA_FILE"):
                monkeypatch.delenv(name)

        def build(**settings):
            environment = {**os.environ, "DOCKER": str(program), **settings}
            return subprocess.run(
                [ROOT / "docker" / "build.sh"], env=environment, capture_output=True, text=True, timeout=60
            )

        return build

    def asked(self, done):
        assert done.returncode == 0, done.stderr
        return [line.split("|") for line in done.stdout.splitlines() if line.startswith("1|build|")]

    def test_builds_three_images_with_the_version_as_their_tag(self, build):
        asked = self.asked(build())
        assert [line[line.index("--tag") + 1] for line in asked] == [
            f"lstfill-python:{VERSION}",
            f"lstfill-python-ml:{VERSION}",
            f"lstfill-mlflow:{VERSION}",
        ]
        assert [line[line.index("--target") + 1] for line in asked] == ["light", "ml", "mlflow"]
        assert all(f"VERSION={VERSION}" in line for line in asked)
        assert not any("--secret" in line or "BASE_IMAGE" in "".join(line) for line in asked)

    def test_takes_a_registry_a_tag_a_base_and_certificates(self, build):
        settings = {"LSTFILL_IMAGE_REGISTRY": "registry.example/team/", "LSTFILL_IMAGE_TAG": "0a1b2c3"}
        light, *_ = self.asked(build(**settings, BASE_IMAGE="mine:1", CA_FILE="/ca.pem"))
        assert "registry.example/team/lstfill-python:0a1b2c3" in light
        assert "BASE_IMAGE=mine:1" in light
        assert light[light.index("--secret") + 1] == "id=ca,src=/ca.pem"

    def test_the_names_are_those_of_the_components(self, build):
        """With the same settings: what is built is what tasks ask for."""
        from components import image

        settings = {"LSTFILL_IMAGE_REGISTRY": image.REGISTRY, "LSTFILL_IMAGE_TAG": image.TAG}
        tags = [line[line.index("--tag") + 1] for line in self.asked(build(**settings))]
        assert tags[:2] == [image.LIGHT_IMAGE, image.FULL_IMAGE]

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"LSTFILL_IMAGE_TAG": "latest"}, "the tag latest says nothing"),
            ({"LSTFILL_IMAGE_REGISTRY": "registry.example/team"}, "write registry.example/team/"),
        ],
    )
    def test_refuses_what_would_mislead(self, build, settings, message):
        done = build(**settings)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stdout == ""
