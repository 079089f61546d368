"""Spread: how far filled values lie from the truth, as the deviation of residuals by latitude band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

MIN_RESIDUALS = 30
"""Residuals below which a band's own deviation is no better known than the overall one (to about 13 %)."""


@dataclass(frozen=True)
class Spread:
    """Standard deviation of residuals in K, by latitude band.

    Attributes:
        edges_deg: edges of the bands in degrees north, growing; one more than there are bands. A band holds its lower
            edge; the last one its upper edge too.
        std_k: deviation in K of each band; None where there are no residuals.
        n: residuals of each band.
        overall_k: deviation in K over all bands.
        source: what the residuals are of: ``held_out_gaps``, ``test`` or ``validation``.
    """

    edges_deg: tuple[float, ...]
    std_k: tuple[float | None, ...]
    n: tuple[int, ...]
    overall_k: float
    source: str

    def for_lat(self, lat: NDArray[np.floating]) -> NDArray[np.float64]:
        """Deviation in K at each latitude ``(lat,)``; a band with fewer than 30 residuals takes the overall one."""
        known = [
            std if std is not None and n >= MIN_RESIDUALS else self.overall_k
            for std, n in zip(self.std_k, self.n, strict=True)
        ]
        band = np.searchsorted(np.asarray(self.edges_deg), lat, side="right") - 1
        values: NDArray[np.float64] = np.asarray(known, np.float64)[np.clip(band, 0, len(known) - 1)]
        return values

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "edges_deg": list(self.edges_deg),
            "std_k": list(self.std_k),
            "n": list(self.n),
            "overall_k": self.overall_k,
            "source": self.source,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what ``to_dict`` wrote, or the ``spread`` of an evaluation."""
        return cls(
            tuple(float(edge) for edge in values["edges_deg"]),
            tuple(None if std is None else float(std) for std in values["std_k"]),
            tuple(int(n) for n in values["n"]),
            float(values["overall_k"]),
            str(values["source"]),
        )
