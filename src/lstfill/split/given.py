"""Held-out gaps of kind given: variables of the cube that say where, and what is behind, on all dates or on one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lstfill.config import HeldOutGaps
    from lstfill.cube.windows import Window

_KEY = "split.held_out_gaps.date"


def given(gap: NDArray[np.generic], truth: NDArray[np.floating], land: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Held-out gaps of kind given ``(time, lat, lon)``: land where the gap is set and the truth behind it known.

    The target need not be observed there; if it is, it is to be hidden all the same.

    Args:
        gap: the gap variable ``(time, lat, lon)``; set where it is finite and not 0.
        truth: values behind the gaps ``(time, lat, lon)``, NaN where unknown.
        land: cells with a meaning ``(lat, lon)``.
    """
    held_out: NDArray[np.bool_] = np.isfinite(gap) & (gap != 0) & np.isfinite(truth) & land[None]
    return held_out


def assert_given(held_out: int, gaps: HeldOutGaps) -> None:
    """Refuses given gaps that hide nothing.

    Args:
        held_out: number of cells held out, over the whole cube.
        gaps: names the two variables.

    Raises:
        DataError: if the number is 0.
    """
    if not held_out:
        fact = f"no land cell with {gaps.gap!r} set and a finite {gaps.truth!r}, so 0 values are held out"
        raise DataError("split", [f"{fact}: check both variables and the mask, or set held_out_gaps.kind to clouds"])


def step_of(gaps: HeldOutGaps, timeless: Sequence[str], time: NDArray[np.datetime64]) -> int | None:
    """Position of the date that given gaps without a time of their own belong to; None where all have one.

    Args:
        gaps: names the date, in ISO 8601; a day or a month stands for all of it.
        timeless: names of those of its variables that have no time.
        time: dates of the cube ``(time,)``.

    Raises:
        DataError: if the date is missing, superfluous, no date, or not exactly one of the cube's.
    """
    if not timeless:
        if gaps.date is not None:
            fact = f"{_KEY} is {gaps.date!r}, but {gaps.gap!r} and {gaps.truth!r} have a time of their own"
            raise DataError("split", [f"{fact}: leave it out"])
        return None
    names = " and ".join(repr(name) for name in timeless)
    if gaps.date is None:
        raise DataError("split", [f"{names} without time: set {_KEY} to the date of the cube that this belongs to"])
    return _only_step(gaps.date, time)


def on_step(values: NDArray[Any], step: int | None, window: Window) -> NDArray[Any]:
    """Values of one date as values of all dates ``(time, lat, lon)``: False, or NaN, on the other dates.

    Args:
        values: ``(lat, lon)`` of a window; what is ``(time, lat, lon)`` already is given back as it is.
        step: position in the cube of the date they belong to.
        window: which dates.
    """
    if values.ndim == len(window.shape):
        return values
    flags = values.dtype.kind == "b"
    dtype = values.dtype if flags else np.result_type(values.dtype, np.float32)
    spread = np.full(window.shape, False if flags else np.nan, dtype)
    if step is not None and window.start[0] <= step < window.stop[0]:
        spread[step - window.start[0]] = values
    return spread


def _only_step(text: str, time: NDArray[np.datetime64]) -> int:
    try:
        date = np.datetime64(text.removesuffix("Z"))
    except ValueError:
        raise DataError("split", [f"{_KEY}: {text!r} is no date; write it like 2019-06-05"]) from None
    found = np.flatnonzero(time.astype(date.dtype) == date)
    if found.size == 1:
        return int(found[0])
    if found.size:
        fact = f"stands for {found.size} dates of the cube, {', '.join(_text(one) for one in time[found[:5]])}"
        raise DataError("split", [f"{_KEY}: {text!r} {fact}: write out which"])
    fine = time.astype("datetime64[s]")
    nearest = fine[np.argmin(np.abs(fine - date.astype("datetime64[s]")))]
    raise DataError("split", [f"{_KEY}: {text!r} is no date of the cube; the nearest is {_text(nearest)}"])


def _text(date: np.datetime64) -> str:
    return str(date.astype("datetime64[s]")).removesuffix("T00:00:00")
