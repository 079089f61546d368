"""The objects of the API double, with what an API server and its garbage collector do to them.

Everything runs in the one thread of the double's event loop, so nothing is locked.
"""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jsonpatch

from tests.kubernetes.resources import Resource
from tests.kubernetes.selectors import fields_match, labels_match

Thing = dict[str, Any]


class RefusedError(Exception):
    """An answer other than yes: a status, a reason in one word, and a message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(message)


@dataclass(frozen=True)
class Key:
    """Where an object is."""

    resource: Resource
    namespace: str | None
    name: str


@dataclass(frozen=True)
class Query:
    """Which objects are meant."""

    resource: Resource
    namespace: str | None = None
    name: str | None = None
    labels: str = ""
    fields: str = ""

    def meets(self, key: Key, thing: Thing) -> bool:
        """Whether an object is one of them."""
        return (
            key.resource == self.resource
            and self.namespace in (None, key.namespace)
            and self.name in (None, key.name)
            and labels_match(thing["metadata"].get("labels") or {}, self.labels)
            and fields_match(thing, self.fields)
        )


@dataclass(frozen=True)
class Change:
    """An entry of the log that watches follow."""

    version: int
    type: str
    key: Key
    thing: Thing


@dataclass
class Store:
    """All objects, every change so far, and who wants to know of them."""

    objects: dict[Key, Thing] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    version: int = 0
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def find(self, query: Query) -> list[Thing]:
        """The objects that a query means."""
        return [thing for key, thing in self.objects.items() if query.meets(key, thing)]

    def get(self, key: Key) -> Thing:
        """One object."""
        if key not in self.objects:
            raise RefusedError(404, "NotFound", f'{key.resource.plural} "{key.name}" not found')
        return self.objects[key]

    def create(self, resource: Resource, namespace: str | None, given: Thing) -> Thing:
        """Takes an object in, with a uid and a version."""
        thing = copy.deepcopy(given)
        meta = thing.setdefault("metadata", {})
        if not meta.get("name"):
            meta["name"] = f"{meta.pop('generateName')}{uuid.uuid4().hex[:5]}"
        key = Key(resource, namespace if resource.namespaced else None, meta["name"])
        if key in self.objects:
            raise RefusedError(409, "AlreadyExists", f'{resource.plural} "{key.name}" already exists')
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now(), "generation": 1}
        if key.namespace:
            meta["namespace"] = key.namespace
        thing |= {"apiVersion": resource.group_version, "kind": resource.kind}
        self._put(key, thing, "ADDED")
        self._collect(key)
        return thing

    def patch(self, key: Key, body: Any, *, as_json_patch: bool, subresource: str | None) -> Thing:
        """Changes an object by a merge patch or a JSON patch; its status apart from the rest, if it has one."""
        old = self.get(key)
        try:
            new = jsonpatch.apply_patch(old, body) if as_json_patch else merged(old, body)
        except (jsonpatch.JsonPatchTestFailed, jsonpatch.JsonPatchConflict) as error:
            raise RefusedError(422, "Invalid", str(error)) from error
        return self.replace(key, new, subresource=subresource)

    def replace(self, key: Key, given: Thing, *, subresource: str | None = None) -> Thing:
        """Puts a new state of an object; nothing happens when it is the old one."""
        old = self.get(key)
        new = copy.deepcopy(given)
        if key.resource.has_status:
            kept, changed = (old, new) if subresource == "status" else (new, old)
            new = {name: value for name, value in kept.items() if name != "status"}
            new |= {"status": changed["status"]} if "status" in changed else {}
        if new == old:
            return old
        new["metadata"]["generation"] = old["metadata"]["generation"] + (new.get("spec") != old.get("spec"))
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self._remove(key)
        else:
            self._put(key, new, "MODIFIED")
        return new

    def delete(self, key: Key, *, foreground: bool = False) -> Thing:
        """Removes an object, or marks it while finalizers hold it.

        Args:
            key: of the object.
            foreground: whether what it owns goes first, whatever holds the object itself.
        """
        thing = self.get(key)
        if foreground:
            self._remove_owned_by(thing)
        if not thing["metadata"].get("finalizers"):
            self._remove(key)
        elif not thing["metadata"].get("deletionTimestamp"):
            marked = copy.deepcopy(thing)
            marked["metadata"]["deletionTimestamp"] = _now()
            self._put(key, marked, "MODIFIED")
        return thing

    def since(self, version: int, query: Query) -> Iterator[Change]:
        """The changes after a version to the objects that a query means."""
        return (change for change in self.log if change.version > version and query.meets(change.key, change.thing))

    def _put(self, key: Key, thing: Thing, change: str) -> None:
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = thing
        self._tell(key, thing, change)

    def _remove(self, key: Key) -> None:
        thing = self.objects.pop(key)
        self.version += 1
        last = copy.deepcopy(thing)
        last["metadata"]["resourceVersion"] = str(self.version)
        self._tell(key, last, "DELETED")
        self._remove_owned_by(thing)

    def _remove_owned_by(self, thing: Thing) -> None:
        for other in [other for other, owned in self.objects.items() if _owned_by(owned, thing)]:
            if other in self.objects:
                self.delete(other)

    def _tell(self, key: Key, thing: Thing, change: str) -> None:
        self.log.append(Change(self.version, change, key, copy.deepcopy(thing)))
        for listener in self.listeners:
            listener(self.log[-1])
        self.changed.set()
        self.changed = asyncio.Event()

    def _collect(self, key: Key) -> None:
        """An object whose owners are all gone does not stay."""
        owners = self.objects[key]["metadata"].get("ownerReferences") or []
        present = {thing["metadata"]["uid"] for thing in self.objects.values()}
        if owners and not any(owner["uid"] in present for owner in owners):
            self.delete(key)


def merged(old: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386) applied."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    new = copy.deepcopy(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = merged(new.get(name), value)
    return new


def as_line(change: Change) -> bytes:
    """An entry of a watch's answer."""
    return json.dumps({"type": change.type, "object": change.thing}).encode() + b"\n"


def _owned_by(thing: Thing, owner: Thing) -> bool:
    return any(entry["uid"] == owner["metadata"]["uid"] for entry in thing["metadata"].get("ownerReferences") or [])


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
