"""Errors of a model on artificial gaps, with all that a calibration asks of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.geometry import latitude_band, season
from lstfill.gaps import LABELS, PARTS, artificial_gaps, surroundings
from lstfill.split import Part

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.model.base import Axes, Model, Prediction, Tile

_STREAM = 76_100
"""Other gaps than those that models learn from, of the same seed."""
MOST = 4000
"""Residuals that are kept of one tile and round, evenly over dates and sizes of gaps: those of a date are alike."""
SAMPLES = 20_000
"""Residuals that are kept of one shard of samples."""
REGION_DEG = 10.0
"""Side of the regions whose errors on one date are taken for dependent: the size of a weather system."""


@dataclass(frozen=True)
class Residuals:
    """Predicted minus observed at cells that were hidden, one row a cell.

    Attributes:
        residual: ``(n,)`` in K.
        spread: the model's own standard deviation ``(n,)`` in K, NaN where it has none.
        classes: what surrounds each cell ``(n, len(LABELS))``, in the order of ``lstfill.gaps.LABELS``.
        block: number of the date and region ``(n,)``.
        weight: cells that each row stands for ``(n,)``.
    """

    residual: NDArray[np.float32]
    spread: NDArray[np.float32]
    classes: NDArray[np.int8]
    block: NDArray[np.int64]
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.residual)

    def named(self) -> dict[str, NDArray[np.int8]]:
        """Classes ``(n,)`` by name."""
        return dict(zip(LABELS, self.classes.T, strict=True))

    def where(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Some of the rows."""
        return type(self)(*(getattr(self, of.name)[rows] for of in fields(self)))

    @classmethod
    def joined(cls, pieces: Iterable[Self]) -> Self:
        """All rows of the pieces, at least one."""
        columns = zip(*([getattr(piece, of.name) for of in fields(cls)] for piece in pieces), strict=True)
        return cls(*(np.concatenate(of) for of in columns))


def tile_gaps(chunk: Chunk, seed: tuple[int, ...], part: int) -> NDArray[np.bool_]:
    """Visible cells of a tile to hide on every ``PARTS``-th date ``(time, lat, lon)``.

    Args:
        chunk: the tile; of it the test part is out of sight, which is no gap.
        seed: of the draw.
        part: the first of those dates.
    """
    aside = None if chunk.part is None else chunk.part == Part.TEST
    return artificial_gaps(chunk.visible(), chunk.land, seed, part, PARTS, aside)


def calibration_gaps(chunk: Chunk, seed: int, tile: int, turn: int) -> NDArray[np.bool_]:
    """Cells to hide when a tile is filled for calibration ``(time, lat, lon)``.

    Args:
        chunk: the tile.
        seed: of the calibration.
        tile: number of the tile.
        turn: counts how often the tile is filled; after ``PARTS`` turns each date had gaps once, and gets others.
    """
    again, part = divmod(turn, PARTS)
    return tile_gaps(chunk, (_STREAM, seed, tile, again), part)


def residuals_of(prediction: Prediction, tile: Tile, hidden: NDArray[np.bool_], model: Model) -> Residuals:
    """Errors at the cells of a tile's core that were hidden from a prediction.

    A model that ``fits_samples`` has seen the train part: for it, cells of the validation part alone count.

    Args:
        prediction: of ``tile.chunk.hiding(hidden)``.
        tile: as it was before.
        hidden: the artificial gaps ``(time, lat, lon)``.
        model: what predicted.
    """
    chunk, core = tile.chunk, np.zeros(tile.chunk.land.shape, bool)
    core[tile.core] = True
    wanted = hidden & chunk.visible() & core & np.isfinite(prediction.value)
    if chunk.part is not None:
        wanted &= np.isin(chunk.part, [Part.VALIDATION] if model.fits_samples else [Part.TRAIN, Part.VALIDATION])
    return _thinned(_at(np.flatnonzero(wanted), prediction, chunk, hidden))


def residuals_of_samples(residual: NDArray[np.floating], cell: NDArray[np.integer], axes: Axes) -> Residuals:
    """Errors at samples, of which date and place alone are known; for models that do not look around.

    Args:
        residual: predicted minus observed ``(n,)`` in K, in no order.
        cell: flat index of each sample's cell in the cube ``(n,)``.
        axes: coordinates of the cube.
    """
    rows = np.arange(min(len(residual), SAMPLES)) * len(residual) // max(1, min(len(residual), SAMPLES))
    shape = len(axes.time), len(axes.lat), len(axes.lon)
    date, row, column = np.unravel_index(np.asarray(cell)[rows], shape)
    classes = np.zeros((len(rows), len(LABELS)), np.int8)
    names = list(LABELS)
    classes[:, names.index("latitude")] = latitude_band(axes.lat[row])
    classes[:, names.index("season")] = season(axes.time, axes.lat[:1])[date, 0]
    return Residuals(
        residual=np.asarray(residual)[rows].astype(np.float32),
        spread=np.full(len(rows), np.nan, np.float32),
        classes=classes,
        block=_block(date, axes.lat[row], axes.lon[column]),
        weight=np.full(len(rows), len(residual) / max(1, len(rows)), np.float32),
    )


def _at(cells: NDArray[np.intp], prediction: Prediction, chunk: Chunk, hidden: NDArray[np.bool_]) -> Residuals:
    residual = np.take(prediction.value, cells).astype(np.float64) - np.take(chunk.target, cells)
    own = prediction.spread
    classes = surroundings(chunk.hiding(hidden), cells)
    date = chunk.window.start[0] + cells // chunk.land.size
    # Of one region, that of its middle, so that a tile across a border is not two.
    middle = (np.full(len(cells), of[len(of) // 2]) for of in (chunk.lat, chunk.lon))
    return Residuals(
        residual=residual.astype(np.float32),
        spread=np.full(len(cells), np.nan, np.float32) if own is None else np.take(own, cells).astype(np.float32),
        classes=np.stack([classes[name] for name in LABELS], axis=1),
        block=_block(date, *middle),
        weight=np.ones(len(cells), np.float32),
    )


def _block(date: NDArray[np.integer], lat: NDArray[np.floating], lon: NDArray[np.floating]) -> NDArray[np.int64]:
    """Number of each date and region."""
    row, column = np.floor((lat + 90) / REGION_DEG), np.floor((lon + 180) % 360 / REGION_DEG)
    block: NDArray[np.int64] = (date.astype(np.int64) * 1000 + row.astype(np.int64)) * 1000 + column.astype(np.int64)
    return block


def _thinned(residuals: Residuals) -> Residuals:
    """At most about ``MOST`` rows: all of a block and size of gap, or evenly spread ones of them."""
    if len(residuals) <= MOST:
        return residuals
    strata, member = np.unique(
        np.stack([residuals.block, residuals.named()["gap_size"]], axis=1), axis=0, return_inverse=True
    )
    each = max(1, MOST // len(strata))
    order = np.argsort(member.ravel(), kind="stable")
    kept, weight = [], []
    for rows in np.split(order, np.cumsum(np.bincount(member.ravel()))[:-1]):
        n = min(each, len(rows))
        kept.append(rows[np.arange(n) * len(rows) // n])
        weight.append(np.full(n, len(rows) / n))
    thin = residuals.where(np.concatenate(kept))
    return Residuals(thin.residual, thin.spread, thin.classes, thin.block, np.concatenate(weight).astype(np.float32))
