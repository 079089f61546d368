"""How far a fitted model lies from values it was not fitted to, by latitude band."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.geometry import LATITUDE_BANDS_DEG, latitude_band
from lstfill.errors import DataError
from lstfill.model.spread import Spread

_BANDS = len(LATITUDE_BANDS_DEG) - 1


def measure_spread(pieces: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]], source: str) -> Spread:
    """Root mean square of residuals by latitude band; about zero, because a bias is part of the error.

    Args:
        pieces: residuals ``(n,)`` in K and their latitudes ``(n,)``, a piece at a time.
        source: what the residuals are of, as ``Spread.source`` names it.

    Raises:
        DataError: if there is no finite residual.
    """
    squares, n = np.zeros(_BANDS), np.zeros(_BANDS, np.int64)
    for residual, lat in pieces:
        known = np.isfinite(residual)
        band = latitude_band(lat[known])
        squares += np.bincount(band, np.square(residual[known], dtype=np.float64), _BANDS)
        n += np.bincount(band, minlength=_BANDS)
    if not n.any():
        raise DataError("calibration", [f"no residual of the {source} part is finite: check the features' values"])
    std = tuple(math.sqrt(s / count) if count else None for s, count in zip(squares, n, strict=True))
    overall = math.sqrt(float(squares.sum()) / int(n.sum()))
    return Spread(tuple(float(edge) for edge in LATITUDE_BANDS_DEG), std, tuple(n.tolist()), overall, source)
