"""Kriging of residuals from their nearest neighbours: batched, because a tile has thousands of cells a date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RANGES = (1.5, 2.5, 4.0, 6.0, 9.0, 13.0, 20.0, 30.0)
EDGES = (0.0, 1.5, 2.5, 4.0, 6.0, 9.0, 13.0, 18.0, 25.0, 35.0, 50.0)
"""Ranges that are tried, and edges of the classes of distance of the variogram, in cells."""
_PAIRS_OF = 1500
"""Residuals whose pairs make the variogram."""
_HIGHEST = 0.99
"""Quantile of squared differences beyond which they count as that: one outlier must not make a sill."""
_NEAR = 20.0
"""Distance in cells over which classes of the variogram lose weight: kriging uses the nearest neighbours alone."""
NUGGET = (0.05, 0.95)
"""Least and largest share of the nugget; without one, neighbours of equal value would make weights unstable."""
_BATCH = 4096


@dataclass(frozen=True)
class Covariance:
    """Exponential covariance of residuals with a nugget.

    Attributes:
        sill: variance in K², the nugget included.
        nugget: its share that neighbours have not in common.
        range_cells: distance at which the rest has fallen to 1/e.
    """

    sill: float
    nugget: float
    range_cells: float

    def correlation(self, distance: Array) -> Array:
        """Correlation of two cells at a distance in cells, above 0."""
        rho: Array = (1.0 - self.nugget) * np.exp(-distance / self.range_cells)
        return rho


def fit_covariance(position: Array, residual: Array, seed: int) -> Covariance:
    """Fits nugget and sill for each range to the variogram by non-negative least squares; the best range wins.

    Classes of distance count by their pairs, and less the further they are (Cressie 1985, doi:10.1007/BF01032109,
    weighs by pairs).

    Args:
        position: row and column of each residual ``(n, 2)`` in cells.
        residual: ``(n,)`` in K.
        seed: of the draw of residuals where there are many.
    """
    from scipy.optimize import nnls

    pairs, half, distance = _variogram(position, residual, seed)
    weight = np.sqrt(pairs * np.exp(-distance / _NEAR))
    if not weight.any():
        return Covariance(max(float(np.var(residual)), 1e-6), NUGGET[1], RANGES[0])
    fits = []
    for reach in RANGES:
        columns = np.stack([np.ones_like(distance), 1.0 - np.exp(-distance / reach)], axis=1)
        parts, error = nnls(columns * weight[:, None], half * weight)
        fits.append((float(error), reach, parts))
    _, reach, parts = min(fits, key=lambda fit: fit[:2])
    sill = max(float(parts.sum()), 1e-6)
    return Covariance(sill, float(np.clip(parts[0] / sill, *NUGGET)), reach)


def krige(
    position: Array, residual: Array, wanted: Array, covariance: Covariance, neighbours: int
) -> tuple[Array, Array]:
    """Simple kriging about zero (Chiles and Delfiner 2012, "Geostatistics", section 3.2) from the nearest residuals.

    Args:
        position: row and column of each residual ``(n, 2)`` in cells.
        residual: ``(n,)`` in K.
        wanted: where values are wanted ``(m, 2)``.
        covariance: of the residuals.
        neighbours: residuals each value is made from.

    Returns:
        Values ``(m,)`` in K, and the variance that is left ``(m,)`` in K²; without residuals zero, and the sill.
    """
    from scipy.spatial import cKDTree

    value, variance = np.zeros(len(wanted)), np.full(len(wanted), covariance.sill)
    if not len(residual):
        return value, variance
    tree, count = cKDTree(position), min(neighbours, len(residual))
    for start in range(0, len(wanted), _BATCH):
        part = slice(start, start + _BATCH)
        distance, nearest = (found.reshape(-1, count) for found in tree.query(wanted[part], count))
        weights, share = _weights(position[nearest], distance, covariance)
        value[part] = (weights * residual[nearest]).sum(axis=1)
        variance[part] = covariance.sill * (1.0 - share)
    return value, variance


def _weights(position: Array, distance: Array, covariance: Covariance) -> tuple[Array, Array]:
    """Weights of the neighbours ``(m, k)``, and the share of the variance that they explain ``(m,)``."""
    step = position[:, :, None] - position[:, None]
    between = covariance.correlation(np.sqrt((step**2).sum(axis=-1)))
    diagonal = np.arange(position.shape[1])
    between[:, diagonal, diagonal] = 1.0
    to = covariance.correlation(distance)
    weights = np.linalg.solve(between, to[..., None])[..., 0].astype(np.float64)
    return weights, (weights * to).sum(axis=1)


def _variogram(position: Array, residual: Array, seed: int) -> tuple[Array, Array, Array]:
    """Pairs, mean half squared difference and mean distance of each class that has pairs."""
    if len(residual) > _PAIRS_OF:
        chosen = np.sort(np.random.default_rng(seed).choice(len(residual), _PAIRS_OF, replace=False))
        position, residual = position[chosen], residual[chosen]
    first, second = np.triu_indices(len(residual), 1)
    distance = np.sqrt(((position[first] - position[second]) ** 2).sum(axis=1))
    near = distance < EDGES[-1]
    distance, half = distance[near], 0.5 * (residual[first[near]] - residual[second[near]]) ** 2
    if not len(half):
        return np.zeros(1), np.zeros(1), np.ones(1)
    half = np.minimum(half, np.quantile(half, _HIGHEST))
    label, classes = np.digitize(distance, EDGES) - 1, len(EDGES) - 1
    pairs = np.bincount(label, minlength=classes).astype(np.float64)
    there = pairs > 0
    means = [np.bincount(label, of, classes)[there] / pairs[there] for of in (half, distance)]
    return pairs[there], means[0], means[1]
