"""Annual harmonics and features for each cell, a cell with few observations like its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lstfill.model.base import Prediction
from lstfill.model.tiled import TileModel
from lstfill.modelconfig import Harmonic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lstfill.cube import Chunk

Array = NDArray[np.float64]

YEAR_DAYS = 365.2425
SCALES = (10.0, 3.0)
"""Widths in cells of the neighbourhoods between the tile and the cell, each shrunk to the one before."""
PRIOR = 1.0
"""Observations at which the tile's harmonics and slopes count as much as none: a short season cannot tell them."""
FLOOR_K = 0.1
"""Smallest spread that is believed."""


@dataclass
class HarmonicModel(TileModel):
    """Fitted to a tile when that is filled: nothing is learned beforehand."""

    name: ClassVar[str] = "harmonic"

    def predict(self, chunk: Chunk, dates: NDArray[np.bool_] | None = None) -> Prediction:  # noqa: ARG002 - all cost as little as one
        """Predicts every cell of a tile ``(time, lat, lon)``; NaN where nothing of the tile is visible.

        Args:
            chunk: all dates of a tile.
            dates: not used; what is fitted says all of them.
        """
        fit = fit_harmonics(chunk, Harmonic(**self.options()), self.card.features)
        if fit is None:
            nothing = np.full(chunk.target.shape, np.nan, np.float32)
            return Prediction(nothing, nothing)
        return Prediction(fit.value, np.broadcast_to(fit.spread, fit.value.shape))


@dataclass(frozen=True)
class Fit:
    """What the harmonics and features of each cell say.

    Attributes:
        value: ``(time, lat, lon)`` in K.
        spread: standard deviation of the residuals ``(lat, lon)`` in K.
    """

    value: NDArray[np.float32]
    spread: NDArray[np.float32]


@dataclass(frozen=True)
class _Equations:
    """Normal equations of least squares, one set a cell: sums over what is visible.

    Attributes:
        products: columns by columns ``(p, p, lat, lon)``.
        targets: columns by the target ``(p, lat, lon)``.
        count: observations ``(lat, lon)``.
    """

    products: Array
    targets: Array
    count: Array

    def mean_near(self, scale: float, land: NDArray[np.bool_]) -> _Equations:
        """Those of the mean land cell around each cell, weights a Gaussian of that width; of the tile if infinite."""
        share = _near(land.astype(np.float64), scale)
        share[share <= 0] = np.inf
        return _Equations(*(_near(of, scale) / share for of in (self.products, self.targets, self.count)))


def fit_harmonics(chunk: Chunk, options: Harmonic, features: Sequence[str]) -> Fit | None:
    """Least squares of ``[1, sine and cosine of the year, features]`` in each cell; None where nothing is visible.

    One pass over the dates adds up the normal equations of all cells, one more gives values and residuals, so that no
    more than those equations is in memory. Each cell is shrunk to its neighbourhood, that to a wider one, and so on to
    the tile: ``(A + s M) c = b + s M c0`` with the coefficients ``c0`` and the mean equations ``M`` of what it is
    shrunk to, ``s`` in observations (ridge regression towards a prior, Hoerl and Kennard 1970,
    doi:10.1080/00401706.1970.10488634). Harmonics that the dates cannot tell apart stay near zero.

    Args:
        chunk: all dates of a tile; uses of the target what is visible.
        options: number of harmonics, and ``s``.
        features: of the chunk, to fit; one that is missing counts as its mean of the date.
    """
    visible = chunk.visible()
    if not visible.any():
        return None
    level = float(np.mean(chunk.target[visible], dtype=np.float64))
    design = _Design(chunk, options.harmonics, features)
    coefficients = _solve(_accumulate(design, chunk, visible, level), chunk.land, options.shrinkage)
    value = np.empty(visible.shape, np.float32)
    squares = np.zeros(chunk.land.shape)
    for date, columns in enumerate(design.dates()):
        predicted = level + (columns * coefficients).sum(axis=0)
        value[date] = predicted
        squares += np.where(visible[date], chunk.target[date] - predicted, 0.0) ** 2
    return Fit(value, _spread(squares, visible, chunk.land, options.shrinkage + 1))


