"""What scoring has found so far: tallies of windows add up to one, whose ``result`` the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.flags import SourceFlag
from lstfill.errors import ConfigError, DataError
from lstfill.evaluate.comparison import Paired
from lstfill.evaluate.groups import LABELS, labels_of
from lstfill.evaluate.intervals import Intervals
from lstfill.evaluate.outliers import Outliers
from lstfill.evaluate.pictures import Pictures
from lstfill.evaluate.scores import Scores, Sums
from lstfill.evaluate.visible import SCORED_SETS, ScoredSet

ENOUGH = 30
"""Held-out cells below which pictures show the test part instead."""


@dataclass(frozen=True)
class ModelTally:
    """One model or baseline on one set of cells.

    Attributes:
        sums: on the cells that it and the model that fills predict.
        intervals: of the same cells; None for what has no calibrated uncertainty.
        paired: what the model that fills is off less what this one is; None for the one that fills.
    """

    sums: Sums
    intervals: Intervals | None = None
    paired: Paired | None = None

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.sums + other.sums,
            None if self.intervals is None or other.intervals is None else self.intervals + other.intervals,
            None if self.paired is None or other.paired is None else self.paired + other.paired,
        )


@dataclass(frozen=True)
class SetTally:
    """One set of scored cells.

    Attributes:
        models: by name, the one that fills first.
        baselines: by name.
        pictures: distributions of the predictions and errors of the model that fills.
        outliers: its largest errors.
    """

    models: dict[str, ModelTally]
    baselines: dict[str, ModelTally]
    pictures: Pictures
    outliers: Outliers

    def __add__(self, other: Self) -> Self:
        return type(self)(
            {name: tally + other.models[name] for name, tally in self.models.items()},
            {name: tally + other.baselines[name] for name, tally in self.baselines.items()},
            self.pictures + other.pictures,
            self.outliers + other.outliers,
        )

    @property
    def main(self) -> ModelTally:
        """The model that fills."""
        return next(iter(self.models.values()))

    def tests(self) -> dict[str, Any]:
        """The paired test of the model that fills against each other model and baseline, by name."""
        paired = {name: tally.paired for name, tally in {**self.models, **self.baselines}.items()}
        return {name: None if of is None else of.test() for name, of in list(paired.items())[1:]}


@dataclass(frozen=True)
class Tally:
    """The evaluation of any number of windows; tallies add up, in any order up to rounding.

    Attributes:
        sets: by name, ``test`` and, where values were held out, ``held_out_gaps``.
        flags: number of cells by ``SourceFlag``, ``(2, 4)``: all cells, land cells.
    """

    sets: dict[ScoredSet, SetTally]
    flags: NDArray[np.int64]

    def __add__(self, other: Self) -> Self:
        return type(self)({name: part + other.sets[name] for name, part in self.sets.items()}, self.flags + other.flags)

    def best_set(self) -> ScoredSet:
        """The set that pictures are made from: held-out gaps where there are enough, else the test part.

        Raises:
            DataError: nothing at all could be scored.
        """
        n = {name: part.main.sums.n for name, part in self.sets.items()}
        if not any(n.values()):
            issue = f"no cell has both an observation and a prediction ({n}): check that the features have values"
            raise DataError("evaluation", [issue + " where the target is observed, or choose another split.seed"])
        return "held_out_gaps" if n.get("held_out_gaps", 0) >= ENOUGH or not n["test"] else "test"

    def result(self, target: str, groups: Sequence[str]) -> dict[str, Any]:
        """The evaluation as the report, MLflow and the summary take it: plain values, None where nothing was scored.

        Args:
            target: name of the variable.
            groups: break-downs to give, of ``lstfill.evaluate.groups.LABELS``; groups without any cell are left out.

        Raises:
            DataError: nothing at all could be scored.
        """
        main, *rivals = self.sets["test"].models
        return {
            "target": target,
            "unit": "K",
            "model": main,
            "scored": self.best_set(),
            **self._model(main, groups),
            "rivals": {name: self._model(name, groups) for name in rivals},
            "baselines": {name: self._baseline(name) for name in self.sets["test"].baselines},
            "paired": {name: self.sets[name].tests() if name in self.sets else None for name in SCORED_SETS},
            "flags": {**_named(self.flags[0]), "land": _named(self.flags[1])},
        }

    def outliers(
        self, time: NDArray[np.datetime64], lat: NDArray[np.floating], lon: NDArray[np.floating]
    ) -> list[dict[str, Any]]:
        """The largest errors of the model that fills, one a date, on the set that pictures are made from.

        Args:
            time: dates of the cube.
            lat: its latitudes in degrees north.
            lon: its longitudes in degrees east.
        """
        return self.sets[self.best_set()].outliers.result(time, lat, lon)

    def paired(self, name: str) -> dict[ScoredSet, Paired]:
        """Differences of absolute error of the model that fills less that of another model, by scored set."""
        found = {scored: part.models[name].paired for scored, part in self.sets.items()}
        return {scored: of for scored, of in found.items() if of is not None}

    def map_step(self, time: NDArray[np.datetime64], map_date: str | None = None) -> int:
        """Position of the date to draw: the one nearest to a wish, or the one with the most scored cells.

        Args:
            time: dates of the cube ``(time,)``.
            map_date: an ISO date.

        Raises:
            ConfigError: the wish is no date or lies outside the cube.
        """
        if map_date is None:
            return int(np.argmax(sum(part.pictures.per_date for part in self.sets.values())))
        return nearest_step(time, map_date)

    def figure_fields(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> dict[str, Any]:
        """Arrays of ``FigureData`` that come from scoring, by name: density, residuals and the coarse error map."""
        return self.sets[self.best_set()].pictures.figure_fields(lat, lon)

    def _model(self, name: str, groups: Sequence[str]) -> dict[str, Any]:
        tallies = {scored: part.models[name] for scored, part in self.sets.items()}
        return {
            "scores": _scores({scored: tally.sums for scored, tally in tallies.items()}),
            "groups": {group: _group(group, tallies) for group in LABELS if group in groups},
            "intervals": {name: _intervals(name, tallies.get(name), groups) for name in SCORED_SETS},
        }

    def _baseline(self, name: str) -> dict[str, Scores | None]:
        return _scores({scored: part.baselines[name].sums for scored, part in self.sets.items()})


def nearest_step(time: NDArray[np.datetime64], map_date: str) -> int:
    """Position of the date nearest to a wish; of several on one day the one nearest in time.

    Args:
        time: dates of the cube ``(time,)``.
        map_date: an ISO date, with a time of the day or without.

    Raises:
        ConfigError: the wish is no date or lies outside the cube.
    """
    wish, days = _date(map_date), time.astype("datetime64[D]")
    day = wish.astype("datetime64[D]")
    if not days[0] <= day <= days[-1]:
        message = f"map_date {map_date!r} lies outside the cube, {days[0]} to {days[-1]}"
        raise ConfigError(f"evaluate: {message}: choose a date inside, or leave it out")
    return int(np.lexsort((np.abs(time - wish), np.abs(days - day)))[0])


def _scores(sums: Mapping[ScoredSet, Sums]) -> dict[str, Scores | None]:
    return {name: sums[name].scores() if name in sums else None for name in SCORED_SETS}


def _group(group: str, tallies: Mapping[ScoredSet, ModelTally]) -> dict[str, dict[str, Scores | None]]:
    """Scores of each label of a break-down."""
    sets = [name for name in tallies if labels_of(name, [group])]
    parts = {name: tallies[name].sums.group(group) for name in sets}
    rows = [{name: part[k] for name, part in parts.items() if part[k].n} for k in range(len(LABELS[group]))]
    return {label: _scores(row) for label, row in zip(LABELS[group], rows, strict=True) if row}


def _intervals(scored: ScoredSet, tally: ModelTally | None, groups: Sequence[str]) -> dict[str, Any] | None:
    if tally is None or tally.intervals is None:
        return None
    return tally.intervals.result(labels_of(scored, groups))


def _named(counts: NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(SourceFlag.meanings(), counts.tolist(), strict=True))


def _date(text: str) -> np.datetime64:
    try:
        return np.datetime64(text, "ns")
    except ValueError:
        raise ConfigError(f"evaluate: map_date {text!r} is not a date: write it like 2002-05-21") from None
