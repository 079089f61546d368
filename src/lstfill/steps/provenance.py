"""What every store says of itself: step, version, configuration, inputs, and an identity that follows from them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from lstfill.artifacts import Pointer
from lstfill.config import Section
from lstfill.errors import StoreError
from lstfill.storage import objects, stores
from lstfill.storage.address import is_s3, join, local_path, scheme, shown

SEAL = "provenance.json"
"""Object that makes a directory of objects whole; it is written last."""

# One of these is there as soon as anything is, in the order in which directories are copied.
_OURS = (SEAL, "evaluation.json", "history.json", "loss.png", "model.json")


def describe(
    step: str,
    *,
    section: Section | None = None,
    inputs: Mapping[str, str] | None = None,
    content: str = "",
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describes a store before it is committed.

    Args:
        step: the step that writes it.
        section: the step's part of the configuration.
        inputs: addresses of the stores it was made from, by name.
        content: digest of content that does not follow from configuration and inputs.
        facts: small things a later step wants to know without opening the store.

    Returns:
        Step, version, time, identity, the configuration of this and all earlier steps with its hash, the identities of
        all earlier stores, and the facts.
    """
    origins = {name: origin_of(uri) for name, uri in (inputs or {}).items()}
    own = {} if section is None else {step_section(step): section.model_dump(mode="json")}
    configuration = _merged(origin["configuration"] for origin in origins.values()) | own
    lineage = _merged(origin["lineage"] for origin in origins.values())
    lineage |= {name: origin["identity"] for name, origin in origins.items()}
    identity = _digest([step, own, {name: origin["identity"] for name, origin in origins.items()}, content])
    return {
        "step": step,
        "version": version("lstfill"),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "identity": identity,
        "configuration": configuration,
        "config_hash": _digest(configuration),
        "lineage": lineage,
        "facts": dict(facts or {}),
    }


def step_section(step: str) -> str:
    """Name of the section of the configuration that belongs to a step."""
    return "source" if step == "ingest" else step


def refuse_own_input(output: str, *inputs: str | None) -> None:
    """Refuses to write where a step reads: what is there would be wiped before it is read.

    Args:
        output: address to write to.
        inputs: addresses that are read; those that are not given do not count.

    Raises:
        StoreError: if one lies in the other, or they are the same.
    """
    target = _place(output)
    for address in filter(None, inputs):
        place = _place(address)
        if f"{place}/".startswith(f"{target}/") or f"{target}/".startswith(f"{place}/"):
            raise StoreError(
                f"{shown(output)} is to be written while {shown(address)} is read, which it would wipe or spoil: "
                "choose another place for the output"
            )


def _place(address: str) -> str:
    """An address that is equal for the same place."""
    if scheme(address) == "file" and not address.startswith("models:"):
        return str(local_path(address).resolve())
    return address.rstrip("/")


def begin(uri: str) -> None:
    """Begins a directory of objects: takes the seal of an earlier one away, or a killed step would leave it whole.

    Raises:
        StoreError: if something is there that is not ours.
    """
    if _occupied(uri) and not _is_ours(uri):
        raise StoreError(f"{shown(uri)} holds something that lstfill did not write: choose another place")
    objects.remove(join(uri, SEAL))


def _occupied(uri: str) -> bool:
    if is_s3(uri):
        return objects.exists(uri)
    path = local_path(uri)
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _is_ours(uri: str) -> bool:
    return any(objects.exists(join(uri, name)) for name in _OURS)


def seal(uri: str, provenance: Mapping[str, Any]) -> None:
    """Makes a directory of objects whole; call it after everything else is written."""
    objects.put_json(join(uri, SEAL), dict(provenance))


def origin_of(uri: str) -> dict[str, Any]:
    """The provenance of a store or a directory of objects.

    Raises:
        StoreError: if nothing is there, or what is there is not whole.
    """
    sealed = join(uri, SEAL)
    if not uri.rstrip("/").endswith(".zarr") and objects.exists(sealed):
        found: dict[str, Any] = objects.get_json(sealed)
        return found
    try:
        return stores.provenance(uri)
    except StoreError:
        if not _is_ours(uri):
            raise
    raise StoreError(
        f"{shown(uri)} is not whole: the step that wrote it did not finish (it has no {SEAL}). "
        "Run that step again; it overwrites what is there"
    )


def pointer_to(uri: str, provenance: Mapping[str, Any], **facts: Any) -> Pointer:
    """The pointer a step returns for what it wrote."""
    return Pointer(uri, provenance["step"], provenance["identity"], {**provenance["facts"], **facts})


def refuse_foreign(uri: str, step: str, wanted: str) -> dict[str, Any]:
    """The provenance of a store that must have been written by a certain step.

    Raises:
        StoreError: if it was written by another one, which tells that addresses were mixed up.
    """
    origin = origin_of(uri)
    if origin["step"] != step:
        raise StoreError(f"{uri} was written by step {origin['step']}, not {step}: give the address of {wanted}")
    return origin


def _merged(mappings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for mapping in mappings for key, value in mapping.items()}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
