"""kind.yaml: as kind itself decodes it where there is one, and by its structure everywhere."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
import yaml

from tests.kubernetes.schemas import VERSIONS
from tests.manifests.rendering import MANIFESTS, program

FILE = MANIFESTS / "kind.yaml"


@pytest.fixture
def config():
    return yaml.safe_load(FILE.read_text())


def test_has_the_fields_that_kind_knows(config):
    assert set(config) == {"kind", "apiVersion", "name", "nodes"}
    assert (config["kind"], config["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    for node in config["nodes"]:
        assert set(node) == {"role", "image", "extraPortMappings"}
        for mapping in node["extraPortMappings"]:
            assert set(mapping) == {"containerPort", "hostPort", "listenAddress", "protocol"}


def test_is_one_node_that_is_also_in_charge(config):
    assert [node["role"] for node in config["nodes"]] == ["control-plane"]


def test_names_the_node_by_version_and_digest(config):
    found = re.fullmatch(r"kindest/node:v(\d+\.\d+)\.\d+@sha256:[0-9a-f]{64}", config["nodes"][0]["image"])
    assert found.group(1) in VERSIONS


def test_has_the_name_that_the_scripts_use(config):
    text = (MANIFESTS / "deploy.sh").read_text() + (MANIFESTS.parent / "Makefile").read_text()
    assert f"--context kind-{config['name']}" in text
    assert f"--name {config['name']}" in text


class TestKindItself:
    """kind decodes the file before it asks Docker for an image, and Docker is nowhere here."""

    def decoded(self, text, directory):
        kind = program("kind")
        if kind is None:
            pytest.skip("kind is not on PATH: it decodes its configuration")
        file = directory / "kind.yaml"
        file.write_text(text)
        nowhere = {"DOCKER_HOST": "tcp://127.0.0.1:1", "KIND_EXPERIMENTAL_PROVIDER": "docker", "HOME": str(directory)}
        done = subprocess.run(
            [kind, "create", "cluster", "--config", str(file), "--kubeconfig", str(directory / "kubeconfig")],
            env={**os.environ, **nowhere},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 1
        return "unable to decode config" not in done.stderr, done.stderr

    def test_takes_the_file(self, tmp_path):
        taken, said = self.decoded(FILE.read_text(), tmp_path)
        assert taken, said
        assert "docker" in said

    def test_refuses_a_misspelled_field(self, tmp_path):
        taken, said = self.decoded(FILE.read_text().replace("hostPort", "hostPrt"), tmp_path)
        assert not taken
        assert "field hostPrt not found" in said