def season(time: NDArray[np.datetime64]) -> Array:
    """Angle of each date in the year ``(time,)`` in radians."""
    days = (time - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")
    angle: Array = 2 * np.pi * days / YEAR_DAYS
    return angle


class _Design:
    """The columns of least squares."""

    def __init__(self, chunk: Chunk, harmonics: int, features: Sequence[str]) -> None:
        self._features = [chunk.features[name] for name in features]
        self._scalings = [_scaling(values) for values in self._features]
        angle = season(chunk.time)
        waves = [wave(k * angle) for k in range(1, harmonics + 1) for wave in (np.cos, np.sin)]
        self._of_date = np.stack([np.ones(len(angle)), *waves], axis=1)
        self.shape = (self._of_date.shape[1] + len(features), *chunk.land.shape)

    def dates(self) -> Iterator[Array]:
        """Columns ``(p, lat, lon)``, date by date; features in units of their deviation over the tile."""
        for date, constant in enumerate(self._of_date):
            columns = np.empty(self.shape)
            columns[: len(constant)] = constant[:, None, None]
            for number, (values, by) in enumerate(zip(self._features, self._scalings, strict=True), len(constant)):
                columns[number] = _scaled(values[date], *by)
            yield columns


def _scaling(values: NDArray[np.floating]) -> tuple[float, float]:
    known = values[np.isfinite(values)].astype(np.float64)
    if not known.size:
        return 0.0, 1.0
    return float(known.mean()), float(known.std()) or 1.0


def _scaled(values: NDArray[np.floating], offset: float, scale: float) -> Array:
    """A feature of one date; where it is missing, its mean of the date."""
    known = np.isfinite(values)
    mean = values[known].mean(dtype=np.float64) if known.any() else offset
    return (np.where(known, values, mean).astype(np.float64) - offset) / scale


def _accumulate(design: _Design, chunk: Chunk, visible: NDArray[np.bool_], level: float) -> _Equations:
    p, *shape = design.shape
    sums = _Equations(np.zeros((p, p, *shape)), np.zeros((p, *shape)), np.zeros(shape))
    for date, columns in enumerate(design.dates()):
        seen = columns * visible[date]
        np.add(sums.products, seen[:, None] * columns[None], out=sums.products)
        np.add(sums.targets, seen * np.where(visible[date], chunk.target[date] - level, 0.0), out=sums.targets)
        np.add(sums.count, visible[date], out=sums.count)
    return sums


def _solve(own: _Equations, land: NDArray[np.bool_], shrinkage: float) -> Array:
    """Coefficients ``(p, lat, lon)``, from the tile by its neighbourhoods to the cell."""
    p, shape = own.targets.shape[0], land.shape
    penalty = np.full(p, PRIOR)
    penalty[0] = 1e-6
    mean = np.broadcast_to(np.diag(penalty), (*shape, p, p))
    coefficients, strength = np.zeros((*shape, p)), 1.0
    for scale in (np.inf, *SCALES, 0.0):
        level = own.mean_near(scale, land)
        left = np.moveaxis(level.products, (0, 1), (2, 3)) + strength * mean
        right = np.moveaxis(level.targets, 0, 2) + strength * (mean @ coefficients[..., None])[..., 0]
        coefficients = np.linalg.solve(left, right[..., None])[..., 0]
        mean = left / (level.count + strength)[..., None, None]
        strength = shrinkage
    return np.moveaxis(coefficients, 2, 0)


def _spread(
    squares: Array, visible: NDArray[np.bool_], land: NDArray[np.bool_], strength: float
) -> NDArray[np.float32]:
    """Residual deviation of each cell, shrunk as the coefficients are."""
    variance = near_cells(squares, visible.sum(axis=0, dtype=np.float64), land, strength)
    spread: NDArray[np.float32] = np.maximum(np.sqrt(variance), FLOOR_K).astype(np.float32)
    return spread


def near_cells(total: Array, count: Array, land: NDArray[np.bool_], strength: float) -> Array:
    """Mean of what each cell has ``(lat, lon)``, shrunk to its neighbourhood, that to a wider one, to that of the tile.

    Args:
        total: sum of the observations of a cell ``(lat, lon)``.
        count: their number ``(lat, lon)``.
        land: cells with a meaning ``(lat, lon)``.
        strength: observations of its own at which a cell counts as much as its neighbours, more than 0.
    """
    mean = np.full(land.shape, total.sum() / max(float(count.sum()), 1.0))
    for scale in (*SCALES, 0.0):
        share = _near(land.astype(np.float64), scale)
        share[share <= 0] = np.inf
        mean = (_near(total, scale) / share + strength * mean) / (_near(count, scale) / share + strength)
    return mean


def _near(values: Array, scale: float) -> Array:
    """Weighted mean ``(..., lat, lon)`` around each cell, beyond the edges nothing."""
    from scipy.ndimage import gaussian_filter

    if scale == 0:
        return values.copy()
    if np.isinf(scale):
        return np.broadcast_to(values.mean(axis=(-2, -1), keepdims=True), values.shape).copy()
    smooth: Array = gaussian_filter(values, scale, mode="constant", axes=(-2, -1), truncate=3.0)
    return smooth
