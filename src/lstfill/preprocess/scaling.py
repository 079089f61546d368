"""Scaling: offset and scale of every variable, from the statistics of the train part alone."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.config import Preprocess
from lstfill.errors import ConfigError, DataError
from lstfill.preprocess.summary import Statistics

Factors = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Scaling:
    """Scaled value = (value - offset) / scale, for every feature and the target.

    Attributes:
        factors: offset and scale by name, in the variable's stored unit.
    """

    factors: Factors

    def arrays(self, names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Offsets and scales ``(names,)`` in the order of the names."""
        offset, scale = np.array([self.factors[name] for name in names], np.float64).reshape(-1, 2).T
        return offset, scale

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Plain values for JSON."""
        return {name: {"offset": offset, "scale": scale} for name, (offset, scale) in self.factors.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Mapping[str, float]]) -> Self:
        """Reads what ``to_dict`` wrote."""
        return cls({name: (float(of["offset"]), float(of["scale"])) for name, of in values.items()})


def fit(statistics: Statistics, preprocess: Preprocess) -> Scaling:
    """Derives the scaling from statistics.

    Args:
        statistics: of the train part, before anything is imputed.
        preprocess: which scaling; ``custom`` names a function from ``Statistics`` to ``{name: (offset, scale)}``.

    Raises:
        DataError: a variable has no values, or does not vary, and so cannot be scaled.
        ConfigError: the custom function cannot be imported or called, or gives something else.
    """
    _assert_values(statistics)
    if preprocess.scaling == "none":
        return Scaling(dict.fromkeys(statistics.variables, (0.0, 1.0)))
    if preprocess.scaling == "custom":
        return Scaling(_custom(str(preprocess.custom), statistics))
    if preprocess.scaling == "standardize":
        factors = {name: (of.mean, of.std) for name, of in statistics.variables.items()}
    else:
        factors = {name: (of.min, of.max - of.min) for name, of in statistics.variables.items()}
    _assert_variation(statistics, preprocess.scaling)
    return Scaling(factors)


def impute_values(statistics: Statistics, preprocess: Preprocess) -> dict[str, float]:
    """What takes the place of a missing feature, by name; empty where cells with one are dropped.

    Args:
        statistics: of the train part, before anything is imputed.
        preprocess: ``missing`` and ``constant``.
    """
    if preprocess.missing == "drop":
        return {}
    if preprocess.missing == "constant" and preprocess.constant is not None:
        return dict.fromkeys(statistics.features, preprocess.constant)
    return {name: statistics[name].mean for name in statistics.features}


def _assert_values(statistics: Statistics) -> None:
    issues = [
        f"{name!r} has no value in any sample: check the variable, or leave it out of source.features"
        for name, of in statistics.variables.items()
        if not of.n
    ]
    if issues:
        raise DataError("the train part", issues)


def _assert_variation(statistics: Statistics, scaling: str) -> None:
    measure = {"standardize": "deviation", "normalize": "range"}[scaling]
    issues = [
        f"{name!r} is {of.mean:g} in all {of.n} samples: scaling {scaling!r} would divide by a {measure} of 0; "
        "leave the variable out, or set preprocess.scaling: none"
        for name, of in statistics.variables.items()
        if of.max == of.min
    ]
    if issues:
        raise DataError("the train part", issues)


def _custom(path: str, statistics: Statistics) -> Factors:
    function = _imported(path)
    try:
        result = function(statistics)
    except Exception as error:
        raise ConfigError(f"preprocess.custom {path!r} failed on the statistics: {error!r}") from error
    try:
        factors = {str(name): (float(offset), float(scale)) for name, (offset, scale) in dict(result).items()}
    except (TypeError, ValueError) as error:
        raise ConfigError(f"preprocess.custom {path!r} must give {{name: (offset, scale)}}, gave {result!r}") from error
    _assert_factors(path, factors, statistics)
    return {name: factors[name] for name in statistics.variables}


def _imported(path: str) -> Callable[[Statistics], Any]:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ConfigError(
            f"preprocess.custom {path!r}: no module {module!r} ({error}); is it on PYTHONPATH?"
        ) from error
    except AttributeError:
        raise ConfigError(f"preprocess.custom {path!r}: module {module!r} has no function {name!r}") from None
    if not callable(found):
        raise ConfigError(f"preprocess.custom {path!r} is a {type(found).__name__}, not a function")
    function: Callable[[Statistics], Any] = found
    return function


def _assert_factors(path: str, factors: Factors, statistics: Statistics) -> None:
    missing = [name for name in statistics.variables if name not in factors]
    if missing:
        raise ConfigError(f"preprocess.custom {path!r} gives nothing for {missing}, only for {sorted(factors)}")
    bad = {n: f for n, f in factors.items() if not (math.isfinite(f[0]) and math.isfinite(f[1]) and f[1] > 0)}
    if bad:
        raise ConfigError(f"preprocess.custom {path!r} gives {bad}: offsets must be finite and scales above 0")
