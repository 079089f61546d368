"""Models as MLflow serves them: a network of columns, or the filler of a small cube that is given as a long table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.cube import Chunk, Window
from lstfill.errors import DataError
from lstfill.model import Card, CellModel, Model, load
from lstfill.predict import fill, filled_names

if TYPE_CHECKING:
    import pandas as pd

    from lstfill.tracking import Serving

AXES = ("time", "lat", "lon")
EMPTIEST = 20
"""Cells of the grid for one row of a table, at most: points here and there are no cube."""
_REQUIREMENTS = ("numpy", "pandas", "pydantic", "scipy", "scikit-learn", "skops")


def serving_of(model: Model) -> Serving:
    """How MLflow is to ask a fitted model.

    A model of features, position and season is a Keras network of such columns. One that looks around takes a table of
    a small cube: ``time``, ``lat``, ``lon``, the target with NaN in its gaps, features and covariates.
    """
    from lstfill.tracking import Serving

    if isinstance(model, CellModel):
        example = {name: values.tolist() for name, values in model.example().items()}
        return Serving(dict.fromkeys(example, "double"), example)
    card = model.card
    doubles = dict.fromkeys(["lat", "lon", card.target, *card.features], "double")
    names = filled_names(card.target)
    # Of covariates integers are classes and floats amounts: whatever they are, they stay.
    return Serving(
        inputs={"time": "datetime", **doubles, **dict.fromkeys(card.covariates, "any")},
        example=_example(card),
        outputs={names["filled"]: "double", names["uncertainty"]: "double", names["interval_90"]: "double"}
        | {names["source"]: "long"},
        requirements=_REQUIREMENTS,
        loader=__name__,
    )


@dataclass(frozen=True)
class TableFiller:
    """Fills the gaps of a cube that is given as a long table.

    Attributes:
        model: fitted.
    """

    model: Model

    def predict(self, table: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 - of the interface
        """Fills a table, with observed values as they are.

        Args:
            table: a row a cell, columns ``time``, ``lat`` in degrees north, ``lon`` in degrees east, the target in K
                with NaN in its gaps, and features and covariates of the model; rows of the same place are its dates.
            params: of MLflow, without meaning here.

        Returns:
            For each row, under the names that they have in a filled cube, the filled target in K, its standard
            uncertainty in K and half width of the 90 % interval in K, NaN for observed values, and the source flag.

        Raises:
            DataError: a column is missing, a cell is there twice, or rows lie too far apart to be a cube.
        """
        import pandas as pd

        chunk, cells = chunk_of(table, self.model.card)
        filled, names = fill(chunk, self.model), filled_names(self.model.card.target)
        columns = {
            names["filled"]: filled.value,
            names["uncertainty"]: filled.uncertainty,
            names["interval_90"]: filled.interval_90,
            names["source"]: filled.flag.astype(np.int64),
        }
        return pd.DataFrame({name: values.ravel()[cells] for name, values in columns.items()}, index=table.index)


def _load_pyfunc(path: str) -> TableFiller:
    """What MLflow calls to load a model directory."""
    return TableFiller(load(Path(path)))


def chunk_of(table: pd.DataFrame, card: Card) -> tuple[Chunk, NDArray[np.intp]]:
    """The cube of a table, in which what the table does not name is missing, and the index of each row's cell ``(n,)``.

    Args:
        table: a row a cell, in any order.
        card: of the model that is to fill it.

    Raises:
        DataError: a column is missing, a cell is there twice, or rows lie too far apart to be a cube.
    """
    _assert_columns(table, card)
    axes, index = zip(*(_axis(np.asarray(table[name])) for name in AXES), strict=True)
    shape = len(axes[0]), len(axes[1]), len(axes[2])
    cells: NDArray[np.intp] = np.asarray(np.ravel_multi_index(index, shape))
    _assert_cube(table, cells, shape)
    land = np.zeros(shape[1:], bool)
    land[index[1], index[2]] = True
    chunk = Chunk(
        window=Window((0, 0, 0), shape),
        shape=shape,
        time=axes[0].astype("datetime64[ns]"),
        lat=axes[1].astype(np.float64),
        lon=axes[2].astype(np.float64),
        target=_amounts(table[card.target], cells, shape),
        features={name: _amounts(table[name], cells, shape) for name in card.features},
        land=land,
        covariates={name: _covariate(np.asarray(table[name]), cells, shape) for name in card.covariates},
    )
    return chunk, cells


def _axis(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Sorted coordinates and the index of each row, downwards if the first row is beyond the last, as in its cube."""
    axis, index = np.unique(values, return_inverse=True)
    if values[0] > values[-1]:
        return axis[::-1], len(axis) - 1 - index
    return axis, index


def _amounts(values: Any, cells: NDArray[np.intp], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    array = np.full(shape, np.nan, np.float32)
    np.put(array, cells, np.asarray(values, np.float32))
    return array


def _covariate(values: NDArray[Any], cells: NDArray[np.intp], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Over the grid; of ``(lat, lon)`` alone if no cell changes with time, as it is in a cube."""
    array = np.zeros(shape, values.dtype) if values.dtype.kind in "iu" else np.full(shape, np.nan, np.float32)
    np.put(array, cells, values)
    first = np.zeros(shape[1:], array.dtype).ravel()
    place = cells % first.size
    first[place[::-1]] = array.ravel()[cells[::-1]]
    constant = np.array_equal(first[place], array.ravel()[cells], equal_nan=array.dtype.kind == "f")
    return first.reshape(shape[1:]) if constant else array


def _assert_columns(table: pd.DataFrame, card: Card) -> None:
    wanted = [*AXES, card.target, *card.features, *card.covariates]
    issues = [f"no column {name!r}, there are: {', '.join(map(str, table))}" for name in wanted if name not in table]
    issues += [] if len(table) else ["no row"]
    issues += [
        f"{name!r} is missing in {int(table[name].isna().sum())} rows"
        for name in AXES
        if name in table and table[name].isna().any()
    ]
    if issues:
        raise DataError("the table", issues)


def _assert_cube(table: pd.DataFrame, cells: NDArray[np.intp], shape: tuple[int, int, int]) -> None:
    doubled = len(cells) - len(np.unique(cells))
    if doubled:
        raise DataError("the table", [f"{doubled} rows have the time, lat and lon of another: give each cell once"])
    if np.prod(shape, dtype=np.int64) > EMPTIEST * len(table) + 1000:
        raise DataError(
            "the table",
            [f"{len(table)} rows lie in a grid of {' x '.join(map(str, shape))}: give the cells of a regular grid"],
        )


def _example(card: Card) -> dict[str, list[Any]]:
    """A table to try a model on: three dates of a square, with a gap in the middle date."""
    time, lat, lon = np.meshgrid(
        np.array(["2008-01-01", "2008-01-09", "2008-01-17"], "datetime64[ns]"),
        np.linspace(45.0, 44.95, 6),
        np.linspace(14.0, 14.05, 6),
        indexing="ij",
    )
    level = card.scaling.factors[card.target][0] if card.target in card.scaling.factors else 280.0
    target = level + 10 * (lat - 45) + 10 * (lon - 14)
    target[1, 2:4, 2:4] = np.nan
    columns = {"time": time, "lat": lat, "lon": lon, card.target: target}
    columns |= {name: np.full(time.shape, np.mean(card.ranges[name])) for name in card.features}
    columns |= {name: np.zeros(time.shape) for name in card.covariates}
    return {name: list(values.ravel()) for name, values in columns.items()}
