"""Which cells train, validate and test, and which observed values are hidden to score the fill."""

from lstfill.split.balance import (
    BlockCounts,
    assert_no_empty,
    balance,
    count_parts,
    count_usable,
    parts_of_blocks,
    reached,
    sum_counts,
)
from lstfill.split.blocks import PARTS, Part, SplitTable, draw_blocks
from lstfill.split.draw import order_key, uniform
from lstfill.split.gaps import GapPlan, GapTable, TileCounts, choose, count_candidates, plan_gaps
from lstfill.split.given import assert_given, given, on_step, step_of

__all__ = [
    "PARTS",
    "BlockCounts",
    "GapPlan",
    "GapTable",
    "Part",
    "SplitTable",
    "TileCounts",
    "assert_given",
    "assert_no_empty",
    "balance",
    "choose",
    "count_candidates",
    "count_parts",
    "count_usable",
    "draw_blocks",
    "given",
    "on_step",
    "order_key",
    "parts_of_blocks",
    "plan_gaps",
    "reached",
    "step_of",
    "sum_counts",
    "uniform",
]
