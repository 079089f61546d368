"""Artificial gaps for learning and calibration: what is missing on one date, cut out of what is visible on another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHARE = (0.03, 0.98)
"""Least and largest share of a date's visible cells that a gap may hide."""
_TRIES = 8


def artificial_gaps(
    visible: NDArray[np.bool_], land: NDArray[np.bool_], seed: tuple[int, ...], part: int, parts: int
) -> NDArray[np.bool_]:
    """Visible cells to hide on every ``parts``-th date ``(time, lat, lon)``.

    A date is given the missing cells of another date of the same tile, mirrored and moved about, so that shapes and
    sizes are those of real gaps. Where no date has gaps of a fitting size, about half of the date is hidden, on one
    side of a random line.

    Args:
        visible: what may be seen ``(time, lat, lon)``.
        land: cells with a meaning ``(lat, lon)``.
        seed: of the draw; the same seed and the same visible cells give the same gaps.
        part: which dates: those whose index has this remainder.
        parts: number of parts that all dates are shared out to.
    """
    generator = np.random.default_rng([*seed, part, parts])
    hidden = np.zeros_like(visible)
    missing = land[None] & ~visible
    for date in range(part, len(visible), parts):
        if visible[date].any():
            hidden[date] = visible[date] & _shape(date, missing, visible[date], generator)
    return hidden


def _shape(
    date: int, missing: NDArray[np.bool_], seen: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """A gap's shape ``(lat, lon)`` for one date."""
    for _ in range(_TRIES):
        donor = int(generator.integers(len(missing)))
        shape = _moved(missing[donor], generator)
        if donor != date and SHARE[0] <= (shape & seen).sum() / seen.sum() <= SHARE[1]:
            return shape
    return _half(seen.shape, generator)


def _moved(shape: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.bool_]:
    rows, columns, *flips = generator.integers([*shape.shape, 2, 2])
    shape = np.roll(shape, (rows, columns), axis=(0, 1))
    return shape[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]


def _half(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.bool_]:
    angle, shift = generator.uniform(0, 2 * np.pi), generator.uniform(-0.25, 0.25)
    y, x = (np.linspace(-0.5, 0.5, n) for n in shape)
    half: NDArray[np.bool_] = y[:, None] * np.sin(angle) + x * np.cos(angle) > shift
    return half
