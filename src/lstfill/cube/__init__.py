"""The data contract: what a cube is, how it is checked and normalised, and which parts of it are worked on together.

No module here imports xarray before it is needed: a step that only plans stays light.
"""

from lstfill.cube.check import assert_source, check_source
from lstfill.cube.chunk import Chunk
from lstfill.cube.geometry import (
    LATITUDE_BANDS_DEG,
    SEASONS,
    band_labels,
    cos_lat,
    is_global_lon,
    latitude_band,
    season,
)
from lstfill.cube.normalise import Recipe, normalise, normalise_values
from lstfill.cube.select import positions, select
from lstfill.cube.units import canonical_unit, to_kelvin
from lstfill.cube.windows import DIMS, Window, chunk_windows, column_windows

__all__ = [
    "DIMS",
    "LATITUDE_BANDS_DEG",
    "SEASONS",
    "Chunk",
    "Recipe",
    "Window",
    "assert_source",
    "band_labels",
    "canonical_unit",
    "check_source",
    "chunk_windows",
    "column_windows",
    "cos_lat",
    "is_global_lon",
    "latitude_band",
    "normalise",
    "normalise_values",
    "positions",
    "season",
    "select",
    "to_kelvin",
]
