"""Boosted trees of scikit-learn, for values and for how far off they are, as files that run nothing when read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lstfill.modelconfig import Boosting

Array = NDArray[np.floating]

FAR = 4.0
"""Standard deviations beyond which what is learned counts no more than at them."""
PATIENCE = 10
"""Trees that are no better for the dates left out after which a fit stops."""
FEW = 200
"""Samples below which dates left out say nothing."""
SMALLEST = 0.05
"""Part of the mean absolute error below which an error is taken for that: the logarithm of none is infinite."""
_TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


@dataclass(frozen=True)
class Samples:
    """Rows to learn from.

    Attributes:
        predictors: ``(n, columns)``, NaN where there is none.
        target: ``(n,)``.
        part: which share of the dates each row is from ``(n,)``.
    """

    predictors: NDArray[np.float32]
    target: Array
    part: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Fitted:
    """Trees of all dates, and what tells how good they are on others.

    Attributes:
        trees: fitted to all rows, as many as were best for dates that were left out.
        without: fitted without each part, by its number; empty if all rows are of one.
        apart: target of each row by the trees without its part ``(n,)``.
    """

    trees: Any
    without: dict[int, Any]
    apart: NDArray[np.float64]


def fit_trees(samples: Samples, options: Boosting, seed: int) -> Fitted:
    """Trees for the target, cross-fitted over parts of the dates.

    Friedman 2001, doi:10.1214/aos/1013203451, on histograms (Ke et al. 2017, LightGBM). Errors of a date go together,
    and cells beside those learned from are told by them: whole dates are left out.

    Args:
        samples: at least one.
        options: number, size and weight of the trees.
        seed: of the bins that values are sorted into.
    """
    center, deviation = float(np.mean(samples.target)), float(np.std(samples.target))
    target = np.clip(samples.target, center - FAR * deviation, center + FAR * deviation)
    without, apart = {}, np.empty(len(samples))
    parts = np.unique(samples.part)
    for part in parts.tolist() if len(parts) > 1 else []:
        out = samples.part == part
        stop = (samples.predictors[out], target[out]) if out.sum() >= FEW else None
        without[part] = _fit(samples.predictors[~out], target[~out], stop, options, seed)
        apart[out] = predict(without[part], samples.predictors[out])
    if without:
        best = round(float(np.mean([trees.n_iter_ for trees in without.values()])))
        options = options.model_copy(update={"max_iter": best})
    trees = _fit(samples.predictors, target, None, options, seed)
    return Fitted(trees, without, apart if without else predict(trees, samples.predictors))


def fit_spread(samples: Samples, predicted: Array, options: Boosting, seed: int) -> tuple[Any, float]:
    """Trees for the logarithm of the absolute error, and the factor that makes of it a standard deviation.

    Args:
        samples: the target is what was to be predicted.
        predicted: what trees said of it that were not fitted to it ``(n,)``.
        options: size of the trees.
        seed: of the bins that values are sorted into.
    """
    error = np.abs(samples.target - predicted)
    logarithm = np.log(np.maximum(error, SMALLEST * max(float(error.mean()), 1e-6)))
    few = options.model_copy(update={"max_iter": min(60, options.max_iter), "max_leaf_nodes": 8})
    trees = _fit(samples.predictors, logarithm, None, few, seed)
    ratio = np.minimum(error / np.exp(predict(trees, samples.predictors)), 4 * FAR)
    return trees, float(np.sqrt(np.mean(ratio**2)))


def predict(trees: Any, predictors: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the trees say of rows ``(n, columns)``."""
    with _one_thread():
        said: NDArray[np.float64] = trees.predict(predictors)
    return said


def to_bytes(trees: Any) -> bytes:
    """The contents of a skops file."""
    import skops.io

    content: bytes = skops.io.dumps(trees)
    return content


@lru_cache(maxsize=8)
def from_bytes(content: bytes) -> Any:
    """Reads what ``to_bytes`` wrote; kept, since every tile asks for it."""
    import skops.io

    return skops.io.loads(content, trusted=_TRUSTED)


def _fit(predictors: Array, target: Array, stop: tuple[Array, Array] | None, options: Boosting, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        max_iter=options.max_iter,
        learning_rate=options.learning_rate,
        max_leaf_nodes=options.max_leaf_nodes,
        min_samples_leaf=options.min_samples_leaf,
        early_stopping=stop is not None,
        n_iter_no_change=PATIENCE,
        random_state=seed % 2**32,
    )
    known = _with_values(predictors)
    with _one_thread():
        if stop is None:
            return trees.fit(known, target)
        return trees.fit(known, target, X_val=stop[0], y_val=stop[1])


def _with_values(predictors: Array) -> Array:
    """The rows, with 0 in columns that no row knows, as those of other dates in a cube of one: bins need a value."""
    unknown = np.isnan(predictors).all(axis=0)
    return np.where(unknown, np.float32(0), predictors) if unknown.any() else predictors


def _one_thread() -> Any:
    """Trees in one thread: tiles share the cores already, and threads that wait for each other take them all."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="openmp")
