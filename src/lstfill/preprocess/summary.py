"""Statistics of the samples: moments, range and quantiles of every variable, gathered shard by shard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_QUANTILES = {"p01": 0.01, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p99": 0.99}
_SUBSAMPLE = 100_000


@dataclass(frozen=True)
class VariableStatistics:
    """One variable over the samples, in its stored unit; NaN where it has no value at all.

    Attributes:
        n: finite values.
        min: smallest value.
        max: largest value.
        mean: mean.
        std: standard deviation about the mean, of the population.
        p01: 1 % quantile; this and the others from every so-many-th sample, at least 100 000.
        p25: lower quartile.
        p50: median.
        p75: upper quartile.
        p99: 99 % quantile.
    """

    n: int
    min: float
    max: float
    mean: float
    std: float
    p01: float
    p25: float
    p50: float
    p75: float
    p99: float


@dataclass(frozen=True)
class Statistics:
    """All variables over the samples of one part.

    Attributes:
        target: name of the target.
        features: names of the features, in the order of the columns.
        variables: statistics by name.
    """

    target: str
    features: tuple[str, ...]
    variables: Mapping[str, VariableStatistics]

    def __getitem__(self, name: str) -> VariableStatistics:
        return self.variables[name]

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of each feature."""
        return {name: (self[name].min, self[name].max) for name in self.features}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        variables = {
            name: {key: None if math.isnan(value) else value for key, value in asdict(of).items()}
            for name, of in self.variables.items()
        }
        return {"target": self.target, "features": list(self.features), "variables": variables}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what ``to_dict`` wrote."""
        variables = {name: _variable(of) for name, of in values["variables"].items()}
        return cls(values["target"], tuple(values["features"]), variables)


def _variable(values: Mapping[str, float | None]) -> VariableStatistics:
    plain: dict[str, Any] = {key: math.nan if value is None else value for key, value in values.items()}
    return VariableStatistics(**plain)


@dataclass
class _Moments:
    """Number, mean and sum of squared deviations, merged shard by shard in float64.

    Merging: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979.
    """

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: NDArray[np.float64]) -> None:
        """Takes values of its own: they are overwritten."""
        if not len(values):
            return
        mean, low, high = float(values.mean()), float(values.min()), float(values.max())
        values -= mean
        np.square(values, out=values)
        self.merge(_Moments(len(values), mean, float(values.sum()), low, high))

    def merge(self, other: _Moments) -> None:
        if not other.n:
            return
        n, delta = self.n + other.n, other.mean - self.mean
        self.squares += other.squares + delta**2 * self.n * other.n / n
        self.mean += delta * other.n / n
        self.low, self.high, self.n = min(self.low, other.low), max(self.high, other.high), n


@dataclass
class _Subsample:
    """Every ``stride``-th row of all, from ``size`` to twice as many: the same ones however the rows are cut.

    Attributes:
        size: rows to keep at least, where there are so many.
        seen: place of the next row among all.
        stride: a power of two, doubled when there are twice as many rows as asked for.
        rows: those kept; their places follow one another, ending before ``seen``.
    """

    size: int
    seen: int = 0
    stride: int = 1
    rows: NDArray[np.float32] | None = None

    def add(self, columns: Sequence[NDArray[np.float32]]) -> None:
        kept = np.column_stack([column[-self.seen % self.stride :: self.stride] for column in columns])
        self.merge(_Subsample(self.size, self.seen + len(columns[0]), self.stride, kept))

    def merge(self, other: _Subsample) -> None:
        """Takes the rows that follow."""
        stride = max(self.stride, other.stride)
        self._thin(stride)
        other._thin(stride)
        parts = [of.rows for of in (self, other) if of.rows is not None]
        self.rows = np.concatenate(parts) if parts else None
        self.seen = other.seen
        while self.rows is not None and len(self.rows) >= 2 * self.size:
            self._thin(2 * self.stride)

    def _thin(self, stride: int) -> None:
        if self.rows is not None and stride > self.stride:
            first = -(-self.seen // self.stride) - len(self.rows)
            step = stride // self.stride
            self.rows = self.rows[-first % step :: step]
        self.stride = stride

    def quantiles(self, column: int) -> dict[str, float]:
        values = np.empty(0) if self.rows is None else self.rows[:, column].astype(np.float64)
        values = values[np.isfinite(values)]
        found = np.quantile(values, list(_QUANTILES.values())) if len(values) else [math.nan] * len(_QUANTILES)
        return {name: float(value) for name, value in zip(_QUANTILES, found, strict=True)}


class Accumulator:
    """Gathers the statistics of samples that come shard by shard.

    The same shards in the same order give the same bits, and shards do not depend on chunks or workers.
    """

    def __init__(self, features: Sequence[str], target: str, start: int = 0, total: int = 0) -> None:
        """Prepares for samples.

        Args:
            features: names of the columns of the features.
            target: name of the target.
            start: samples that come before the first one added here; whoever saw those merges this accumulator.
            total: samples altogether, if that is known: less is kept meanwhile.
        """
        self._features = tuple(features)
        self._target = target
        self._moments = [_Moments() for _ in (*features, target)]
        stride = 1 << max(0, (total // _SUBSAMPLE).bit_length() - 1)
        self._subsample = _Subsample(_SUBSAMPLE, start, stride)

    def add(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
        """Takes one shard: features ``(n, f)`` with NaN where missing, and target ``(n,)``."""
        columns = [*x.T, y]
        self._subsample.add(columns)
        for moments, column in zip(self._moments, columns, strict=True):
            known = np.isfinite(column)
            moments.add((column if known.all() else column[known]).astype(np.float64))

    def merge(self, other: Accumulator) -> None:
        """Takes what another one gathered of the samples that follow."""
        for mine, theirs in zip(self._moments, other._moments, strict=True):
            mine.merge(theirs)
        self._subsample.merge(other._subsample)

    def result(self) -> Statistics:
        """The statistics of all that was added."""
        names = (*self._features, self._target)
        return Statistics(self._target, self._features, {name: self._of(i) for i, name in enumerate(names)})

    def _of(self, column: int) -> VariableStatistics:
        moments, quantiles = self._moments[column], self._subsample.quantiles(column)
        if not moments.n:
            return VariableStatistics(0, math.nan, math.nan, math.nan, math.nan, **quantiles)
        std = math.sqrt(moments.squares / moments.n)
        return VariableStatistics(moments.n, moments.low, moments.high, moments.mean, std, **quantiles)


def collect(
    shards: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]], features: Sequence[str], target: str
) -> Statistics:
    """Statistics of a part; give it the train part alone, or the scores see what they should not.

    Args:
        shards: features ``(n, f)`` and target ``(n,)`` of each shard, in order.
        features: names of the columns of the features.
        target: name of the target.
    """
    accumulator = Accumulator(features, target)
    for x, y in shards:
        accumulator.add(x, y)
    return accumulator.result()
