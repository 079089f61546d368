"""Every directory of manifests/, rendered once a session."""

from __future__ import annotations

import shutil

import pytest

from tests.manifests.rendering import folders, rendered, workbench


@pytest.fixture(scope="session")
def all_rendered(tmp_path_factory):
    """Objects by directory; a component is rendered on top of the base."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH: it renders the manifests")
    copy = workbench(tmp_path_factory.mktemp("rendered"))
    places = {folder: copy / folder for folder in folders("Kustomization")}
    places |= {folder: copy / "with" / folder for folder in folders("Component")}
    return {folder: rendered(place) for folder, place in places.items()}


@pytest.fixture(scope="session")
def kind(all_rendered):
    """The overlay for a laptop, together with what stands in for Kubeflow Pipelines."""
    return all_rendered["overlays/kind"]


@pytest.fixture(scope="session")
def production(all_rendered):
    """The overlay for a real installation."""
    return all_rendered["overlays/production"]
