"""Where and when a cell is: area weights, latitude bands, seasons, and whether a grid closes around the globe."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

LATITUDE_BANDS_DEG = (-90, -60, -30, 0, 30, 60, 90)
SEASONS = ("DJF", "MAM", "JJA", "SON")


def cos_lat(lat: ArrayLike) -> NDArray[np.float64]:
    """Weights proportional to the area of a cell on a regular grid, the cosine of its latitude.

    Args:
        lat: latitudes in degrees north, any shape.
    """
    weights: NDArray[np.float64] = np.cos(np.deg2rad(np.asarray(lat, np.float64)))
    return np.maximum(weights, 0.0)


def latitude_band(lat: ArrayLike) -> NDArray[np.int8]:
    """Index of the latitude band, from the south; a cell on an edge belongs to the band north of it.

    Args:
        lat: latitudes in degrees north, any shape.
    """
    inner = np.asarray(LATITUDE_BANDS_DEG[1:-1], np.float64)
    return np.searchsorted(inner, np.asarray(lat, np.float64), side="right").astype(np.int8)


def band_labels(edges_deg: Sequence[float] = LATITUDE_BANDS_DEG) -> tuple[str, ...]:
    """Names of the latitude bands between edges that grow, like ``60S-30S``."""
    return tuple(f"{_degrees(a)}-{_degrees(b)}" for a, b in itertools.pairwise(edges_deg))


def season(time: NDArray[np.datetime64], lat: ArrayLike) -> NDArray[np.int8]:
    """Calendar season of each date and row, an index of ``SEASONS``.

    The seasons are months, the same in both hemispheres: DJF is winter in the north and summer in the south.

    Args:
        time: dates ``(time,)``.
        lat: latitudes ``(lat,)``; only their number matters, so that the codes line up with ``(time, lat)`` groups.

    Returns:
        Codes ``(time, lat)``.
    """
    month = time.astype("datetime64[M]").astype(np.int64) % 12 + 1
    codes = (month % 12 // 3).astype(np.int8)
    return np.repeat(codes[:, None], np.size(lat), axis=1)


def is_global_lon(lon: ArrayLike) -> bool:
    """Whether the columns close around the globe, so that the last is the first one's neighbour.

    Args:
        lon: strictly increasing longitudes ``(lon,)`` in degrees east, any convention.
    """
    columns = np.asarray(lon, np.float64)
    if columns.size < 2:
        return False
    steps = np.diff(columns, append=columns[0] + 360.0)
    # The step over the seam may be no wider than one and a half of the others: a missing column is a border.
    return bool(steps.min() > 0 and steps[-1] <= 1.5 * np.median(steps[:-1]))


def _degrees(lat: float) -> str:
    return f"{abs(lat):g}" + ("N" if lat > 0 else "S" if lat < 0 else "")
