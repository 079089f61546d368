"""Artificial gaps for learning and calibration: what is missing on one date, cut out of what is visible on another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHARE = (0.03, 0.985)
"""Least and largest share of a date's visible cells that a gap may hide."""
_TRIES = 4


def artificial_gaps(
    visible: NDArray[np.bool_],
    land: NDArray[np.bool_],
    seed: tuple[int, ...],
    part: int,
    parts: int,
    missing: NDArray[np.bool_] | None = None,
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
        missing: cells of real gaps, whose shapes are taken ``(time, lat, lon)``; by default all land that is not
            visible.
    """
    shapes = _over_sea(land & ~visible if missing is None else missing, land)
    turns = _turns(shapes, land, len(visible), np.random.default_rng([*seed, parts]))
    generator = np.random.default_rng([*seed, part, parts])
    hidden = np.zeros_like(visible)
    for date in range(part, len(visible), parts):
        if visible[date].any():
            donors = np.roll(turns, -date)
            hidden[date] = visible[date] & _shape(shapes, donors[donors != date], visible[date], generator)
    return hidden


def _over_sea(shapes: NDArray[np.bool_], land: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Shapes that go on beyond the coast as at the nearest land: moved, they would leave out a sea of their own."""
    from scipy import ndimage

    if land.all() or not land.any():
        return shapes
    row, column = ndimage.distance_transform_edt(~land, return_distances=False, return_indices=True)
    wide: NDArray[np.bool_] = shapes[:, row, column]
    return wide


def _turns(
    shapes: NDArray[np.bool_], land: NDArray[np.bool_], dates: int, generator: np.random.Generator
) -> NDArray[np.intp]:
    """Which date gives its gap to which ``(dates,)``, those without gaps left out."""
    share = np.count_nonzero(shapes & land, axis=(1, 2)) / max(1, np.count_nonzero(land))
    donors = np.flatnonzero(share >= SHARE[0])
    if not donors.size:
        return donors
    turns: NDArray[np.intp] = np.resize(generator.permutation(donors), dates)
    return turns


def _shape(
    shapes: NDArray[np.bool_], donors: NDArray[np.intp], seen: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """A gap's shape ``(lat, lon)`` for one date: of the first donor whose gap fits."""
    for donor in donors[:_TRIES]:
        for _ in range(_TRIES):
            shape = _moved(shapes[donor], generator)
            if SHARE[0] <= (shape & seen).sum() / seen.sum() <= SHARE[1]:
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
