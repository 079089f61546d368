"""The gate: better passes, worse or no better does not, nor does what hurts one group; the reason says why."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lstfill.config import Gate
from lstfill.evaluate import gate
from lstfill.evaluate.comparison import Paired
from lstfill.evaluate.grouping import Grouping

LABELS = {"season": ("DJF", "JJA"), "gap_size": ("1-9", "10-99")}
RULE = Gate()


def paired(by_season, cells=500, blocks=20, noise=0.05, seed=0, few=0):
    """Differences of mean ``by_season``; the first ``few`` cells lie in small gaps and are 3 K worse."""
    rng = np.random.default_rng(seed)
    season, block = np.arange(2 * cells) % 2, np.arange(2 * cells) * blocks // (2 * cells)
    difference = np.asarray(by_season)[season] + noise * rng.normal(size=2 * cells)
    size = (np.arange(2 * cells) >= few).astype(int)
    difference[:few] += 3
    return Paired.of(
        difference, block, (blocks, 1, 1), Grouping.of({"season": (season, 2), "gap_size": (size, 2)}, size.size)
    )


def test_the_first_gets_the_alias():
    decision = gate.first(RULE)
    assert (decision.promoted, decision.current) == (True, None)
    assert decision.reason.startswith("first")


def test_a_better_model_gets_it_and_the_reason_has_the_figures():
    decision = gate.decide(RULE, "3", {"held_out_gaps": paired((-0.5, -0.3)), "test": paired((9, 9))}, LABELS)
    assert decision.promoted
    assert decision.test["difference_k"] == pytest.approx(-0.4, abs=0.01)
    assert decision.reason.startswith(
        "better, and no group is worse by more than 0.1 K (at most -0.30 K in season JJA)"
    )
    assert "on held-out gaps its MAE differs by -0.40" in decision.reason
    assert "version 3" in decision.reason
    assert "20 blocks, 1000 cells" in decision.reason


def test_the_one_that_has_it_keeps_it():
    assert gate.kept(RULE, "4").promoted
    assert "already" in gate.kept(RULE, "4").reason


@pytest.mark.parametrize("by_season", [(0.5, 0.3), (0.0, 0.0)])
def test_a_worse_one_and_one_no_better_are_refused(by_season):
    decision = gate.decide(RULE, "3", {"held_out_gaps": paired(by_season, seed=2)}, LABELS)
    assert not decision.promoted
    assert decision.reason.startswith("not shown to be better (p must be below 0.05)")


def test_one_group_that_gets_worse_is_enough_to_refuse():
    decision = gate.decide(RULE, "3", {"held_out_gaps": paired((-2.0, 0.2))}, LABELS)
    assert decision.test["p"] < 0.05
    assert not decision.promoted
    assert decision.reason.startswith("worse by +0.20 K in season JJA, more than 0.1 K")
    assert decision.worst_group["n"] == 500
    assert gate.decide(Gate(margin_k=0.3), "3", {"held_out_gaps": paired((-2.0, 0.2))}, LABELS).promoted


@pytest.mark.parametrize(("few", "promoted"), [(gate.ENOUGH - 1, True), (gate.ENOUGH, False)])
def test_a_group_of_few_cells_has_no_say(few, promoted):
    found = gate.decide(RULE, "3", {"held_out_gaps": paired((-2.0, -2.0), few=few)}, LABELS)
    assert found.promoted is promoted


def test_groups_that_were_not_asked_for_have_no_say():
    assert gate.decide(RULE, "3", {"held_out_gaps": paired((-2.0, 0.2))}, {"gap_size": LABELS["gap_size"]}).promoted


def test_test_cells_count_where_no_gaps_were_held_out():
    nothing = Paired.of(np.zeros(0), np.zeros(0, int), (2, 2, 1))
    decision = gate.decide(RULE, "1", {"test": paired((-1, -1)), "held_out_gaps": nothing}, LABELS)
    assert decision.promoted
    assert "on test cells (no gaps were held out)" in decision.reason
    assert gate.decide(RULE, "1", {"test": paired((-1, -1))}, LABELS).promoted


def test_models_without_a_common_cell_are_not_compared():
    decision = gate.decide(RULE, "7", {"test": Paired.of(np.zeros(0), np.zeros(0, int), (2, 2, 1))}, LABELS)
    assert not decision.promoted
    assert decision.reason == ("not compared with version 7, which keeps the alias: no cell has a value of both models")


def test_a_single_block_is_never_enough():
    """Cells of one block go together: there is nothing to tell luck from."""
    assert not gate.decide(RULE, "1", {"test": paired((-9, -9), blocks=1)}, LABELS).promoted


def test_it_is_plain():
    values = gate.decide(RULE, "3", {"held_out_gaps": paired((-0.5, -0.3))}, LABELS).to_dict()
    assert json.loads(json.dumps(values, allow_nan=False))["rule"] == {"level": 0.05, "margin_k": 0.1}
