"""Where the target has a meaning: land, made once a grid, less what the user takes out."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from lstfill.errors import DataError

# Cell centres of 5 arc minute grids lie exactly on edges of the 30 arc second mask, where the last bit of a coordinate
# would decide. 2 m to the north east outweighs the rounding of a float32 longitude (0.8 m), is nothing in 1 km, and is
# where the mask's own index arithmetic puts double precision centres.
_OFF_EDGE_DEG = 2e-5


def land(lat: NDArray[np.floating], lon: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tells which cell centres are land ``(lat, lon)``; lakes count as land.

    Depends on the coordinates alone. Source: global-land-mask, sampled from GLOBE at 30 arc seconds. Its import takes
    0.9 GB, which is why the mask is made once and stored.

    Args:
        lat: latitudes ``(lat,)`` in degrees north, in any order.
        lon: longitudes ``(lon,)`` in degrees east, in any convention.
    """
    from global_land_mask import globe

    north = np.clip(np.asarray(lat, np.float64) + _OFF_EDGE_DEG, -90, 90)
    east = (np.asarray(lon, np.float64) + _OFF_EDGE_DEG + 180) % 360 - 180
    is_land: NDArray[np.bool_] = globe.is_land(north[:, None], east[None, :])
    return is_land


def from_variable(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Takes a variable as a mask ``(lat, lon)``: true where it is finite and not 0.

    Args:
        values: ``(lat, lon)``, or ``(time, lat, lon)``, for which a cell counts if it does at any time.
    """
    values = np.asarray(values)
    is_set: NDArray[np.bool_] = np.isfinite(values) & (values != 0)
    return np.asarray(is_set.any(axis=0)) if is_set.ndim == 3 else is_set


def exclude(land: NDArray[np.bool_], *masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Takes cells out of a mask ``(lat, lon)``: ice sheets, lakes.

    Args:
        land: the mask ``(lat, lon)``.
        masks: true where a cell is taken out ``(lat, lon)``.

    Raises:
        DataError: if a mask is of another grid.
    """
    kept = land.copy()
    for number, mask in enumerate(masks, start=1):
        if mask.shape != land.shape:
            fact = f"exclusion {number} has {mask.shape} cells, the grid {land.shape}"
            raise DataError("mask", [f"{fact}: give it on the grid of the cube"])
        kept &= ~mask
    return kept


def digest(land: NDArray[np.bool_]) -> str:
    """Names a mask by its content: SHA-256 over its shape and its bits, as 64 hexadecimal digits.

    Args:
        land: the mask ``(lat, lon)``.
    """
    content = hashlib.sha256(repr(tuple(int(n) for n in land.shape)).encode())
    content.update(np.packbits(np.ascontiguousarray(land, bool)).tobytes())
    return content.hexdigest()
