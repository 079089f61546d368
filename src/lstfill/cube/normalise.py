"""One form for every source: ``(time, lat, lon)``, temperatures in K, gaps as NaN; all of it lazy."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lstfill.cube.units import TemperatureUnit, canonical_unit, declared_unit, to_kelvin
from lstfill.cube.windows import DIMS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from lstfill.config import Source

_log = logging.getLogger(__name__)

Role = Literal["target", "feature", "covariate", "extra"]

# Limits in the unit and type of the stored values (CF 1.11, section 2.5.1): wrong once these have changed.
_LIMITS = ("valid_min", "valid_max", "valid_range", "actual_range")
_COORDINATE_ATTRS: dict[str, dict[str, str]] = {
    "time": {"standard_name": "time", "long_name": "time"},
    "lat": {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"},
    "lon": {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"},
}


@dataclass(frozen=True)
class Recipe:
    """What turns a source's values of one variable into the work cube's.

    Attributes:
        name: name of the variable.
        role: what the configuration takes it for.
        dims: order of the dimensions in the work cube, ``(time, lat, lon)`` or ``(lat, lon)``.
        dtype: type in the work cube.
        unit_from: unit of temperature of the source; None for what is no temperature.
        valid_range: lowest and highest valid value in K, for the target.
        missing: for classes that were read as floats: the class that stands for NaN; else None.
    """

    name: str
    role: Role
    dims: tuple[str, ...]
    dtype: np.dtype[Any]
    unit_from: TemperatureUnit | None
    valid_range: tuple[float, float]
    missing: int | None = None

    @property
    def static(self) -> bool:
        """Whether the variable has no time."""
        return "time" not in self.dims

    def apply(self, values: NDArray[Any]) -> tuple[NDArray[Any], int]:
        """Values of the work cube, and how many were out of the valid range and are missing now."""
        known = values if self.missing is None else np.where(np.isnan(values), self.missing, values)
        typed = known.astype(self.dtype, copy=False)
        return normalise_values(self.name, typed, self.unit_from, self.role == "target", self.valid_range)

    def read(self, variable: xr.Variable, indexers: Mapping[Any, Any]) -> tuple[NDArray[Any], int]:
        """Reads and normalises a part of the source's variable, in the order of ``dims``."""
        part = variable.isel({dim: indexers[dim] for dim in variable.dims if dim in indexers})
        # Values first: a lazy transposition would turn the read into one of single points.
        values = np.asarray(part.values)
        return self.apply(values.transpose([part.dims.index(dim) for dim in self.dims if dim in part.dims]))


def normalise(ds: xr.Dataset, source: Source) -> tuple[xr.Dataset, dict[str, Recipe]]:
    """The selected part of a source as a work cube, lazily, and the recipe of each of its variables.

    Args:
        ds: what ``select`` gave, of a source that was checked.
        source: roles, valid range and declared units of the variables.

    Returns:
        The cube: dimensions ``(time, lat, lon)`` in this order, temperatures in K, the target NaN out of the valid
        range. Floats in K keep their type and bits; integers of target and features become float32; extras keep their
        type unless they are temperatures in another unit; of covariates classes are integers and amounts floats. Any
        part of it can be loaded by itself. And the recipes, by name: ``Recipe.read`` gives the same values and counts
        those out of the valid range.
    """
    from lstfill.cube.lazy import lazy_variable

    recipes = {name: _recipe(name, ds[name].variable, source) for name in source.variables()}
    variables = {
        name: lazy_variable(ds[name].variable, recipe, _attrs(ds[name].variable, recipe, source))
        for name, recipe in recipes.items()
    }
    cube = ds.drop_vars(list(recipes)).assign(variables)
    for dim, attrs in _COORDINATE_ATTRS.items():
        cube = cube.assign_coords({dim: ds[dim].assign_attrs({**attrs, **ds[dim].attrs})})
    return cube.transpose(*DIMS), recipes


