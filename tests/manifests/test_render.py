"""Every directory renders, names what it makes once, and asks the network in one place."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest
import yaml

from tests.kubernetes.schemas import VERSIONS, crds, kubernetes_errors
from tests.manifests.rendering import MANIFESTS, REMOTE, ROOT, folders, name_of, of_kind

FOLDERS = folders("Kustomization") + folders("Component")
IMAGES = {"lstfill-python", "lstfill-mlflow"}


def test_there_is_something_to_render():
    assert {"base", "cluster-scoped", "overlays/kind", "overlays/production", "components/kfp-mlflow"} <= set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
class TestFolder:
    def test_renders_to_objects_that_have_one_name_each(self, all_rendered, folder):
        names = [(name_of(thing), thing["metadata"].get("namespace")) for thing in all_rendered[folder]]
        assert names
        assert len(names) == len(set(names))

    def test_is_valid_in_every_version_of_kubernetes(self, all_rendered, folder):
        # The definitions of resources are Dask's own, and large: their schemas are used elsewhere.
        things = [thing for thing in all_rendered[folder] if thing["kind"] != "CustomResourceDefinition"]
        faults = {
            f"{release} {name_of(thing)}": errors
            for thing in things
            for release in VERSIONS
            if (errors := kubernetes_errors(thing, release))
        }
        assert faults == {}

    def test_is_in_the_namespace_of_kubeflow(self, all_rendered, folder):
        of_the_cluster = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}
        things = [thing for thing in all_rendered[folder] if thing["kind"] not in of_the_cluster]
        assert {thing["metadata"].get("namespace") for thing in things} <= {"kubeflow"}

    def test_is_labelled_as_ours(self, all_rendered, folder):
        generated = {"ConfigMap", "Secret", "CustomResourceDefinition"}
        kubeflow = {name_of(thing) for thing in all_rendered["overlays/kind"] if not thing["metadata"].get("labels")}
        without = [
            name_of(thing)
            for thing in all_rendered[folder]
            if thing["kind"] not in generated
            and thing["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") != "lstfill"
        ]
        assert set(without) <= kubeflow


class TestRemoteBases:
    def test_lie_in_one_place_and_have_the_release_of_the_client(self):
        remote = {
            file: re.findall(r"^ *- (https?://\S+)", file.read_text(), re.MULTILINE)
            for file in MANIFESTS.rglob("*.yaml")
        }
        asking = {file: addresses for file, addresses in remote.items() if addresses}
        assert {file.parent.parent for file in asking} == {REMOTE}
        for addresses in asking.values():
            assert all(address.endswith(f"?ref={version('kfp')}") for address in addresses)

    def test_the_stand_in_has_the_images_of_that_release(self):
        text = (ROOT / "tests/manifests/kubeflow/pipelines.yaml").read_text()
        assert f"kfp-api-server:{version('kfp')}" in text


class TestDefinitions:
    def test_are_those_of_the_operator_that_is_installed(self, all_rendered):
        made = {
            thing["metadata"]["name"] for thing in of_kind(all_rendered["cluster-scoped"], "CustomResourceDefinition")
        }
        assert made == {thing["metadata"]["name"] for thing in crds()}
        assert len(made) == 4

    def test_no_copy_of_them_is_kept_here(self):
        assert "/dask*.yaml" in (MANIFESTS / "cluster-scoped/dask/.gitignore").read_text().splitlines()


class TestImages:
    def test_ours_have_the_version_of_the_package_everywhere(self):
        tags = {}
        for file in MANIFESTS.rglob("kustomization.yaml"):
            for image in yaml.safe_load(file.read_text()).get("images", []):
                tags[(file.parent.name, image["name"])] = image["newTag"]
        assert {name for _, name in tags} == IMAGES
        assert set(tags.values()) == {version("lstfill")}

    def test_production_takes_them_from_a_registry(self, production):
        text = yaml.safe_dump_all(production)
        for name in IMAGES:
            assert f"image: registry.example.org/lstfill/{name}:{version('lstfill')}" in text
