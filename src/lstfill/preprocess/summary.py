"""Statistics of the samples: moments, range and quantiles of every variable, gathered shard by shard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.split import draw

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
        p01: 1 % quantile; this and the others from a uniform subsample of 100 000 samples.
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
        if not len(values):
            return
        mean = float(values.mean())
        n, delta = self.n + len(values), mean - self.mean
        self.squares += float(np.square(values - mean).sum()) + delta**2 * self.n * len(values) / n
        self.mean += delta * len(values) / n
        self.low, self.high, self.n = min(self.low, float(values.min())), max(self.high, float(values.max())), n


@dataclass
class _Subsample:
    """The rows whose position hashes lowest: uniform over all rows, however these are ordered and cut."""

    size: int
    seen: int = 0
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    rows: NDArray[np.float32] | None = None

    def add(self, rows: NDArray[np.float32]) -> None:
        keys = draw.order_key(np.arange(self.seen, self.seen + len(rows)), 0, "quantiles")
        self.seen += len(rows)
        keys = np.concatenate([self.keys, keys])
        rows = rows if self.rows is None else np.concatenate([self.rows, rows])
        if len(keys) > self.size:
            kept = np.argpartition(keys, self.size)[: self.size]
            keys, rows = keys[kept], rows[kept]
        self.keys, self.rows = keys, rows

    def quantiles(self, column: int) -> dict[str, float]:
        values = np.empty(0) if self.rows is None else self.rows[:, column].astype(np.float64)
        values = values[np.isfinite(values)]
        found = np.quantile(values, list(_QUANTILES.values())) if len(values) else [math.nan] * len(_QUANTILES)
        return {name: float(value) for name, value in zip(_QUANTILES, found, strict=True)}


class Accumulator:
    """Gathers the statistics of samples that come shard by shard.

    The same shards in the same order give the same bits, and shards do not depend on chunks or workers.
    """

    def __init__(self, features: Sequence[str], target: str) -> None:
        self._features = tuple(features)
        self._target = target
        self._moments = [_Moments() for _ in (*features, target)]
        self._subsample = _Subsample(_SUBSAMPLE)

    def add(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
        """Takes one shard: features ``(n, f)`` with NaN where missing, and target ``(n,)``."""
        rows = np.column_stack([x, y])
        self._subsample.add(rows)
        for moments, column in zip(self._moments, rows.T, strict=True):
            moments.add(column[np.isfinite(column)].astype(np.float64))

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
