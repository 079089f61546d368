"""Calibrations for tests: by latitude alone, and by all that surrounds a cell."""

from __future__ import annotations

from lstfill.gaps import LABELS
from lstfill.model import Calibration

SEASONS = len(LABELS["season"])
BANDS = len(LABELS["latitude"])

CALIBRATION = Calibration(
    power=0.0,
    typical=1.0,
    factors={"latitude": (1.0, 0.8, 0.6, 0.4, 0.2, 0.0), "season": (0.0, 0.1, 0.2, 0.3)},
    groups=("latitude", "season"),
    group_factors=((0.0,) * SEASONS,) * BANDS,
    quantiles=((0.7, 1.0, 1.3, 1.7, 2.1),) * SEASONS,
    residuals=1000,
    blocks=40,
    source="values of the validation part",
)
"""Standard uncertainties of a model that does not look around: ``exp(band + season)`` in K."""

AROUND = Calibration(
    power=0.8,
    typical=0.9,
    factors={name: tuple(0.1 * k for k in range(len(labels))) for name, labels in LABELS.items()},
    groups=("gap_size", "season"),
    group_factors=tuple(tuple(0.05 * gap - 0.02 * season for season in range(SEASONS)) for gap in range(5)),
    quantiles=tuple((0.7, 1.0 + 0.1 * k, 1.3 + 0.1 * k, 1.7 + 0.1 * k, 2.1 + 0.1 * k) for k in range(SEASONS)),
    residuals=5000,
    blocks=60,
    source="artificial gaps of the training part",
)
"""Of a model that looks around, and has a spread of its own."""