def normalise_values(
    name: Hashable,
    values: NDArray[Any],
    unit_from: TemperatureUnit | None,
    is_target: bool,
    valid_range: tuple[float, float],
) -> tuple[NDArray[Any], int]:
    """Values in K, those of the target NaN out of the valid range, and how many these are.

    Args:
        name: name of the variable, for the log.
        values: any shape; not changed in place, and returned as they are where nothing is to be done.
        unit_from: unit of temperature of ``values``; None for what is no temperature.
        is_target: only the target is held against the valid range.
        valid_range: lowest and highest valid value in K, both valid.
    """
    kelvin = values if unit_from is None else to_kelvin(values, unit_from)
    if not is_target:
        return kelvin, 0
    out = (kelvin < valid_range[0]) | (kelvin > valid_range[1])
    n_out = int(np.count_nonzero(out))
    if n_out:
        kelvin = np.where(out, kelvin.dtype.type(np.nan), kelvin)
        _log.debug("%s: %d values out of %g..%g K became missing", name, n_out, *valid_range)
    return kelvin, n_out


def _recipe(name: str, variable: xr.Variable, source: Source) -> Recipe:
    role = _role(name, source)
    required = role in ("target", "feature")
    # xarray's comparisons keep attributes: a mask made from a temperature says K or degC, and is none.
    flags = not required and variable.dtype.itemsize == 1
    declared = declared_unit(name, variable.attrs, source.units)
    unit = None if flags else canonical_unit(declared)
    dims = tuple(dim for dim in DIMS if dim in variable.dims)
    dtype, missing = _dtype(variable.dtype, required or unit in ("degC", "degF")), None
    if role == "covariate":
        dtype, missing = _covariate_dtype(variable, dtype, declared)
    return Recipe(name, role, dims, dtype, unit, source.valid_range_k, missing)


def _role(name: str, source: Source) -> Role:
    if name == source.target:
        return "target"
    return "feature" if name in source.features else "covariate" if name in source.covariates else "extra"


def _covariate_dtype(
    variable: xr.Variable, dtype: np.dtype[Any], declared: str | None
) -> tuple[np.dtype[Any], int | None]:
    """Type of a covariate, and the class that stands for NaN: integers are classes, floats are amounts.

    Whole numbers with a unit, like metres, are amounts, those without or with CF's flags (CF 1.11, section 3.5) are
    classes, also where a fill value has made floats of them as they were read.
    """
    encoding = variable.encoding
    stored = np.dtype(encoding.get("dtype", variable.dtype))
    amount = declared not in (None, "1") and not any(key in variable.attrs for key in ("flag_values", "flag_meanings"))
    if amount or stored.kind == "f" or "scale_factor" in encoding or "add_offset" in encoding:
        return (dtype if dtype.kind == "f" else np.dtype(np.float32)), None
    if stored.kind == "b":
        return np.dtype(np.int8), None
    fill = encoding.get("_FillValue", encoding.get("missing_value"))
    if variable.dtype.kind != "f":
        return stored.newbyteorder("="), None
    return (dtype, None) if fill is None else (stored.newbyteorder("="), int(fill))


def _dtype(stored: np.dtype[Any], floating: bool) -> np.dtype[Any]:
    if not floating:
        return stored.newbyteorder("=")
    return np.dtype(np.float64) if stored.kind == "f" and stored.itemsize > 4 else np.dtype(np.float32)


def _attrs(variable: xr.Variable, recipe: Recipe, source: Source) -> dict[Any, Any]:
    attrs = dict(variable.attrs)
    unit = "K" if recipe.unit_from else declared_unit(recipe.name, attrs, source.units)
    if unit is not None:
        attrs["units"] = unit
    packed = "scale_factor" in variable.encoding or "add_offset" in variable.encoding
    if packed or recipe.unit_from in ("degC", "degF"):
        attrs = {key: value for key, value in attrs.items() if key not in _LIMITS}
    return attrs
