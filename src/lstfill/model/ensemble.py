"""A weighted mean of other models, weighed on artificial gaps by how much of a date is missing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.gaps import LABELS, PARTS, surroundings
from lstfill.model import registry
from lstfill.model.base import Fitter, History, Model, Prediction, Tile, TileSource, TrainingView
from lstfill.model.directory import read_model
from lstfill.model.residuals import tile_gaps
from lstfill.model.tiled import TileModel, predict_dates, without_part
from lstfill.split import Part

if TYPE_CHECKING:
    from lstfill.config import Train
    from lstfill.cube import Chunk

Array = NDArray[np.float64]

PLACE = "members"
"""Where in the directory of an ensemble its members lie."""
CLASS = "missing"
"""What surrounds a cell that the weights go by: the share of its date that is missing."""
FILLS = 16
"""Tiles times rounds that the members are weighed on, about."""
FEW = 200
"""Cells below which a part says nothing."""
DATES = 10
"""Dates of tiles at which the weights of a class count as much as those over all."""
SMALLEST_K = 0.05
"""Error below which smaller ones weigh no more."""
SEED = 0x656E7365
"""Keeps the gaps apart from those of other draws with the same seed."""


@dataclass(frozen=True)
class Errors:
    """Predicted minus observed at hidden cells.

    Attributes:
        error: of each member ``(n, members)`` in K.
        share: class of the share that is missing ``(n,)``.
        date: number of the tile, round and date ``(n,)``.
    """

    error: Array
    share: NDArray[np.int8]
    date: NDArray[np.int64]


@dataclass
class EnsembleModel(TileModel):
    """Members, fitted one by one, and their weights for each class of the share that is missing.

    Attributes:
        fitted_members: by name.
    """

    name: ClassVar[str] = "ensemble"
    learns: ClassVar[bool] = True
    fitted_members: dict[str, Model] = field(default_factory=dict)

    @property
    def fits_samples(self) -> bool:
        """Whether a member's errors on values of the train part say nothing."""
        return any(member.fits_samples for member in self.fitted_members.values())

    def members(self) -> Mapping[str, Model]:
        """The fitted members by name."""
        return self.fitted_members

    def fit(self, view: TrainingView, config: Train, fitter: Fitter) -> History | None:
        """Fits the members, then their weights on gaps of other seeds; no epochs of its own, so no history.

        Args:
            view: what the members learn from; the tiles give the weights.
            config: options of all of them.
            fitter: for members that are networks.
        """
        members: dict[str, Model] = {name: registry.create(name) for name in dict.fromkeys(config.ensemble.members)}
        for member in members.values():
            member.fit(view, config, fitter)
        errors = None if view.tiles is None or len(members) == 1 else collect(view.tiles, members, config.seed)
        self.fitted_members = members
        self._keep(view, config, {}, **_told(errors, list(members)))
        if any(isinstance(member, TileModel) and member.folds for member in members.values()):
            self.folds = tuple(replace(self, fitted_members=_without(members, part)) for part in range(PARTS))
        return None

    def predict(self, chunk: Chunk, dates: NDArray[np.bool_] | None = None) -> Prediction:
        """The weighted mean of the members' values, with their spreads and their disagreement as spread.

        The variance is that of a mixture: ``sum w (s^2 + (v - mean)^2)``. A member that has no value of a cell leaves
        its weight to the others.

        Args:
            chunk: all dates of a tile.
            dates: those that are asked for ``(time,)``, all if not given; others may be NaN.
        """
        asked = np.ones(len(chunk.time), bool) if dates is None else dates
        said = [predict_dates(member, chunk, asked) for member in self.fitted_members.values()]
        weights = self._weights(chunk) * np.stack([np.isfinite(of.value) for of in said])
        total = weights.sum(axis=0)
        weights /= np.where(total > 0, total, np.nan)
        mean = sum(_times(w, of.value) for w, of in zip(weights, said, strict=True))
        if len(said) == 1:
            return Prediction(said[0].value, said[0].spread)
        variance = sum(_times(w, _variance(of, mean)) for w, of in zip(weights, said, strict=True))
        return Prediction(np.asarray(mean, np.float32), np.sqrt(variance).astype(np.float32))

    def save(self, directory: Path) -> None:
        """Writes each member into ``members/<name>``, then ``model.json``."""
        for name, member in self.fitted_members.items():
            member.save(directory / PLACE / name)
        super().save(directory)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads what ``save`` wrote.

        Raises:
            StoreError: there is no whole model in the directory, or a member is missing.
        """
        card, weights = read_model(directory)
        members = {name: registry.load(directory / PLACE / name) for name in card.parameters["member_weights"]}
        return cls(card, weights, fitted_members=members)

    def _weights(self, chunk: Chunk) -> Array:
        """Weight of each member at each cell ``(members, time, lat, lon)``: one a date."""
        by_class = self.card.parameters["member_weights_by_missing"]
        table = np.array([list(by_class[label].values()) for label in LABELS[CLASS]])
        of_date = table[share_missing(chunk, np.arange(len(chunk.time)) * chunk.land.size)].T
        return np.broadcast_to(of_date[:, :, None, None], (len(of_date), *chunk.target.shape)).copy()


def share_missing(chunk: Chunk, cells: NDArray[np.intp]) -> NDArray[np.int8]:
    """Class of the share of a cell's date that is missing ``(n,)``, for flat indices of cells."""
    return surroundings(chunk, cells, [CLASS])[CLASS]


