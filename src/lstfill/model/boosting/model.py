"""The model ``boosting``: one for all cells, learned where artificial gaps hide values."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lstfill.errors import DataError
from lstfill.gaps import PARTS
from lstfill.model.base import Fitter, History, Prediction, Tile, TileSource, TrainingView
from lstfill.model.boosting.guess import Guess, first_guess
from lstfill.model.boosting.predictors import Predictors
from lstfill.model.boosting.trees import Samples, fit_spread, fit_trees, from_bytes, predict, to_bytes
from lstfill.model.harmonic import FLOOR_K
from lstfill.model.residuals import tile_gaps
from lstfill.model.tiled import TileModel
from lstfill.modelconfig import Harmonic
from lstfill.split import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lstfill.config import Train
    from lstfill.cube import Chunk

FEW_TILES = 8
"""Fewer tiles than these are gone through twice, with other gaps."""
SEED = 0x626F6F73
"""Keeps the gaps apart from those of other draws with the same seed."""
VALUES, SPREAD = "values.skops", "spread.skops"


@dataclass(frozen=True)
class _Rows:
    """Samples of one tile and round: predictors, error of the first guess in K, its doubt in K, part of the dates."""

    predictors: NDArray[np.float32]
    error: NDArray[np.float64]
    doubt: NDArray[np.float64]
    part: int


@dataclass
class BoostingModel(TileModel):
    """A first guess from what is visible, and trees for what it is off by."""

    name: ClassVar[str] = "boosting"
    learns: ClassVar[bool] = True

    def fit(self, view: TrainingView, config: Train, fitter: Fitter) -> History | None:  # noqa: ARG002 - of the protocol
        """Learns from artificial gaps in the tiles of the view; no epochs, so no history.

        Args:
            view: tiles to cut gaps into; the samples are not used.
            config: options, and the seed of gaps and trees.
            fitter: not used.

        Raises:
            DataError: the tiles have nothing visible in the train part.
        """
        shown = (config.harmonic, view.features, view.covariates)
        rows = _collect(view.tiles, shown, config) if view.tiles else []
        samples, doubt = _samples(rows)
        found = fit_trees(samples, config.boosting, config.seed)
        spread, factor = fit_spread(samples, found.apart, config.boosting, config.seed)
        self._keep(
            view,
            config,
            {VALUES: to_bytes(found.trees), SPREAD: to_bytes(spread)},
            harmonic=config.harmonic.model_dump(mode="json"),
            spread_factor=factor,
            samples=len(samples),
            trees=int(found.trees.n_iter_),
            mae_k=float((np.abs(samples.target - found.apart) * doubt).mean()),
        )
        # Dates without a sample can do no harm.
        without = (found.without.get(part, found.trees) for part in range(PARTS))
        self.folds = tuple(replace(self, weights={**self.weights, VALUES: to_bytes(of)}) for of in without)
        return None

    def predict(self, chunk: Chunk, dates: NDArray[np.bool_] | None = None) -> Prediction:
        """Predicts the land cells of a tile that are not visible; NaN elsewhere, and where nothing is visible at all.

        Args:
            chunk: all dates of a tile.
            dates: those that are asked for ``(time,)``, all if not given; others are NaN.
        """
        card, values, spreads = self.card, *(np.full(chunk.target.shape, np.nan, np.float32) for _ in range(2))
        made = _predictors(chunk, Harmonic(**card.parameters["harmonic"]), card.features, card.covariates)
        if made is None:
            return Prediction(values, spreads)
        guess, predictors = made
        first, wanted = guess.value, chunk.land[None] & ~chunk.visible()
        if dates is not None:
            wanted &= dates[:, None, None]
        trees, spread = (from_bytes(self.weights[name]) for name in (VALUES, SPREAD))
        for date in np.flatnonzero(wanted.any(axis=(1, 2))):
            cells = wanted[date]
            shown, doubt = predictors.at(int(date), cells), guess.doubt[date][cells]
            values[date][cells] = first[date][cells] + doubt * predict(trees, shown)
            width = card.parameters["spread_factor"] * doubt * np.exp(predict(spread, shown))
            spreads[date][cells] = np.maximum(width, FLOOR_K)
        return Prediction(values, spreads)


Shown = tuple[Harmonic, "Sequence[str]", "Sequence[str]"]


def _predictors(
    chunk: Chunk, options: Harmonic, features: Sequence[str], covariates: Sequence[str]
) -> tuple[Guess, Predictors] | None:
    guess = first_guess(chunk, options, features)
    return None if guess is None else (guess, Predictors(chunk, guess, features, covariates))


def _collect(tiles: TileSource, shown: Shown, config: Train) -> list[_Rows]:
    """Samples of all tiles and rounds, as many of each at most."""
    rounds = PARTS * (2 if len(tiles) < FEW_TILES else 1)
    items = list(itertools.product(range(len(tiles)), range(rounds)))
    most = max(1, config.boosting.max_samples // max(1, len(items)))
    return [rows for rows in tiles.map(_Hiding(shown, config.seed, most), items) if rows is not None]


@dataclass(frozen=True)
class _Hiding:
    """What a worker needs to learn from a tile: what trees are shown, seed of the gaps, most samples."""

    shown: Shown
    seed: int
    most: int

    def __call__(self, tile: Tile, number: int, turn: int) -> _Rows | None:
        """Samples of one tile and turn; after ``PARTS`` turns each date had gaps once, and gets others."""
        again, part = divmod(turn, PARTS)
        return _rows(tile, (SEED, self.seed, number, again), part, self.shown, self.most)


def _rows(tile: Tile, seed: tuple[int, ...], part: int, shown: Shown, most: int) -> _Rows | None:
    """Hides gaps on every fourth date and shows what remains; None if there is nothing to learn."""
    chunk, core = tile.chunk, np.zeros(tile.chunk.land.shape, bool)
    core[tile.core] = True
    hidden = tile_gaps(chunk, seed, part)
    made = _predictors(chunk.hiding(hidden), *shown)
    parts = np.zeros(hidden.shape, np.int8) if chunk.part is None else chunk.part
    at = np.flatnonzero(hidden & core & np.isin(parts, [Part.TRAIN, Part.VALIDATION]))
    if made is None or not len(at):
        return None
    n = min(most, len(at))
    at = at[np.arange(n) * len(at) // n]
    guess, predictors = made
    wanted = np.zeros(hidden.shape, bool)
    wanted.flat[at] = True
    columns = [predictors.at(int(date), wanted[date]) for date in np.flatnonzero(wanted.any(axis=(1, 2)))]
    error = chunk.target[wanted].astype(np.float64) - guess.value[wanted]
    return _Rows(np.concatenate(columns), error, guess.doubt[wanted], part)


def _samples(rows: list[_Rows]) -> tuple[Samples, NDArray[np.float64]]:
    """All rows, errors in units of their doubt, and the doubt in K."""
    if not rows:
        raise DataError(
            "the tiles to learn from",
            ["no visible value where artificial gaps are cut: take more dates or a larger box"],
        )
    doubt = np.concatenate([of.doubt for of in rows])
    error = np.concatenate([of.error for of in rows])
    predictors = np.concatenate([of.predictors for of in rows])
    part = np.repeat([of.part for of in rows], [len(of.error) for of in rows]).astype(np.int8)
    return Samples(predictors, error / doubt, part), doubt
