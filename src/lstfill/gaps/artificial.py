"""Artificial gaps for learning and calibration: what is missing on one date, cut out of what is visible on another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

SHARE = (0.03, 0.985)
"""Least and largest share of a date's visible cells that a gap may hide."""
PARTS = 4
"""Shares of the dates that get gaps one after the other: a date is filled with three quarters of the others whole."""
_TRIES = 4


def artificial_gaps(
    visible: NDArray[np.bool_],
    land: NDArray[np.bool_],
    seed: tuple[int, ...],
    part: int,
    parts: int,
    aside: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Visible cells to hide on every ``parts``-th date ``(time, lat, lon)``.

    A date is given the missing cells of another date of the same tile, mirrored and moved about, so that shapes and
    sizes are those of real gaps. All dates with gaps take turns in giving theirs, so that over all parts rare shapes,
    such as a date of which nearly all is missing, are as frequent as they are. Where no gap fits, about half of the
    date is hidden, on one side of a random line.

    Args:
        visible: what may be seen ``(time, lat, lon)``.
        land: cells with a meaning ``(lat, lon)``.
        seed: of the draw; the same seed and the same visible cells give the same gaps.
        part: which dates: those whose index has this remainder.
        parts: number of parts that all dates are shared out to.
        aside: cells that are out of sight for another reason than a gap, such as the test part ``(time, lat, lon)``.
    """
    known = np.broadcast_to(land, visible.shape) if aside is None else land & ~aside
    turns = _turns(visible, known, np.random.default_rng([*seed, parts]))
    generator = np.random.default_rng([*seed, part, parts])
    hidden = np.zeros_like(visible)
    for date in range(part, len(visible), parts):
        if visible[date].any():
            donors = np.roll(turns, -date)
            shapes = (_shape(visible[donor], known[donor]) for donor in donors[donors != date][:_TRIES])
            hidden[date] = visible[date] & _fitting(shapes, visible[date], generator)
    return hidden


def _turns(visible: NDArray[np.bool_], known: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.intp]:
    """Which date gives its gap to which ``(time,)``, those without gaps left out."""
    missing = np.count_nonzero(known & ~visible, axis=(1, 2))
    donors = np.flatnonzero(missing > SHARE[0] * np.count_nonzero(known, axis=(1, 2)))
    if not donors.size:
        return donors
    turns: NDArray[np.intp] = np.resize(generator.permutation(donors), len(visible))
    return turns


def _shape(visible: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is missing on a date, going on over the sea and what is unknown as at the nearest cell.

    A shape that is moved would else leave out a sea of its own.
    """
    from scipy import ndimage

    row, column = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    shape: NDArray[np.bool_] = ~visible[row, column]
    return shape


def _fitting(
    shapes: Iterable[NDArray[np.bool_]], seen: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """The first shape, at one of a few places, that hides a fitting share of what is seen ``(lat, lon)``."""
    for shape in shapes:
        for _ in range(_TRIES):
            moved = _moved(shape, generator)
            if SHARE[0] <= (moved & seen).sum() / seen.sum() <= SHARE[1]:
                return moved
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
