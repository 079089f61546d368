"""Gaps: artificial ones for learning and calibration, and what surrounds the cells of a gap."""

from lstfill.gaps.artificial import PARTS, artificial_gaps
from lstfill.gaps.surroundings import LABELS, gap_size, surroundings

__all__ = ["LABELS", "PARTS", "artificial_gaps", "gap_size", "surroundings"]
