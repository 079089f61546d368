"""Whether intervals hold what they promise: how many observed values lie inside, and how wide that makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.evaluate.grouping import Grouping, added
from lstfill.model.calibration import INTERVAL, LEVELS

_NOMINAL_AT = LEVELS.index(INTERVAL)


@dataclass(frozen=True)
class Intervals:
    """Counts and widths of intervals; those of windows add up.

    Attributes:
        levels: for each of ``LEVELS`` the number of observed values inside, and the sum of widths in K ``(2, levels)``.
        total: of the 90 % interval: cells, observed values inside, sum of widths and of interval scores in K ``(4,)``.
        groups: the same in the groups of each break-down ``(4, groups)``.
    """

    levels: NDArray[np.float64]
    total: NDArray[np.float64]
    groups: dict[str, NDArray[np.float64]]

    @classmethod
    def of(
        cls, error: NDArray[np.floating], half_widths: NDArray[np.floating], grouping: Grouping | None = None
    ) -> Self:
        """Counts cells of one window; those without an interval are left out.

        Args:
            error: predicted minus observed ``(n,)`` in K.
            half_widths: of the central interval at each of ``LEVELS`` ``(levels, n)`` in K, NaN where there is none.
            grouping: the groups of the cells.
        """
        known = np.isfinite(half_widths).all(axis=0)
        off = np.abs(np.asarray(error, np.float64))[known]
        half = np.asarray(half_widths, np.float64)[:, known]
        levels = np.stack([np.count_nonzero(off <= half, axis=1), 2 * half.sum(axis=1)])
        statistics = _statistics(off, half[_NOMINAL_AT])
        groups = {} if grouping is None else grouping.where(known).tables(*statistics)
        return cls(levels, np.array([off.size, *(values.sum() for values in statistics)], np.float64), groups)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.levels + other.levels, self.total + other.total, added(self.groups, other.groups))

    def result(self, labels: Mapping[str, tuple[str, ...]]) -> dict[str, Any] | None:
        """Coverage, width and score of the 90 % interval, over all and by group, and the share inside by level.

        The interval score is the width, and for a value outside 20 times its distance to the interval: the lower the
        better, and best for the true quantiles (Gneiting and Raftery 2007, "Strictly proper scoring rules", J. Am.
        Stat. Assoc. 102, eq. 43).

        Args:
            labels: of the groups of the break-downs to give; a group without a cell is left out.
        """
        n = self.total[0]
        if not n:
            return None
        inside, width = self.levels / n
        levels = {f"{level:g}": (float(i), float(w)) for level, i, w in zip(LEVELS, inside, width, strict=True)}
        return {
            **_named(self.total),
            "levels": {level: {"inside": i, "width_k": w} for level, (i, w) in levels.items()},
            "groups": {
                name: {label: _named(of) for label, of in zip(given, self.groups[name].T, strict=True) if of[0]}
                for name, given in labels.items()
                if name in self.groups
            },
        }


def _statistics(off: NDArray[np.float64], half: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    outside = np.maximum(off - half, 0)
    return [(outside == 0).astype(float), 2 * half, 2 * half + 2 / (1 - INTERVAL) * outside]


def _named(sums: NDArray[np.float64]) -> dict[str, Any]:
    n, inside, width, score = sums.tolist()
    return {"n": round(n), "coverage_90": inside / n, "width_90_k": width / n, "interval_score_90_k": score / n}
