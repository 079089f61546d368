"""Weighs models by what they say of cells that they were not fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FAR = 2.5
"""Robust deviations beyond which an error counts by its size and no longer by its square (Huber 1964)."""
_RIDGE = 0.02
_SUM = 1e3


def blend_weights(predicted: Array, values: Array, prior: Array) -> Array:
    """Non-negative weights with sum 1, half of them from cross-validation, half given.

    The first half has the least squared error of the weighted mean (stacking: Breiman 1996, doi:10.1007/BF00117832),
    far errors weighing less. Known cells at the edge of a large gap cannot tell all of its middle; hence the second.

    Args:
        predicted: by each model, of cells it was not fitted to ``(n, models)`` in K.
        values: of the same cells ``(n,)`` in K.
        prior: weights before anything is known, with sum 1 ``(models,)``.
    """
    from scipy.optimize import nnls

    error = predicted - values[:, None]
    size = np.abs(error.mean(axis=1))
    deviation = 1.4826 * float(np.median(size))
    if deviation == 0.0:
        return prior
    weight = 1.0 / np.maximum(1.0, size / (_FAR * deviation))
    products = (error * weight[:, None]).T @ error / len(values)
    size_of = float(np.trace(products)) / len(prior)
    products[np.diag_indices_from(products)] += _RIDGE * size_of
    scale = np.sqrt(size_of)
    rows = np.vstack([np.linalg.cholesky(products).T / scale, np.full(len(prior), _SUM)])
    found, _ = nnls(rows, np.array([0.0] * len(prior) + [_SUM]))
    half: Array = 0.5 * (found / found.sum() + prior)
    return half
