"""How far filled values lie from the truth: a standard uncertainty and intervals, from errors on artificial gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.gaps import surroundings

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.model.base import Prediction

LEVELS = (0.5, 0.683, 0.8, 0.9, 0.95)
"""Shares of values that intervals are calibrated to hold."""
STANDARD, INTERVAL = 0.683, 0.9
"""Level whose half width is the standard uncertainty, that of one deviation of a normal error; and the wide one."""


@dataclass(frozen=True)
class Calibration:
    """Turns a model's own spread and what surrounds a cell into an uncertainty.

    The scale of a cell's error is its own spread to a power, times a factor for each class of its surroundings. Half
    widths are multiples of it that held the wanted share of the errors of artificial gaps, by season: normalised
    conformal prediction (Lei et al. 2018, "Distribution-free predictive inference for regression", J. Am. Stat. Assoc.
    113, section 5.2) within groups (Vovk et al. 2003, "Mondrian confidence machine").

    Attributes:
        power: of the model's own spread in the scale; 0 for a model without one.
        typical: own spread in K that a cell without one is given.
        factors: logarithm of the factor of each class, by the name of the classes.
        groups: two classifications within whose groups the 90 % interval holds.
        group_factors: logarithm of a further factor ``(classes of the first, of the second)``.
        quantiles: half widths in units of the scale ``(seasons, LEVELS)``.
        residuals: errors that this rests on.
        blocks: dates and regions that they come from, between which errors are taken for independent.
        source: where the errors are from, in words.
    """

    power: float
    typical: float
    factors: Mapping[str, tuple[float, ...]]
    groups: tuple[str, str]
    group_factors: tuple[tuple[float, ...], ...]
    quantiles: tuple[tuple[float, ...], ...]
    residuals: int
    blocks: int
    source: str

    def standard(
        self, chunk: Chunk, spread: NDArray[np.floating] | None, cells: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Standard uncertainty of the predictions at some cells ``(n,)`` in K.

        Args:
            chunk: what is visible around the cells; a calibration of surroundings should be given whole tiles.
            spread: own standard deviation of the model ``(time, lat, lon)`` in K, or None.
            cells: flat index of the cells, ascending ``(n,)``.
        """
        classes = surroundings(chunk, cells, {*self.factors, *self.groups, "season"})
        own = None if spread is None else np.take(spread, cells)
        standard: NDArray[np.float64] = self.scale(own, classes) * self._multiples((STANDARD,), classes["season"])[0]
        return standard

    def scale(self, own: NDArray[np.floating] | None, classes: Mapping[str, NDArray[np.int8]]) -> NDArray[np.float64]:
        """Scale of the error in K, from own spreads ``(n,)`` and the classes ``(n,)`` of the same cells."""
        log = log_factors(self.factors, classes) + self._group_factors()[tuple(classes[name] for name in self.groups)]
        log += self.power * np.log(self.typical if own is None else believable(own, self.typical))
        return np.exp(log)

    def half_widths(
        self, chunk: Chunk, prediction: Prediction, cells: NDArray[np.intp], levels: tuple[float, ...] = LEVELS
    ) -> NDArray[np.float64]:
        """Half widths of the central intervals around the predictions at some cells ``(levels, n)`` in K.

        Args:
            chunk: the window that the prediction is of.
            prediction: with the standard uncertainty where it is known already, else with the own spread.
            cells: flat index of the cells, ascending ``(n,)``.
            levels: of ``LEVELS``.

        Raises:
            ValueError: a level is none of ``LEVELS``.
        """
        if prediction.uncertainty is None:
            standard = self.standard(chunk, prediction.spread, cells)
        else:
            standard = np.take(prediction.uncertainty, cells).astype(np.float64)
        season = surroundings(chunk, cells, ["season"])["season"]
        return standard * self._multiples(levels, season) / self._multiples((STANDARD,), season)

    def uncertainty(
        self, chunk: Chunk, prediction: Prediction, cells: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Standard uncertainty and half width of the 90 % interval at some cells, each ``(n,)`` in K.

        Args:
            chunk: the window that the prediction is of.
            prediction: with the standard uncertainty where it is known already, else with the own spread.
            cells: flat index of the cells, ascending ``(n,)``.
        """
        standard, interval = self.half_widths(chunk, prediction, cells, (STANDARD, INTERVAL))
        return standard, interval

    def calibrated(self, chunk: Chunk, prediction: Prediction, cells: NDArray[np.intp]) -> Prediction:
        """The prediction with the standard uncertainty at some cells in place of the own spread, NaN elsewhere.

        For tiles: a window cut from several tiles no longer shows what surrounds its cells.
        """
        uncertainty = np.full(prediction.value.shape, np.nan, np.float32)
        np.put(uncertainty, cells, self.standard(chunk, prediction.spread, cells))
        return replace(prediction, spread=None, uncertainty=uncertainty)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = asdict(self)
        plain["factors"] = {name: list(of) for name, of in self.factors.items()}
        for name in ("group_factors", "quantiles"):
            plain[name] = [list(row) for row in plain[name]]
        return {**plain, "groups": list(self.groups), "levels": list(LEVELS)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what ``to_dict`` wrote.

        Raises:
            ValueError: the levels are not those of this version.
        """
        if tuple(values["levels"]) != LEVELS:
            raise ValueError(f"calibrated at {values['levels']}, not at {list(LEVELS)}")
        first, second = values["groups"]
        return cls(
            power=float(values["power"]),
            typical=float(values["typical"]),
            factors={name: tuple(map(float, of)) for name, of in values["factors"].items()},
            groups=(first, second),
            group_factors=tuple(tuple(map(float, row)) for row in values["group_factors"]),
            quantiles=tuple(tuple(map(float, row)) for row in values["quantiles"]),
            residuals=int(values["residuals"]),
            blocks=int(values["blocks"]),
            source=str(values["source"]),
        )

    def _group_factors(self) -> NDArray[np.float64]:
        return np.asarray(self.group_factors, np.float64)

    def _multiples(self, levels: tuple[float, ...], season: NDArray[np.int8]) -> NDArray[np.float64]:
        """Half widths in units of the scale ``(levels, n)``."""
        if not set(levels) <= set(LEVELS):
            raise ValueError(f"calibrated at {list(LEVELS)}, not at {list(levels)}")
        at = [LEVELS.index(level) for level in levels]
        multiples: NDArray[np.float64] = np.asarray(self.quantiles, np.float64)[:, at].T[:, season]
        return multiples


def believable(own: NDArray[np.floating], typical: float) -> NDArray[np.float64]:
    """Own spreads in K with the typical one where there is none; a thousandth of it at least, for its logarithm."""
    known = np.where(np.isfinite(own), own, typical).astype(np.float64)
    return np.maximum(known, 0.001 * typical)


def log_factors(
    factors: Mapping[str, NDArray[np.float64] | tuple[float, ...]], classes: Mapping[str, NDArray[np.int8]]
) -> NDArray[np.float64]:
    """Sum of the logarithms of each cell's factors ``(n,)``."""
    total = np.zeros(len(next(iter(classes.values()))))
    for name, of in factors.items():
        total += np.asarray(of, np.float64)[classes[name]]
    return total
