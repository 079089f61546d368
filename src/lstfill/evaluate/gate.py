"""The gate: whether a new model may take the alias of the current one, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lstfill.evaluate.comparison import PairedTest
from lstfill.evaluate.visible import ScoredSet

if TYPE_CHECKING:
    from lstfill.config import Gate
    from lstfill.evaluate.comparison import Paired

ENOUGH = 100
"""Cells below which a group has no say: its mean error is a matter of one small gap."""
_WHERE = {"held_out_gaps": "on held-out gaps", "test": "on test cells (no gaps were held out)"}


@dataclass(frozen=True)
class Decision:
    """What the gate says.

    Attributes:
        promoted: whether the new model gets the alias.
        reason: a sentence.
        rule: what it was told to go by, ``level`` and ``margin_k``.
        current: the version that had the alias; None where none had.
        test: the paired test of the new model against it; None where there was none to make.
        worst_group: break-down, label, difference in K and cells of the group that the new model does worst by.
    """

    promoted: bool
    reason: str
    rule: Mapping[str, float]
    current: str | None = None
    test: PairedTest | None = None
    worst_group: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def first(gate: Gate) -> Decision:
    """Nothing has the alias yet: the first model gets it."""
    return Decision(True, "first: no version had the alias", gate.model_dump())


def kept(gate: Gate, current: str) -> Decision:
    """The model has the alias already: it was evaluated before."""
    return Decision(True, "it has the alias already, from an earlier evaluation", gate.model_dump(), current)


def refused(gate: Gate, current: str, why: str) -> Decision:
    """The current model cannot be compared with, so it stays."""
    return Decision(
        False, f"not compared with version {current}, which keeps the alias: {why}", gate.model_dump(), current
    )


def decide(
    gate: Gate, current: str, paired: Mapping[ScoredSet, Paired], labels: Mapping[str, tuple[str, ...]]
) -> Decision:
    """Compares the new model with the current one on the same cells: held-out gaps, or test cells if there are none.

    Args:
        gate: level of the test, and margin of the groups.
        current: version that has the alias.
        paired: differences of the new model's absolute error less the current one's, by scored set.
        labels: of the groups that may not become worse, by break-down.
    """
    where: ScoredSet = "held_out_gaps" if "held_out_gaps" in paired and paired["held_out_gaps"].n.any() else "test"
    test = paired[where].test()
    if test is None:
        return refused(gate, current, "no cell has a value of both models")
    worst = max(_groups(paired[where], labels), key=lambda row: row["difference_k"], default=None)
    fact = f"{_WHERE[where]} its MAE differs by {_shown(test)} from that of version {current}"
    faults = []
    if test["p"] >= gate.level:
        faults.append(f"not shown to be better (p must be below {gate.level:g})")
    if worst is not None and worst["difference_k"] > gate.margin_k:
        faults.append(f"worse by {_named(worst)}, more than {gate.margin_k:g} K")
    verdict = "; ".join(faults) if faults else "better, and " + _no_group(worst, gate)
    return Decision(not faults, f"{verdict}: {fact}", gate.model_dump(), current, test, worst)


def _groups(paired: Paired, labels: Mapping[str, tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """Groups with enough cells, each with its mean difference."""
    for name, given in labels.items():
        if name not in paired.groups:
            continue
        for label, (difference, n) in zip(given, paired.group(name), strict=True):
            if n >= ENOUGH:
                yield {"group": name, "label": label, "difference_k": difference, "n": n}


def _no_group(worst: Mapping[str, Any] | None, gate: Gate) -> str:
    if worst is None:
        return f"no group has {ENOUGH} cells"
    return f"no group is worse by more than {gate.margin_k:g} K (at most {_named(worst)})"


def _named(worst: Mapping[str, Any]) -> str:
    return f"{worst['difference_k']:+.2f} K in {worst['group'].replace('_', ' ')} {worst['label']}"


def _shown(test: PairedTest) -> str:
    interval = test["interval_k"]
    between = "" if interval is None else f", 95 % {interval[0]:+.3f} to {interval[1]:+.3f}"
    return f"{test['difference_k']:+.3f} K{between} (p {test['p']:.2g}, {test['blocks']} blocks, {test['n']} cells)"
