"""Fills gaps: observed values as they are, predictions where a model has them, a flag and an uncertainty beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lstfill.cube.flags import SourceFlag

if TYPE_CHECKING:
    from datetime import datetime

    import xarray as xr

    from lstfill.config import Predict
    from lstfill.cube.chunk import Chunk
    from lstfill.model.base import Prediction
    from lstfill.model.calibration import Calibration
    from lstfill.model.card import Card

__all__ = [
    "Filled",
    "SourceFlag",
    "fill",
    "filled_attributes",
    "filled_names",
    "filled_template",
    "global_attributes",
    "has_gaps",
    "source_flags",
]

# CF 1.9 is the first that knows unsigned integers, which the source flag is.
CONVENTIONS = "CF-1.9"
# Says that a store is whole: a filled cube earns its own, and must not look finished by the one of its source.
PROVENANCE = "lstfill"
# Written for the observed values alone: a tool that masks by them would mask filled values.
_LIMITS = ("valid_min", "valid_max", "valid_range", "actual_range")


class Filler(Protocol):
    """What gaps are filled with: a model, or tiles that one of neighbours has filled before."""

    @property
    def card(self) -> Card:
        """All that is known of the model."""

    def predict(self, chunk: Chunk) -> Prediction:
        """Values and their uncertainty, at least in the gaps on land."""

    def extrapolated(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Where they are extrapolated ``(time, lat, lon)``."""


@dataclass(frozen=True)
class Filled:
    """One window of the filled cube.

    Attributes:
        value: observed and filled values ``(time, lat, lon)`` in K, in the target's type; NaN where neither is known.
        flag: ``SourceFlag`` of each cell ``(time, lat, lon)``.
        uncertainty: standard uncertainty of filled values ``(time, lat, lon)`` in K; NaN for observed ones, whose own
            error is not known here, where nothing was filled, and from a model that was not calibrated.
        interval_90: half width of the 90 % interval around filled values ``(time, lat, lon)`` in K; NaN likewise.
    """

    value: NDArray[np.floating]
    flag: NDArray[np.uint8]
    uncertainty: NDArray[np.float32]
    interval_90: NDArray[np.float32]


def fill(chunk: Chunk, model: Filler) -> Filled:
    """Fills the gaps of one window.

    Every finite value of the target is kept bit for bit, off the mask as well. A gap is filled on land where the model
    has a value: where every feature is known, or imputed as in training. Held-out values that the target still has are
    observed values of the product.

    Args:
        chunk: any window; split and held-out cells play no part.
        model: predicts the window; one of neighbours is to be given a whole tile, or tiles that are blended.
    """
    gap = ~np.isfinite(chunk.target)
    value = np.where(gap, chunk.target.dtype.type(np.nan), chunk.target)
    unknown = (np.full(gap.shape, np.nan, np.float32) for _ in range(2))
    filled = Filled(value, gap * np.uint8(SourceFlag.NOT_FILLABLE), *unknown)
    cells = np.flatnonzero(gap & chunk.land)
    if cells.size:
        _fill_cells(filled, cells, chunk, model)
    return filled


def has_gaps(chunk: Chunk) -> bool:
    """Whether there is anything to fill; where there is not, ``fill`` needs neither features nor a model."""
    return bool((chunk.land & ~np.isfinite(chunk.target)).any())


def _fill_cells(filled: Filled, cells: NDArray[np.intp], chunk: Chunk, model: Filler) -> None:
    """Fills gaps on land by their index: they are few, and a pass over all cells for each array costs far more."""
    prediction, extrapolated = model.predict(chunk), model.extrapolated(chunk)
    with np.errstate(over="ignore"):
        values = np.take(prediction.value, cells).astype(filled.value.dtype)
    known = np.isfinite(values)
    cells, values = cells[known], values[known]
    np.put(filled.value, cells, values)
    np.put(filled.flag, cells, np.where(np.take(extrapolated, cells), SourceFlag.EXTRAPOLATED, SourceFlag.FILLED))
    calibration = model.card.calibration
    if calibration is not None:
        for of, at in zip(
            (filled.uncertainty, filled.interval_90), calibration.uncertainty(chunk, prediction, cells), strict=True
        ):
            np.put(of, cells, at)


