"""A chunk: the arrays of one window, as every science function takes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.windows import Window


@dataclass(frozen=True)
class Chunk:
    """The cells of one window with all that is known of them.

    Attributes:
        window: where the cells stand in the cube.
        shape: cells of the whole cube ``(time, lat, lon)``.
        time: dates ``(time,)``, datetime64[ns].
        lat: latitudes ``(lat,)`` in degrees north.
        lon: longitudes ``(lon,)`` in degrees east.
        target: observed values ``(time, lat, lon)`` in K, NaN in gaps.
        features: name to values ``(time, lat, lon)``; float, NaN where missing.
        land: cells with a meaning ``(lat, lon)``, bool.
        part: code of the split ``(time, lat, lon)``, int8 (``lstfill.split.Part``); None before the split.
        held_out: values hidden from everything before scoring ``(time, lat, lon)``, bool; None where there are none.
        truth: values behind the held-out gaps ``(time, lat, lon)`` in K; None where the target holds them itself.
        covariates: name to what else may explain the target ``(time, lat, lon)`` or ``(lat, lon)``: elevation, land
            cover. Integers are classes, floats are amounts, NaN where missing.
    """

    window: Window
    shape: tuple[int, int, int]
    time: NDArray[np.datetime64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    target: NDArray[np.floating]
    features: dict[str, NDArray[np.floating]]
    land: NDArray[np.bool_]
    part: NDArray[np.int8] | None = None
    held_out: NDArray[np.bool_] | None = None
    truth: NDArray[np.floating] | None = None
    covariates: dict[str, NDArray[Any]] = field(default_factory=dict)

    def visible(self) -> NDArray[np.bool_]:
        """Where the target may be seen: land, observed and not held out ``(time, lat, lon)``."""
        seen: NDArray[np.bool_] = np.isfinite(self.target) & self.land[None]
        return seen if self.held_out is None else seen & ~self.held_out

    def hiding(self, cells: NDArray[np.bool_]) -> Self:
        """The same chunk with more values held out ``(time, lat, lon)``."""
        return replace(self, held_out=cells if self.held_out is None else self.held_out | cells)

    def features_complete(self) -> NDArray[np.bool_]:
        """Where every feature is finite ``(time, lat, lon)``; everywhere if there are no features."""
        complete = np.ones(self.target.shape, bool)
        for values in self.features.values():
            complete &= np.isfinite(values)
        return complete
