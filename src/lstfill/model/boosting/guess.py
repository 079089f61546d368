"""A first guess from what is visible: harmonics, date and cell, the other dates, and the residuals around a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lstfill.model.harmonic import fit_harmonics, near_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lstfill.cube import Chunk
    from lstfill.modelconfig import Harmonic

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SCALES = (24.0, 12.0, 6.0, 3.0, 1.5, 0.8)
"""Widths in cells of the neighbourhoods that residuals are spread over, the widest first."""
DENSITY = 0.05
"""Share of visible cells in a neighbourhood at which its mean counts half."""
PATCH = 20.0
"""Cells whose residuals count as one, since they lie side by side."""
PAIRS = 1000.0
"""Jointly visible cells at which the likeness of two dates is believed by half."""
RANK = 6
"""Patterns that dates have in common, at most."""
OWN = 0.05
"""Least share of a date's variance that is its own."""
FAR = 5.0
"""Standard deviations beyond which an anomaly counts no more than at them: an undetected cloud does no harm."""
_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution whose median absolute value is 1."""
_BATCH = 4096


@dataclass(frozen=True)
class Guess:
    """The first guess of a tile, and what it is made of; arrays ``(time, lat, lon)`` in K unless it is said.

    Attributes:
        harmonic: harmonics and features of the cell.
        date: what the date differs by ``(time,)``.
        cell: what the cell differs by ``(lat, lon)``.
        anomaly: visible values less the three above, 0 where nothing is visible.
        others: anomaly that the other dates of the cell tell.
        doubt: standard deviation of the anomaly, given the other dates.
        around: parts of the anomaly from the residuals around the cell, one a scale.
        alone: anomaly from those around the cell without the other dates.
        seen: share of visible cells in the neighbourhood of each scale.
        likeness: correlation of the anomalies of two dates ``(time, time)``.
        deviation: of the anomalies of a date ``(time,)``.
    """

    harmonic: Array
    date: Array
    cell: Array
    anomaly: Array
    others: Array
    doubt: Array
    around: list[Array]
    alone: Array
    seen: list[Array]
    likeness: Array
    deviation: Array

    @property
    def value(self) -> Array:
        """The guess itself."""
        total: Array = self.harmonic + self.date[:, None, None] + self.cell + self.others
        for part in self.around:
            total = total + part
        return total


def first_guess(chunk: Chunk, options: Harmonic, features: Sequence[str]) -> Guess | None:
    """The first guess of a tile; None where nothing is visible.

    Args:
        chunk: all dates of a tile; uses of the target what is visible.
        options: of the harmonics.
        features: that the harmonics go with.
    """
    fit = fit_harmonics(chunk, options, features)
    if fit is None:
        return None
    visible, harmonic = chunk.visible(), fit.value.astype(np.float64)
    anomaly = np.where(visible, chunk.target - harmonic, 0.0)
    date, cell = _date_and_cell(anomaly, visible, chunk.land)
    anomaly = _clipped(np.where(visible, anomaly - date[:, None, None] - cell, 0.0), visible)
    likeness, deviation = _likeness(anomaly, visible)
    others, doubt, rest = _from_others(anomaly, visible, chunk.land, likeness, deviation)
    seen = [_near(visible.astype(np.float64), scale) for scale in SCALES]
    alone = sum(_around(anomaly, visible, seen), np.zeros_like(anomaly))
    around = _around(rest, visible, seen)
    return Guess(harmonic, date, cell, anomaly, others, doubt, around, alone, seen, likeness, deviation)


def _date_and_cell(anomaly: Array, visible: Mask, land: Mask) -> tuple[Array, Array]:
    """Effects of date ``(time,)`` and cell ``(lat, lon)``, by turns; few observations leave an effect near zero."""
    cell = np.zeros(land.shape)
    for _ in range(2):
        date = _date(np.where(visible, anomaly - cell, 0.0), visible)
        total = np.where(visible, anomaly - date[:, None, None], 0.0).sum(axis=0)
        cell = near_cells(total, visible.sum(axis=0, dtype=np.float64), land, 1.0)
    return _date(np.where(visible, anomaly - cell, 0.0), visible), cell


def _date(anomaly: Array, visible: Mask) -> Array:
    """Mean of each date, shrunk by the ratio of the variance within dates to that between them."""
    n = visible.sum(axis=(1, 2))
    mean = anomaly.sum(axis=(1, 2)) / np.maximum(n, 1)
    within = (np.where(visible, anomaly - mean[:, None, None], 0.0) ** 2).sum() / n.sum()
    between = max(float(mean[n > 0].var()), 1e-3)
    shrunk: Array = mean * n / np.maximum(n + PATCH * within / between, 1e-9)
    return shrunk


def _clipped(anomaly: Array, visible: Mask) -> Array:
    """Anomalies no larger than a multiple of the deviation of their date or of all dates, told from medians."""
    usual = np.median(np.abs(anomaly[visible]))
    for date, seen in enumerate(visible):
        own = np.median(np.abs(anomaly[date][seen])) if seen.any() else 0.0
        limit = FAR * _TO_DEVIATION * max(own, usual)
        np.clip(anomaly[date], -limit, limit, out=anomaly[date])
    return anomaly


def _likeness(anomaly: Array, visible: Mask) -> tuple[Array, Array]:
    """Correlation of the dates over jointly visible cells, shrunk where they are few, and deviation of each date."""
    seen = visible.reshape(len(visible), -1).astype(np.float64)
    values = anomaly.reshape(len(anomaly), -1)
    n, squares = seen.sum(axis=1), (values**2).sum(axis=1)
    deviation = np.sqrt((squares + PATCH * squares.sum() / n.sum()) / (n + PATCH)) + 1e-6
    scaled = values / deviation[:, None]
    likeness = (scaled @ scaled.T) / (seen @ seen.T + PAIRS)
    np.fill_diagonal(likeness, 1.0)
    return likeness, deviation


def _patterns(likeness: Array) -> tuple[Array, Array]:
    """Loadings of the dates on their common patterns ``(time, rank)``, and the variance that is a date's own."""
    strength, vectors = np.linalg.eigh(likeness)
    strength, vectors = np.maximum(strength[::-1][:RANK], 0.0), vectors[:, ::-1][:, :RANK]
    loadings: Array = vectors * np.sqrt(strength)
    return loadings, np.maximum(1.0 - (loadings**2).sum(axis=1), OWN)


