"""Fits a calibration to errors on artificial gaps.

Errors of one date and region are alike, so that thousands of them may say no more than one: variances are those of
sums by block (Liang and Zeger 1986, doi:10.1093/biomet/73.1.13), and what few blocks say is shrunk to what all say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstfill.errors import DataError
from lstfill.gaps import LABELS
from lstfill.model.base import Reach
from lstfill.model.calibration import INTERVAL, LEVELS, Calibration, believable, log_factors
from lstfill.model.residuals import Residuals

Array = NDArray[np.float64]

# A model that does not look around errs alike however large the gap.
FACTORS = {
    Reach.CELL: ("latitude", "season"),
    Reach.PLACE: ("latitude", "season"),
    Reach.TILE: ("gap_size", "distance", "days", "missing", "season", "latitude"),
}
GROUPS = {Reach.CELL: ("latitude", "season"), Reach.PLACE: ("latitude", "season"), Reach.TILE: ("gap_size", "season")}
PRIOR = 0.15
"""Deviation of the logarithms of factors before anything is known."""
ENOUGH_BLOCKS = 30.0
"""Blocks at which the quantile of a group counts as much as that of all."""
ITERATIONS = 10
FOLDS = 5


def fit_calibration(pieces: Iterable[Residuals], reach: Reach, source: str) -> Calibration:
    """Fits factors of the scale, and the multiples of it that hold the wanted shares of the errors.

    Quantiles are of errors in units of a scale that was fitted without their block (cross-conformal, Vovk 2015,
    doi:10.1007/s10472-013-9368-4): a scale looks better where it was fitted.

    Args:
        pieces: errors on artificial gaps; the order does not matter but for rounding.
        reach: of the model; only one that looks around has factors of what it sees.
        source: where the errors are from, as ``Calibration.source`` has it.

    Raises:
        DataError: there is no finite error.
    """
    finite = [piece.where(np.isfinite(piece.residual)) for piece in pieces]
    if not any(map(len, finite)):
        raise DataError("calibration", [f"no error of {source} is finite: check the values of target and features"])
    sample = _Sample.of(Residuals.joined(finite))
    power, factors = _fit_scale(sample, FACTORS[reach])
    relative = np.maximum(np.abs(sample.residual), sample.floor) / np.exp(_out_of_fold(sample, FACTORS[reach]))
    group_factors = _group_factors(sample, relative, GROUPS[reach])
    relative /= np.exp(group_factors[tuple(sample.classes[name] for name in GROUPS[reach])])
    return Calibration(
        power=power,
        typical=sample.typical,
        factors={name: tuple(of.tolist()) for name, of in factors.items()},
        groups=GROUPS[reach],
        group_factors=tuple(tuple(row) for row in group_factors.tolist()),
        quantiles=_quantiles(sample, relative),
        residuals=round(float(sample.weight.sum())),
        blocks=sample.blocks,
        source=source,
    )


@dataclass(frozen=True)
class _Sample:
    """Errors ready to fit: blocks numbered from 0, logarithms in double precision."""

    residual: Array
    log_own: Array
    classes: dict[str, NDArray[np.int8]]
    block: NDArray[np.intp]
    weight: Array
    typical: float
    floor: float

    @classmethod
    def of(cls, errors: Residuals) -> _Sample:
        known = errors.spread[np.isfinite(errors.spread) & (errors.spread > 0)]
        typical = float(np.median(known)) if len(known) else 1.0
        residual = errors.residual.astype(np.float64)
        return cls(
            residual,
            np.log(believable(errors.spread, typical)),
            errors.named(),
            np.unique(errors.block, return_inverse=True)[1].ravel(),
            errors.weight.astype(np.float64),
            typical,
            # An error of zero has no logarithm; one of a hundredth of the usual is as good.
            max(0.01 * float(np.median(np.abs(residual))), 1e-6),
        )

    @property
    def blocks(self) -> int:
        return int(self.block.max()) + 1

    def log_error(self) -> Array:
        return np.log(np.maximum(np.abs(self.residual), self.floor))

    def where(self, rows: NDArray[np.bool_]) -> _Sample:
        return _Sample(
            self.residual[rows],
            self.log_own[rows],
            {name: of[rows] for name, of in self.classes.items()},
            self.block[rows],
            self.weight[rows],
            self.typical,
            self.floor,
        )


def _fit_scale(sample: _Sample, names: tuple[str, ...]) -> tuple[float, dict[str, Array]]:
    """Power of the own spread and factors of classes, by backfitting on the logarithm of the absolute error."""
    error, power = sample.log_error(), 1.0
    factors = {name: np.zeros(len(LABELS[name])) for name in names}
    for _ in range(ITERATIONS):
        rest = error - log_factors(factors, sample.classes)
        power = _power(sample, rest)
        rest = rest - power * sample.log_own
        for name in names:
            rest = rest + factors[name][sample.classes[name]]
            level = np.average(rest, weights=sample.weight)
            factors[name] = _shrunk_means(sample, rest - level, sample.classes[name], len(LABELS[name]))
            rest = rest - factors[name][sample.classes[name]]
    return power, factors


def _power(sample: _Sample, rest: Array) -> float:
    """Slope on the logarithm of the own spread, from 0, where it says nothing, to 1, where it is proportional."""
    own = sample.log_own - np.average(sample.log_own, weights=sample.weight)
    square = float((sample.weight * own * own).sum())
    if square < 1e-9 * sample.weight.sum():
        return 0.0
    return float(np.clip((sample.weight * own * rest).sum() / square, 0.0, 1.0))


def _shrunk_means(sample: _Sample, values: Array, classes: NDArray[np.int8], n: int) -> Array:
    """Mean of each class ``(n,)``, shrunk to 0 by its variance over blocks; 0 for a class of a single block."""
    weight = np.maximum(np.bincount(classes, sample.weight, n), 1e-9)
    mean = np.bincount(classes, sample.weight * values, n) / weight
    cell = classes.astype(np.intp) * sample.blocks + sample.block
    off = np.bincount(cell, sample.weight * (values - mean[classes]), n * sample.blocks).reshape(n, -1)
    blocks = np.count_nonzero(np.bincount(cell, minlength=n * sample.blocks).reshape(n, -1), axis=1)
    several = blocks > 1
    variance = (off**2).sum(axis=1) / weight**2 * blocks / np.maximum(blocks - 1, 1)
    return np.where(several, mean * PRIOR**2 / (PRIOR**2 + variance), 0.0)


def _out_of_fold(sample: _Sample, names: tuple[str, ...]) -> Array:
    """Logarithm of the scale of each error, fitted without the errors of its block."""
    log = np.zeros(len(sample.residual))
    for fold in range(FOLDS):
        inside = sample.block % FOLDS == fold
        # Of one block alone nothing can be left out.
        power, factors = _fit_scale(sample if inside.all() else sample.where(~inside), names)
        held = sample.where(inside)
        log[inside] = power * held.log_own + log_factors(factors, held.classes)
    return log


def _group_factors(sample: _Sample, relative: Array, groups: tuple[str, str]) -> Array:
    """Logarithms of what makes the 90 % interval hold in each class of the first, the second, and in both."""
    sizes = tuple(len(LABELS[name]) for name in groups)
    first, second = (sample.classes[name].astype(np.intp) for name in groups)
    total = np.zeros(sizes)
    for code, shape in ((first, (-1, 1)), (second, (1, -1)), (first * sizes[1] + second, sizes)):
        n = int(np.prod(sizes)) if shape == sizes else sizes[shape.index(-1)]
        total += _log_ratios(sample, relative / np.exp(total[first, second]), code, n).reshape(shape)
    return total


def _log_ratios(sample: _Sample, relative: Array, code: NDArray[np.intp], n: int) -> Array:
    """Logarithm of a group's quantile over that of all, shrunk to 0 where few blocks speak for the group."""
    everywhere = math.log(quantile(relative, sample.weight, INTERVAL))
    found = np.zeros(n)
    for group in np.unique(code):
        found[group] = _log_quantile(sample, relative, code == group, INTERVAL) - everywhere
    return found


