"""Reads chunks of the work cube with everything that later steps have added to it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.cube import Chunk, Window, column_windows
from lstfill.errors import DataError
from lstfill.steps.provenance import refuse_foreign
from lstfill.storage import stores

if TYPE_CHECKING:
    from lstfill.split import SplitTable

Triple = tuple[int, int, int]

COLUMN_CELLS = 2_000_000
"""Cells of a window over all times: enough to keep NumPy busy, and 8 MB a float32 variable however long the cube is."""

KEPT_LAND_CELLS = 32_000_000
"""A mask of no more cells is read once a process, which takes a byte each; a larger one, with each window."""


@dataclass(frozen=True)
class Grid:
    """Coordinates and chunks of a work cube.

    Attributes:
        time: dates ``(time,)``.
        lat: latitudes ``(lat,)`` in degrees north.
        lon: longitudes ``(lon,)`` in degrees east.
        chunks: chunk sizes ``(time, lat, lon)``.
    """

    time: NDArray[np.datetime64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    chunks: Triple

    @property
    def shape(self) -> Triple:
        """Cells along time, lat and lon."""
        return (self.time.size, self.lat.size, self.lon.size)


@dataclass(frozen=True)
class Reader:
    """Addresses only, so that it travels to any worker; what they hold is opened there, once a process.

    Attributes:
        cube: address of the work cube.
        target: name of the target.
        features: names of the features.
        land: address of the mask; None before it is made, then every cell is land.
        parts: address of the split; None before it is made.
        truth: name of the variable behind held-out gaps of kind given.
        truth_step: position of its date, where it has no time of its own.
        held_out: whether the split holds values out.
        identities: of cube, land and split, so that one written anew is never taken for the one opened before.
        covariates: names of what else models of neighbours learn from.
    """

    cube: str
    target: str
    features: tuple[str, ...]
    land: str | None = None
    parts: str | None = None
    truth: str | None = None
    truth_step: int | None = None
    held_out: bool = False
    identities: tuple[str, str, str] = ("", "", "")
    covariates: tuple[str, ...] = ()

    @classmethod
    def open(cls, cube: str, land: str | None = None, parts: str | None = None) -> Reader:
        """Looks up names in the stores' provenance.

        Raises:
            StoreError: if a store is missing, not whole, or not what it should be.
            DataError: if mask or split belong to another grid.
        """
        origin = refuse_foreign(cube, "ingest", "the work cube")
        facts = origin["facts"]
        mask = _belonging(cube, facts, land, "mask", "the land mask")
        split = _belonging(cube, facts, parts, "split", "the split")
        reader = cls(cube, facts["target"], tuple(facts["features"]), land, parts)
        reader = replace(reader, covariates=tuple(facts.get("covariates", ())))
        reader = replace(reader, identities=(origin["identity"], mask["identity"], split["identity"]))
        facts = split["facts"]
        return replace(reader, truth=facts["truth"], truth_step=facts["truth_step"], held_out=bool(facts["held_out"]))

    @property
    def grid(self) -> Grid:
        """Coordinates and chunks of the cube."""
        return _grid_of(self.cube, self.identities[0])

    @property
    def table(self) -> SplitTable | None:
        """The table of the split; None before it is made."""
        return None if self.parts is None else _table_of(self.parts, self.identities[2])

    def chunk(self, window: Window, *, features: bool = True) -> Chunk:
        """Reads one window of everything there is.

        Args:
            window: which cells.
            features: whether features are read, or left to ``with_features`` in case they are needed.
        """
        grid, table, (time, lat, lon) = self.grid, self.table, window.slices
        names = [self.target, *(self.features if features else ()), *([self.truth] if self.truth else [])]
        values = self.read(window, names)
        return Chunk(
            window=window,
            shape=grid.shape,
            time=grid.time[time],
            lat=grid.lat[lat],
            lon=grid.lon[lon],
            target=values[self.target],
            features={name: values[name] for name in self.features if features},
            land=self.land_in(window),
            part=None if table is None else table.part_in(window),
            held_out=self._held_out(window),
            truth=self._truth(values, window),
        )

    def with_features(self, chunk: Chunk, covariates: Sequence[str] = ()) -> Chunk:
        """A chunk that was read without features, with them, and with covariates where they are wanted."""
        values = self.read(chunk.window, list(dict.fromkeys([*self.features, *covariates])))
        features, further = ({name: values[name] for name in names} for names in (self.features, covariates))
        return replace(chunk, features=features, covariates=further)

    def read(self, window: Window, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Reads variables of the work cube in one window."""
        return stores.read(self.cube, window, names, identity=self.identities[0])

    def land_in(self, window: Window) -> NDArray[np.bool_]:
        """The mask in one window ``(lat, lon)``; before it is made, every cell is land."""
        if self.land is None:
            return np.ones(window.shape[1:], bool)
        if self.grid.lat.size * self.grid.lon.size <= KEPT_LAND_CELLS:
            return _land_of(self.land, self.identities[1])[window.slices[1:]]
        land: NDArray[np.bool_] = stores.read(self.land, window, ["land"], identity=self.identities[1])["land"]
        return land

    def _truth(self, values: dict[str, NDArray[Any]], window: Window) -> NDArray[np.floating] | None:
        from lstfill.split import on_step

        return on_step(values[self.truth], self.truth_step, window) if self.truth else None

    def _held_out(self, window: Window) -> NDArray[np.bool_] | None:
        if self.parts is None or not self.held_out:
            return None
        values = stores.read(self.parts, window, ["held_out"], identity=self.identities[2])
        held_out: NDArray[np.bool_] = values["held_out"]
        return held_out