def _from_others(
    anomaly: Array, visible: Mask, land: Mask, likeness: Array, deviation: Array
) -> tuple[Array, Array, Array]:
    """What the other dates of a cell tell of each date, with its deviation, and what they leave of what is visible.

    Anomalies are taken as normal with a covariance of few patterns and a part of each date's own (factor analysis;
    probabilistic PCA of Tipping and Bishop 1999, doi:10.1111/1467-9868.00196); a visible value is predicted without
    itself by the closed form for leaving one out (Dubrule 1983, doi:10.1007/BF01032692).
    """
    loadings, own = _patterns(likeness)
    others, doubt, rest = (np.zeros(anomaly.shape) for _ in range(3))
    rows, columns = np.nonzero(land)
    for start in range(0, len(rows), _BATCH):
        at = (slice(None), rows[start : start + _BATCH], columns[start : start + _BATCH])
        told, variance, left = _condition(anomaly[at] / deviation[:, None], visible[at], loadings, own)
        others[at], rest[at] = told * deviation[:, None], left * deviation[:, None]
        doubt[at] = np.sqrt(variance) * deviation[:, None]
    return others, doubt, rest


def _condition(values: Array, seen: Mask, loadings: Array, own: Array) -> tuple[Array, Array, Array]:
    """For standardised series ``(time, n)``: conditional mean, variance, and residual without the value itself."""
    weighted = loadings / own[:, None]
    squares = (weighted[:, :, None] * loadings[:, None, :]).reshape(len(own), -1)
    rank = loadings.shape[1]
    inverse = np.linalg.inv((seen.T.astype(np.float64) @ squares).reshape(-1, rank, rank) + np.eye(rank))
    scores = np.einsum("nij,nj->ni", inverse, values.T @ weighted)
    told = loadings @ scores.T
    reach = np.einsum("ti,nij,tj->tn", loadings, inverse, loadings, optimize=True)
    left = np.where(seen, (values - told) / np.maximum(1.0 - reach / own[:, None], 1e-3), 0.0)
    return told, reach + own[:, None], left


def _around(values: Array, visible: Mask, seen: list[Array]) -> list[Array]:
    """Weighted means of visible values around each cell, scale by scale of what the wider ones have left."""
    parts: list[Array] = []
    total = np.zeros_like(values)
    for scale, share in zip(SCALES, seen, strict=True):
        parts.append(_near(np.where(visible, values - total, 0.0), scale) / (share + DENSITY))
        total += parts[-1]
    return parts


def _near(values: Array, scale: float) -> Array:
    from scipy.ndimage import gaussian_filter

    near: Array = gaussian_filter(values, scale, mode="constant", axes=(-2, -1), truncate=3.0)
    return near
