"""Aliases of registered models: which version has one, and why a version got or did not get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lstfill.tracking.client import connect, error_code, translated
from lstfill.tracking.uri import redact

_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


@dataclass(frozen=True)
class Alias:
    """An alias of a registered model, at a tracking server.

    Attributes:
        uri: address of the server, from ``resolve_uri``.
        name: of the registered model.
        alias: points to one of its versions, or to none yet.
    """

    uri: str
    name: str
    alias: str

    def current(self) -> str | None:
        """The version that has the alias; None if none has.

        Raises:
            TrackingError: the server cannot be reached, or refuses.
        """
        from mlflow.exceptions import MlflowException

        client = connect(self.uri)
        with translated(self.uri, f"look up {self.name}@{self.alias}"):
            try:
                return str(client.get_model_version_by_alias(self.name, self.alias).version)
            except MlflowException as error:
                if error_code(error) not in _ABSENT:
                    raise
                return None

    def promote(self, version: str, reason: str, tags: Mapping[str, Any]) -> None:
        """Moves the alias to a version and keeps the reason with it.

        Args:
            version: that is to have the alias.
            reason: a sentence; it becomes the version's description and a tag.
            tags: further facts for the version.

        Raises:
            TrackingError: the server cannot be reached, or there is no such version.
        """
        self._record(version, "promoted", reason, tags)
        with translated(self.uri, f"set {self.name}@{self.alias}"):
            connect(self.uri).set_registered_model_alias(self.name, self.alias, version)

    def refuse(self, version: str, reason: str, tags: Mapping[str, Any]) -> None:
        """Keeps with a version why it did not get the alias, which stays where it is; arguments as of ``promote``."""
        self._record(version, "refused", reason, tags)

    def _record(self, version: str, verdict: str, reason: str, tags: Mapping[str, Any]) -> None:
        client = connect(self.uri)
        with translated(self.uri, f"tag version {version} of {self.name}"):
            client.update_model_version(self.name, version, redact(f"{self.alias}: {verdict}. {reason}"))
            for key, value in {"verdict": verdict, "reason": reason, **tags}.items():
                client.set_model_version_tag(self.name, version, f"gate.{self.alias}.{key}", redact(str(value)))
