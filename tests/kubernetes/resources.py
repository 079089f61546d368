"""What the API double knows: the few resources of Kubernetes that are needed, and those of the Dask operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.kubernetes.schemas import crds

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


@dataclass(frozen=True)
class Resource:
    """A kind of object, and where it is found below ``/api`` or ``/apis``."""

    group_version: str
    plural: str
    kind: str
    namespaced: bool = True
    has_status: bool = True

    def described(self) -> list[dict[str, Any]]:
        """The entries of discovery: the resource, and its status where that is apart."""
        entry = {
            "name": self.plural,
            "singularName": self.kind.lower(),
            "namespaced": self.namespaced,
            "kind": self.kind,
            "verbs": _VERBS,
        }
        return [entry, entry | {"name": f"{self.plural}/status"}] if self.has_status else [entry]


def known_resources(*, with_operator: bool) -> dict[tuple[str, str], Resource]:
    """Every resource by group with version and plural name.

    Args:
        with_operator: whether the definitions of the Dask operator are installed.
    """
    core = [
        Resource("v1", "pods", "Pod"),
        Resource("v1", "services", "Service"),
        Resource("v1", "events", "Event", has_status=False),
        Resource("v1", "secrets", "Secret", has_status=False),
        Resource("v1", "configmaps", "ConfigMap", has_status=False),
        Resource("v1", "namespaces", "Namespace", namespaced=False),
        Resource("apps/v1", "deployments", "Deployment"),
        Resource("events.k8s.io/v1", "events", "Event", has_status=False),
        Resource("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False),
    ]
    dask = [_of(definition) for definition in crds()] if with_operator else []
    return {(resource.group_version, resource.plural): resource for resource in [*core, *dask]}


def discovery(resources: dict[tuple[str, str], Resource], path: str) -> dict[str, Any] | None:
    """The answer to a question of what there is: ``/version``, ``/api``, ``/apis`` or a group with version."""
    groups = sorted({group for group, _ in resources if "/" in group})
    if path == "/version":
        return {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "groups": [_group(name) for name in groups]}
    name = path.removeprefix("/apis/").removeprefix("/api/")
    if name not in {"v1", *groups}:
        return None
    entries = [
        entry for resource in resources.values() if resource.group_version == name for entry in resource.described()
    ]
    return {"kind": "APIResourceList", "groupVersion": name, "resources": entries}


def _group(name: str) -> dict[str, Any]:
    group, version = name.split("/")
    entry = {"groupVersion": name, "version": version}
    return {"name": group, "versions": [entry], "preferredVersion": entry}


def _of(definition: dict[str, Any]) -> Resource:
    spec = definition["spec"]
    version = next(version for version in spec["versions"] if version["storage"])
    return Resource(
        f"{spec['group']}/{version['name']}",
        spec["names"]["plural"],
        spec["names"]["kind"],
        namespaced=spec["scope"] == "Namespaced",
        has_status="status" in (version.get("subresources") or {}),
    )
