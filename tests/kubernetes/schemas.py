"""What Kubernetes and the Dask operator say a valid object is: their own schemas, read from the installed packages.

Both functions give every fault of an object, and nothing for a valid one. Unknown fields are faults: an API server
drops them without a word, so a misspelled one would never take effect.
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import Any

import jsonschema
import yaml
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
"""The versions of Kubernetes that objects are checked for."""

_CRDS = "operator/deployment/helm/dask-kubernetes-operator/crds"
_INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


@functools.cache
def crds() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of the Dask operator, as its package ships them."""
    folder = importlib.resources.files("dask_kubernetes").joinpath(_CRDS)
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]


def crd_errors(thing: dict[str, Any]) -> list[str]:
    """The faults of a custom resource of the Dask operator: by its definition, its metadata by Kubernetes' own."""
    schema = _crd_schemas().get((thing.get("apiVersion"), thing.get("kind")))
    if schema is None:
        return [f"no Dask resource is called {thing.get('apiVersion')} {thing.get('kind')}"]
    validator = jsonschema.Draft202012Validator(schema)
    return _explained(validator, thing) + metadata_errors(thing.get("metadata"), VERSIONS[-1])


def kubernetes_errors(thing: dict[str, Any], version: str) -> list[str]:
    """The faults of an object of Kubernetes itself, unknown fields included.

    Args:
        thing: the object; its kind is looked up by ``apiVersion`` and ``kind``.
        version: of Kubernetes, one of ``VERSIONS``.
    """
    if version not in VERSIONS:
        raise ValueError(f"version {version!r} is not one of {VERSIONS}")
    schema = _schema(thing.get("apiVersion", ""), thing.get("kind", ""), version)
    if schema is None:
        return [f"Kubernetes {version} knows no {thing.get('apiVersion')} {thing.get('kind')}"]
    return _explained(_validator(schema, version), thing)


def metadata_errors(metadata: Any, version: str) -> list[str]:
    """The faults of an object's metadata, whatever its kind; their paths start with ``metadata``."""
    schema = _schema("meta/v1", "ObjectMeta", version)
    return [f"metadata.{fault}" for fault in _explained(_validator(schema, version), metadata)]


def _explained(validator: Any, thing: Any) -> list[str]:
    faults = sorted(validator.iter_errors(thing), key=lambda fault: [str(part) for part in fault.path])
    return [f"{'.'.join(map(str, fault.path)) or '(whole)'}: {fault.message[:300]}" for fault in faults]


@functools.cache
def _folder(version: str) -> str:
    root = importlib.resources.files("kubernetes_validate").joinpath("kubernetes-json-schema")
    names = [entry.name for entry in root.iterdir() if entry.name.startswith(f"v{version}")]
    return f"kubernetes-json-schema/{next(name for name in sorted(names) if name.endswith('-local-strict'))}"


@functools.cache
def _definitions(version: str) -> Any:
    return Resource.from_contents(schema_contents(f"{_folder(version)}/_definitions.json", version))


@functools.cache
def _schema(api_version: str, kind: str, version: str) -> Any:
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.split(".")[0], number)))
    try:
        return schema_contents(f"{_folder(version)}/{name}.json", version)
    except FileNotFoundError:
        return None


def _validator(schema: Any, version: str) -> Any:
    definitions = _definitions(version)
    registry = definitions @ (Resource.from_contents(schema) @ Registry())
    return jsonschema.Draft202012Validator(schema, registry=registry)


@functools.cache
def _crd_schemas() -> dict[tuple[str, str], Any]:
    schemas = {}
    for definition in crds():
        spec = definition["spec"]
        for version in spec["versions"]:
            key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            schemas[key] = _top(_strict(version["schema"]["openAPIV3Schema"]))
    return schemas


def _top(schema: dict[str, Any]) -> dict[str, Any]:
    """An object's own three fields, which a definition may leave out; metadata is checked on its own."""
    common = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    properties = {**schema.get("properties", {}), **common}
    return {**schema, "properties": properties, "required": sorted({*schema.get("required", []), *common})}


def _strict(node: Any) -> Any:
    """A schema of OpenAPI 3 as JSON Schema, closed to unknown fields."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string") is True:
        return _INT_OR_STRING
    made = {key: _strict(value) for key, value in node.items()}
    open_end = node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node
    if isinstance(node.get("properties"), dict) and not open_end:
        made["additionalProperties"] = False
    if node.get("nullable") is True and isinstance(node.get("type"), str):
        made["type"] = [node["type"], "null"]
    return made