def _quantiles(sample: _Sample, relative: Array) -> tuple[tuple[float, ...], ...]:
    """Half widths in units of the scale, by season and level, shrunk to those of all seasons."""
    seasons = [sample.classes["season"] == season for season in range(len(LABELS["season"]))]
    return tuple(
        tuple(float(np.exp(_log_quantile(sample, relative, here, level))) for level in LEVELS) for here in seasons
    )


def _log_quantile(sample: _Sample, relative: Array, here: NDArray[np.bool_], level: float) -> float:
    """Logarithm of the quantile of some errors, between theirs and that of all by the blocks they come from."""
    everywhere = math.log(quantile(relative, sample.weight, level))
    if not here.any():
        return everywhere
    by_block = np.bincount(sample.block[here], sample.weight[here])
    # As many blocks of one size would say as much.
    others = float(by_block.sum() ** 2 / (by_block**2).sum()) - 1
    trust = others / (others + ENOUGH_BLOCKS)
    return trust * math.log(quantile(relative[here], sample.weight[here], level)) + (1 - trust) * everywhere


def quantile(values: Array, weight: Array, level: float) -> float:
    """Smallest of the values that the share ``level (n + 1) / n`` of the weight does not exceed, else the largest."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order])
    n = len(values)
    at = np.searchsorted(share, min(1.0, level * (n + 1) / n) * share[-1] * (1 - 1e-12))
    return float(values[order][min(at, n - 1)])