def source_flags(chunk: Chunk, predicted: NDArray[np.floating], extrapolated: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The source of each value in the filled cube ``(time, lat, lon)``.

    Args:
        chunk: the window.
        predicted: the model's values ``(time, lat, lon)`` in K; where they are not finite in the target's type, nothing
            can be filled: a feature is missing that the model does not impute.
        extrapolated: where a feature lies outside the range the model was trained on ``(time, lat, lon)``.
    """
    with np.errstate(over="ignore"):
        finite = np.isfinite(predicted.astype(chunk.target.dtype, copy=False))
    fillable = chunk.land[None] & finite
    flag: NDArray[np.uint8] = ~np.isfinite(chunk.target) * np.uint8(SourceFlag.NOT_FILLABLE)
    np.copyto(flag, np.uint8(SourceFlag.FILLED) + extrapolated, where=fillable & (flag > 0))
    return flag


def filled_names(target: str) -> dict[str, str]:
    """Names of the filled cube's variables by what they hold: filled, source, uncertainty, interval_90, observed."""
    return {
        "filled": target,
        "source": f"{target}_source",
        "uncertainty": f"{target}_uncertainty",
        "interval_90": f"{target}_interval_90",
        "observed": f"{target}_observed",
    }


def filled_attributes(
    attributes: Mapping[str, Any], target: str, model: str, calibration: Calibration | None, present: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """CF attributes of the filled target and of what belongs to it, by variable name.

    The source's attributes are kept and completed, but for limits that hold for observed values alone and for ancillary
    variables that the filled cube lacks.

    Args:
        attributes: attributes of the target in the source.
        target: its name.
        model: what filled it, in a few words.
        calibration: where the uncertainty comes from; None if there is none.
        present: other variables of the filled cube.
    """
    names = filled_names(target)
    kept = {key: value for key, value in attributes.items() if key not in (*_LIMITS, "ancillary_variables")}
    kept = {"long_name": target.replace("_", " "), "standard_name": "surface_temperature", **kept, "units": "K"}
    others = [name for name in str(attributes.get("ancillary_variables", "")).split() if name in set(present)]
    own = [names["source"], names["uncertainty"], names["interval_90"]]
    label = kept["long_name"]
    return {
        names["filled"]: {
            **kept,
            "comment": _joined(attributes.get("comment"), _fill_comment(names["source"], model)),
            "ancillary_variables": " ".join(dict.fromkeys([*others, *own])),
        },
        names["source"]: _flag_attributes(label),
        names["uncertainty"]: _uncertainty_attributes(label, kept["standard_name"], calibration),
        names["interval_90"]: _interval_attributes(label, names["filled"], calibration),
        names["observed"]: {**kept, "comment": _joined(attributes.get("comment"), "As in the source, with its gaps.")},
    }


def global_attributes(attributes: Mapping[str, Any], target: str, model: str, now: datetime) -> dict[str, Any]:
    """The source's global attributes with one more line of history, and the conventions named.

    Args:
        attributes: global attributes of the source.
        target: name of the filled variable.
        model: what filled it, in a few words.
        now: time of the run, aware of its zone.
    """
    line = f"{now.isoformat(timespec='seconds')} lstfill: gaps of {target} filled with {model}"
    before = str(attributes.get("history", "")).rstrip("\n")
    return {
        **{key: value for key, value in attributes.items() if key != PROVENANCE},
        "Conventions": attributes.get("Conventions") or CONVENTIONS,
        "history": f"{before}\n{line}" if before else line,
    }


def filled_template(
    cube: xr.Dataset,
    target: str,
    config: Predict,
    *,
    features: Iterable[str],
    model: str,
    calibration: Calibration | None,
    now: datetime,
) -> xr.Dataset:
    """The filled cube without its values: variables, types, coordinates and attributes, at no cost in memory.

    Args:
        cube: the work cube, lazy.
        target: name of the filled variable.
        config: what is written beside it.
        features: names of the features.
        model: what fills it, in a few words.
        calibration: where the uncertainty comes from; None if there is none.
        now: time of the run, aware of its zone.
    """
    import xarray as xr

    names = filled_names(target)
    dtypes = {names["filled"]: cube[target].dtype, names["source"]: np.uint8}
    dtypes |= {names["uncertainty"]: np.float32, names["interval_90"]: np.float32}
    if config.write != "filled":
        dtypes[names["observed"]] = cube[target].dtype
    carried = list(features) if config.write == "filled+observed+features" else []
    attrs = filled_attributes(cube[target].attrs, target, model, calibration, [*dtypes, *carried])
    attrs |= {name: dict(cube[name].attrs) for name in carried}
    dtypes |= {name: cube[name].dtype for name in carried}
    empty = {
        name: (cube[target].dims, _nothing(dtype, cube[target].shape), attrs[name]) for name, dtype in dtypes.items()
    }
    return xr.Dataset(empty, cube.coords, global_attributes(cube.attrs, target, model, now))


def _nothing(dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of any size that holds a single number."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _joined(before: Any, sentence: str) -> str:
    return f"{str(before).rstrip(' .')}. {sentence}" if before else sentence


def _fill_comment(source: str, model: str) -> str:
    return (
        f"Gaps are filled with {model}. Filled values are clear-sky equivalents: the temperature the surface would "
        f"have without clouds. {source} tells them from observed values, which are unchanged."
    )


def _flag_attributes(label: str) -> dict[str, Any]:
    # A name of its own: the modifier of that name is deprecated (CF 1.9, appendix C).
    return {
        "long_name": f"source of {label}",
        "standard_name": "status_flag",
        "flag_values": np.array(list(SourceFlag), np.uint8),
        "flag_meanings": " ".join(SourceFlag.meanings()),
        "comment": "extrapolated: filled where a feature lies outside the range the model was trained on, or is "
        "imputed; not_fillable: no value, off the mask or with a feature missing",
    }


def _uncertainty_attributes(label: str, standard_name: str, calibration: Calibration | None) -> dict[str, Any]:
    return {
        "long_name": f"standard uncertainty of filled {label}",
        "standard_name": f"{standard_name} standard_error",
        "units": "K",
        "comment": f"Half width of the interval around the filled value that is to hold the truth in 683 of 1000. "
        f"{_made(calibration)}",
    }


def _interval_attributes(label: str, filled: str, calibration: Calibration | None) -> dict[str, Any]:
    return {
        "long_name": f"half width of the 90 % interval of filled {label}",
        "units": "K",
        "comment": f"The interval from {filled} less this to {filled} plus this is to hold the truth in 9 of 10. "
        f"{_made(calibration)}",
    }


def _made(calibration: Calibration | None) -> str:
    """How an uncertainty was made, and what it leaves out."""
    if calibration is None:
        return "Missing: the model was not calibrated."
    return (
        f"Calibrated on {calibration.residuals} errors at {calibration.source}, of {calibration.blocks} dates and "
        f"regions, by {', '.join(name.replace('_', ' ') for name in calibration.factors)}. Missing for observed "
        "values, whose own error is not known here. Contains neither the difference between clear and cloudy sky nor "
        "what extrapolation adds."
    )