@functools.lru_cache(maxsize=8)
def _grid_of(uri: str, identity: str) -> Grid:  # noqa: ARG001 - part of the key alone
    """Coordinates and chunks of a work cube; opened once a process."""
    with stores.open_whole(uri) as ds:
        target = stores.provenance(uri)["facts"]["target"]
        chunks: Any = stores.source_chunks(ds, target)
        return Grid(ds["time"].to_numpy(), ds["lat"].to_numpy(), ds["lon"].to_numpy(), chunks)


@functools.lru_cache(maxsize=1)
def _land_of(uri: str, identity: str) -> NDArray[np.bool_]:
    """The whole of a mask; read once a process."""
    return stores.read_block(uri, "land", identity=identity)


@functools.lru_cache(maxsize=8)
def _table_of(uri: str, identity: str) -> SplitTable:  # noqa: ARG001 - part of the key alone
    """The table of a split; opened once a process."""
    from lstfill.split import SplitTable

    with stores.open_whole(uri) as ds:
        return SplitTable.from_dataset(ds.drop_vars("held_out", errors="ignore").load())


def columns_of(grid: Grid) -> list[Window]:
    """Windows over all times, for work that needs a cell's whole series."""
    return column_windows(grid.shape, grid.chunks, COLUMN_CELLS)


def require(cube: str, names: Sequence[str], purpose: str) -> None:
    """Refuses a work cube that lacks variables which a step was told to use.

    Args:
        cube: address of the work cube.
        names: the variables.
        purpose: what they are wanted for, as the message says it.

    Raises:
        DataError: naming each that is missing, and those that are there.
    """
    with stores.open_whole(cube) as ds:
        there = [str(name) for name in ds.data_vars]
    missing = [name for name in names if name not in there]
    if missing:
        remedy = f"there are {', '.join(there)}: add it to source.extras"
        raise DataError(cube, [f"no variable {name!r} {purpose}; {remedy}" for name in missing])


def _belonging(cube: str, expected: dict[str, Any], uri: str | None, step: str, wanted: str) -> dict[str, Any]:
    """The provenance of a store made for the cube; of one that is not made yet, nothing."""
    if uri is None:
        return {"identity": "", "facts": {"truth": None, "truth_step": None, "held_out": 0}}
    origin = refuse_foreign(uri, step, wanted)
    grid = origin["facts"]["grid"]
    if grid != expected["grid"]:
        raise DataError(uri, [f"made for another grid ({grid}) than {cube} ({expected['grid']}): run that step again"])
    return origin
