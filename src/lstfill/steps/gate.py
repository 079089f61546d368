"""The gate of the registry: a new version is scored beside the one that has its alias, and gets it only if better."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstfill.config import Gate, Tracking
from lstfill.errors import LstfillError
from lstfill.steps import models
from lstfill.steps.provenance import origin_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lstfill.evaluate.gate import Decision
    from lstfill.evaluate.tally import Tally
    from lstfill.model import Model
    from lstfill.steps.reader import Reader
    from lstfill.tracking import Alias

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Challenge:
    """A registered version that wants an alias.

    Attributes:
        alias: that it wants.
        version: its own.
        current: the version that has the alias; None if none has.
        rival: the current version's model; None where there is none, or none to score.
        obstacle: why the current version cannot be scored on this cube; empty if it can.
    """

    alias: Alias
    version: str
    current: str | None
    rival: Model | None = None
    obstacle: str = ""

    @property
    def label(self) -> str:
        """What the current version is called among the scored models."""
        return f"{self.alias.alias}@{self.current}"

    def decide(self, gate: Gate, tally: Tally, groups: Sequence[str]) -> Decision:
        """What the gate says to the scores.

        Args:
            gate: its rule.
            tally: scores of the new version and, under ``label``, of the current one.
            groups: break-downs that may not become worse.
        """
        from lstfill.evaluate import gate as rule
        from lstfill.evaluate.groups import labels_of

        if self.current is None:
            return rule.first(gate)
        if self.current == self.version:
            return rule.kept(gate, self.current)
        if self.rival is None:
            return rule.refused(gate, self.current, self.obstacle)
        return rule.decide(gate, self.current, tally.paired(self.label), labels_of("held_out_gaps", groups))

    def enact(self, decision: Decision, evaluation: str) -> None:
        """Moves the alias, or leaves it, and keeps the reason with the version.

        Args:
            decision: of the gate.
            evaluation: address of the evaluation it rests on.

        Raises:
            TrackingError: if the registry cannot be reached.
        """
        tags: dict[str, Any] = {"evaluation": evaluation, "current": self.current or "none"}
        tags |= (
            {} if decision.test is None else {key: decision.test[key] for key in ("difference_k", "p", "blocks", "n")}
        )
        act = self.alias.promote if decision.promoted else self.alias.refuse
        act(self.version, decision.reason, tags)
        told = "has" if decision.promoted else "is refused"
        logger.info(
            "version %s of %s %s @%s: %s", self.version, self.alias.name, told, self.alias.alias, decision.reason
        )

    def facts(self, decision: Decision) -> dict[str, Any]:
        """The decision in plain values, with what it was about."""
        return {"name": self.alias.name, "alias": self.alias.alias, "version": self.version, **decision.to_dict()}


def challenge(model: str, tracking: Tracking, reader: Reader) -> Challenge | None:
    """What a model directory was registered for; None if it was not, or wants no alias.

    Args:
        model: address of a model directory of step train.
        tracking: where the registry is.
        reader: of the cube that both versions will be scored on.

    Raises:
        TrackingError: if the registry cannot be reached.
    """
    from lstfill.tracking import Alias, resolve_uri

    origin = origin_of(model)
    wanted = origin["configuration"]["train"]
    if not (wanted["register_as"] and wanted["alias"]):
        return None
    alias = Alias(resolve_uri(tracking, None), wanted["register_as"], wanted["alias"])
    version, current = origin["facts"]["version"].rsplit("/", 1)[-1], alias.current()
    if current is None or current == version:
        return Challenge(alias, version, current)
    try:
        rival = models.load(f"{models.REGISTRY}{alias.name}/{current}", tracking, reader.target, reader.features)
    except LstfillError as error:
        return Challenge(alias, version, current, obstacle=str(error))
    return Challenge(alias, version, current, rival)
