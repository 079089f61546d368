"""Weights of several predictions of one date, from errors that none of them was fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_EQUAL = 0.1
"""Strength that draws the weights together, as a share of the mean square of the errors."""
_FAR = 3.0
"""Typical errors beyond which a sample counts less, as in Huber's estimator."""
_ONE = 1e3
"""How much more than the errors the sum of the weights counts, which is one."""


def weights(predicted: Array, values: Array) -> Array:
    """Weights ``(k,)``, none negative, that sum to one: least squares of the mean prediction.

    Stacked regressions, Breiman 1996, doi:10.1007/BF00117832; squares of far errors are capped as Huber 1964 does,
    doi:10.1214/aoms/1177703732.

    Args:
        predicted: ``(n, k)`` in K, by models that were not fitted to the sample.
        values: ``(n,)`` in K.
    """
    from scipy.optimize import nnls

    error = predicted - values[:, None]
    size = np.abs(error).mean(axis=1)
    count = np.minimum(1.0, _FAR * (np.median(size) + 1e-6) / np.maximum(size, 1e-6))
    products = (error * count[:, None]).T @ error / len(values)
    models = len(products)
    products += (_EQUAL * np.trace(products) / models + 1e-9) * np.eye(models)
    rows = np.vstack([np.linalg.cholesky(products).T, np.full((1, models), _ONE * np.sqrt(np.trace(products)))])
    found, _ = nnls(rows, np.append(np.zeros(models), rows[-1, 0]))
    share: Array = found / found.sum()
    return share
