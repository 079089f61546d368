"""Completes the anomalies of dates by what a few patterns say, so that every date can predict every other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

THRESHOLDS = (0.3, 0.12, 0.08)
"""Singular values below these shares of the largest are noise; from coarse to fine, each started from the last."""
_ROUNDS = 10


def complete(anomalies: Array) -> Array:
    """Fills a matrix by singular values that are soft thresholded, in turn with the known values put back.

    Mazumder, Hastie and Tibshirani 2010, "Spectral regularization algorithms for learning large incomplete matrices",
    J. Mach. Learn. Res. 11. Singular vectors come from the small matrix of products between dates.

    Args:
        anomalies: ``(time, n)`` in K, NaN where unknown.

    Returns:
        The same with every value known; a date without any is 0.
    """
    known = np.isfinite(anomalies)
    filled = np.where(known, anomalies, 0.0)
    if not known.any():
        return filled
    largest = float(np.sqrt(np.linalg.eigvalsh(filled @ filled.T)[-1]))
    for share in THRESHOLDS:
        for _ in range(_ROUNDS):
            filled = np.where(known, anomalies, _thresholded(filled, share * largest))
    return filled


def patterns(completed: Array, count: int) -> Array:
    """Leading patterns over the cells ``(n, at most count)`` in K, each of one sign on every machine.

    Args:
        completed: ``(time, n)`` in K.
        count: number of patterns at most.
    """
    if not len(completed):
        return np.empty((completed.shape[1], 0))
    _, vectors = np.linalg.eigh(completed @ completed.T)
    weights = vectors[:, ::-1][:, :count]
    largest = np.abs(weights).argmax(axis=0)
    found: Array = completed.T @ (weights * np.sign(weights[largest, np.arange(weights.shape[1])]))
    return found


def _thresholded(matrix: Array, threshold: float) -> Array:
    """The matrix with its singular values lowered by a threshold, by eigenvectors between rows."""
    squares, vectors = np.linalg.eigh(matrix @ matrix.T)
    singular = np.sqrt(np.maximum(squares, 0.0))
    kept = singular > threshold
    vectors, factor = vectors[:, kept], 1.0 - threshold / singular[kept]
    low: Array = (vectors * factor) @ (vectors.T @ matrix)
    return low
