"""The manifests as `kubectl kustomize` renders them, with a small stand-in for the bases that lie on GitHub."""

from __future__ import annotations

import importlib.resources
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
REMOTE = MANIFESTS / "kubeflow"
_STAND_IN = Path(__file__).parent / "kubeflow" / "pipelines.yaml"
_CRDS = "operator/deployment/helm/dask-kubernetes-operator/crds"
_WITH_PODS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}


def program(name: str) -> str | None:
    """Where a program is: beside this Python, where packages put theirs, or on PATH."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def folders(kind: str) -> list[str]:
    """Directories below manifests/ with a kustomization of a kind, the remote bases left out."""
    files = sorted(MANIFESTS.rglob("kustomization.yaml"))
    return [
        str(file.parent.relative_to(MANIFESTS))
        for file in files
        if yaml.safe_load(file.read_text())["kind"] == kind and REMOTE not in file.parents
    ]


def workbench(directory: Path) -> Path:
    """A copy of manifests/ that renders without the network."""
    copy = directory / "manifests"
    shutil.copytree(MANIFESTS, copy)
    (copy / "kubeflow/pipelines/objects.yaml").write_text(_STAND_IN.read_text())
    (copy / "kubeflow/pipelines/kustomization.yaml").write_text("resources: [objects.yaml]\n")
    (copy / "kubeflow/cluster-scoped/kustomization.yaml").write_text("resources: []\n")
    for definition in importlib.resources.files("dask_kubernetes").joinpath(_CRDS).iterdir():
        (copy / "cluster-scoped/dask" / definition.name).write_text(definition.read_text())
    for component in folders("Component"):
        place = copy / "with" / component
        place.mkdir(parents=True)
        bases = ["../../../kubeflow/pipelines", "../../../base"]
        # The viewer's ingress goes with the viewer.
        needed = {"components/xcube-ingress": ["components/xcube"]}.get(component, [])
        listed = [f"../../../{name}" for name in [*needed, component]]
        (place / "kustomization.yaml").write_text(yaml.safe_dump({"resources": bases, "components": listed}))
    return copy


def rendered(folder: Path) -> list[dict[str, Any]]:
    """What a directory renders to."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise AssertionError(f"{folder.name} does not render: {done.stderr}")
    return [thing for thing in yaml.safe_load_all(done.stdout) if thing]


@dataclass(frozen=True)
class Pods:
    """The pods that an object makes: where they are named, and their template."""

    owner: str
    kind: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of them, those that run first included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def name_of(thing: dict[str, Any]) -> str:
    """Kind and name."""
    return f"{thing['kind']}/{thing['metadata']['name']}"


def pods(things: list[dict[str, Any]], *, ours: bool = True) -> list[Pods]:
    """The pod templates of a rendering; without Kubeflow's if only ours are asked for."""
    found = []
    for thing in things:
        if thing["kind"] not in _WITH_PODS:
            continue
        template = thing["spec"]["template"]
        labels = template.get("metadata", {}).get("labels", {})
        if not ours or labels.get("app.kubernetes.io/part-of") == "lstfill":
            found.append(Pods(name_of(thing), thing["kind"], labels, template["spec"]))
    return found


def of_kind(things: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    """The objects of some kinds."""
    return [thing for thing in things if thing["kind"] in kinds]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector matches; the two forms that the manifests use."""
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    for wanted in selector.get("matchExpressions", []):
        if wanted["operator"] == "Exists":
            exact = exact and wanted["key"] in labels
        elif wanted["operator"] == "In":
            exact = exact and labels.get(wanted["key"]) in wanted["values"]
        else:
            raise AssertionError(f"operator {wanted['operator']} is not known here")
    return exact
