"""What a model says of the land cells of a window, whatever its reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HalfWidths = Callable[[NDArray[np.intp]], NDArray[np.floating]]


@dataclass(frozen=True)
class Estimate:
    """A model's values of one window while one set of cells is scored.

    Attributes:
        value: of the land cells side by side ``(time, n, 1)`` in K; NaN where it has none.
        half_widths: gives the half widths of the central intervals at ``lstfill.model.calibration.LEVELS``
            ``(levels, m)`` in K at some cells of the window ``(m,)``, by their flat index, ascending; None for a model
            without a calibrated uncertainty.
    """

    value: NDArray[np.floating]
    half_widths: HalfWidths | None = None