def collect(tiles: TileSource, members: Mapping[str, Model], seed: int) -> Errors | None:
    """Errors of the members in artificial gaps of some tiles; None where there is nothing to tell.

    Cells of the validation part alone where a member was fitted to those of the train part and there are enough.

    Args:
        tiles: an even choice of them is used.
        members: fitted.
        seed: of the gaps.
    """
    n = min(len(tiles), FILLS)
    numbers = [order * len(tiles) // n for order in range(n)]
    rounds = min(PARTS, -(-FILLS // max(1, n)))
    found = tiles.map(_Hiding(members, seed, numbers, rounds), itertools.product(numbers, range(rounds)))
    return _chosen(found, any(member.fits_samples for member in members.values()))


@dataclass(frozen=True)
class _Hiding:
    """What a worker needs to find errors of the members on a tile: they, the seed of the gaps, all tiles, and turns."""

    members: Mapping[str, Model]
    seed: int
    numbers: list[int]
    rounds: int

    def __call__(self, tile: Tile, number: int, turn: int) -> tuple[Errors, Any]:
        """Errors of one tile and turn; turns of the next tile begin with the next part of the dates."""
        order = self.numbers.index(number)
        part, first = (order + turn) % PARTS, (order * self.rounds + turn) * len(tile.chunk.time)
        hidden = tile_gaps(tile.chunk, (SEED, self.seed, number), part)
        return _errors(tile, hidden, _without(self.members, part), first)


def _without(members: Mapping[str, Model], part: int) -> dict[str, Model]:
    """The members without what they learned from a part of the dates."""
    return {name: without_part(member, part) for name, member in members.items()}


def _errors(tile: Tile, hidden: NDArray[np.bool_], members: Mapping[str, Model], first: int) -> tuple[Errors, Any]:
    """Errors of one tile and round, dates numbered from ``first``, and the part of each cell."""
    chunk, core = tile.chunk, np.zeros(tile.chunk.land.shape, bool)
    core[tile.core] = True
    shown = chunk.hiding(hidden)
    dates = np.asarray(hidden.any(axis=(1, 2)))
    values = np.stack([predict_dates(member, shown, dates).value for member in members.values()], axis=-1)
    parts = np.zeros(hidden.shape, np.int8) if chunk.part is None else chunk.part
    wanted = hidden & chunk.visible() & core & np.isfinite(values).all(axis=-1)
    wanted &= np.isin(parts, [Part.TRAIN, Part.VALIDATION])
    cells = np.flatnonzero(wanted)
    error = values[wanted].astype(np.float64) - chunk.target[wanted].astype(np.float64)[:, None]
    date = first + cells // chunk.land.size
    return Errors(error, share_missing(shown, cells), date.astype(np.int64)), parts[wanted]


def _chosen(found: list[tuple[Errors, Any]], fits_samples: bool) -> Errors | None:
    if not found:
        return None
    part = np.concatenate([of for _, of in found])
    joined = [np.concatenate([getattr(of, name) for of, _ in found]) for name in ("error", "share", "date")]
    apart = part == Part.VALIDATION
    rows = apart if fits_samples and apart.sum() >= FEW else np.ones(len(part), bool)
    return Errors(*(of[rows] for of in joined)) if rows.any() else None


def weigh(errors: Errors) -> tuple[Array, Array]:
    """Weights over all ``(members,)`` and of each class ``(classes, members)``, none negative, sums of 1.

    They make the mean absolute error of the weighted mean small, by least squares that are weighed anew by the errors
    (Schlossmacher 1973, doi:10.1080/01621459.1973.10481459), so that outliers do not rule. The squares of a class are
    taken together with those over all, the fewer dates it has the more of those.

    Args:
        errors: at least one cell.
    """
    classes = np.arange(len(LABELS[CLASS]))
    dates = [len(np.unique(errors.date[errors.share == of])) for of in classes]
    overall, squares = _absolute(errors.error, None, 0.0)
    rows = [errors.error[errors.share == of] for of in classes]
    each = [_absolute(error, squares, DATES / (DATES + n))[0] for error, n in zip(rows, dates, strict=True)]
    return overall, np.stack(each)


def _absolute(error: Array, prior: Array | None, share: float) -> tuple[Array, Array]:
    """Weights and the weighed squares ``(members, members)`` they come from, mixed with a share of the prior's."""
    weights, squares = np.full(error.shape[1], 1 / error.shape[1]), prior
    for _ in range(20):
        if len(error):
            heavy = 1 / np.maximum(np.abs(error @ weights), SMALLEST_K)
            own = (error * heavy[:, None]).T @ error / heavy.sum()
            squares = own if prior is None else (1 - share) * own + share * prior * np.trace(own) / _size(prior)
        weights = _simplex(np.asarray(squares))
    return weights, np.asarray(squares)


def _simplex(squares: Array) -> Array:
    """The ``w`` of no negative part and sum 1 with the least ``w' S w``: least squares with a heavy row for the sum."""
    from scipy.optimize import nnls

    root = np.linalg.cholesky(squares / _size(squares) + 1e-9 * np.eye(len(squares))).T
    heavy = 1e3
    rows = np.vstack([root, np.full(len(squares), heavy)])
    found: Array = nnls(rows, np.append(np.zeros(len(squares)), heavy))[0]
    weights: Array = found / found.sum()
    return weights


def _size(squares: Array) -> float:
    """The trace, or hardly anything where no member is ever off."""
    return max(float(np.trace(squares)), 1e-12)


def _told(errors: Errors | None, names: list[str]) -> dict[str, Any]:
    """Weights and errors in plain values for the card; even weights where nothing tells them apart."""
    even = np.full(len(names), 1 / len(names))
    overall, by_class = (even, np.tile(even, (len(LABELS[CLASS]), 1))) if errors is None else weigh(errors)

    def named(values: Array) -> dict[str, float]:
        return dict(zip(names, values.tolist(), strict=True))

    told: dict[str, Any] = {
        "member_weights": named(overall),
        "member_weights_by_missing": {label: named(of) for label, of in zip(LABELS[CLASS], by_class, strict=True)},
    }
    if errors is not None:
        mixed = np.abs((errors.error * by_class[errors.share]).sum(axis=1)).mean()
        told["mae_k"] = {**named(np.abs(errors.error).mean(axis=0)), "ensemble": float(mixed)}
        told["cells"] = len(errors.error)
    return told


def _times(weights: Array, values: NDArray[np.floating]) -> Array:
    """The product; 0 where the weight is, whatever the value."""
    product: Array = np.where(weights == 0, 0.0, weights * values)
    return product


def _variance(said: Prediction, mean: Any) -> Array:
    """Square of a member's spread, 0 where it has none, and of its distance from the mean."""
    own = np.zeros(said.value.shape) if said.spread is None else np.nan_to_num(said.spread.astype(np.float64))
    variance: Array = own**2 + (said.value - mean) ** 2
    return variance
