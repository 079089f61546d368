"""Tiles to learn from: an even draw over the land of the cube, with all hidden that is to be scored later."""

from __future__ import annotations

import contextlib
import functools
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from lstfill import compute
from lstfill.cube import latitude_band
from lstfill.cube.tiles import Tiling, inside
from lstfill.evaluate.visible import as_seen_for
from lstfill.model import Tile
from lstfill.split.draw import uniform
from lstfill.steps.reader import Reader
from lstfill.steps.tiling import land_of_tiles, tiling_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack

    from lstfill.compute.engine import Engine
    from lstfill.config import Cluster, Train
    from lstfill.cube import Chunk, Window
    from lstfill.model.base import Looked


@dataclass(frozen=True)
class StoredTiles:
    """Some tiles of a cube; addresses only, so that it travels to any worker.

    Attributes:
        reader: of cube, mask and split; the truth of held-out gaps is not read.
        tiling: all tiles.
        numbers: of the tiles to learn from, ascending.
    """

    reader: Reader
    tiling: Tiling
    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, number: int) -> Tile:
        """One tile, whose held-out values and test part are hidden, and missing in the target as well."""
        outer, core = self.tiling.outer(self.numbers[number]), self.tiling.core(self.numbers[number])
        chunk = self.reader.with_features(hidden(self.reader, outer), self.reader.covariates)
        return Tile(chunk, inside(core, outer)[1:])


@dataclass(frozen=True)
class WorkedTiles:
    """Tiles and the workers that look at them, as models learn from them and are calibrated on them.

    Attributes:
        tiles: what is looked at.
        engine: the workers.
    """

    tiles: StoredTiles
    engine: Engine

    def __len__(self) -> int:
        return len(self.tiles)

    def map(self, function: Callable[[Tile, int, int], Looked], items: Iterable[tuple[int, int]]) -> list[Looked]:
        """What a function of tile, number and turn tells, in the order of the items.

        Args:
            function: can be pickled where workers are processes.
            items: number of the tile, and turn.
        """
        # Sums of other numbers of threads have other last bits; Dask's processes are bound to one as it is.
        with threadpool_limits(1, user_api="blas"):
            return list(self.engine.map(_Look(self.tiles, function), items))


@dataclass(frozen=True)
class _Look:
    """What a worker needs to look at a tile."""

    tiles: StoredTiles
    function: Callable[[Tile, int, int], Any]

    def __call__(self, item: tuple[int, int]) -> Any:
        """What the function tells of one tile and turn."""
        number, turn = item
        return self.function(self.tiles.read(number), number, turn)


@dataclass
class Tiles:
    """Tiles and workers of a train step, had only once a model asks for them: a line needs neither.

    Attributes:
        reader: of cube, mask and split.
        train: sizes of tiles, and how many are drawn by which seeds.
        cluster: where they are worked on.
        stack: closes the workers.
    """

    reader: Reader
    train: Train
    cluster: Cluster
    stack: ExitStack

    @functools.cached_property
    def engine(self) -> Engine:
        """The workers."""
        return self.stack.enter_context(compute.cluster(self.cluster))

    @functools.cached_property
    def to_learn(self) -> WorkedTiles:
        """Tiles to fit models to."""
        return self._drawn(self.train.seed, "learn")

    @functools.cached_property
    def to_calibrate(self) -> WorkedTiles:
        """Tiles to calibrate on: others, where there are enough."""
        return self._drawn(self.train.calibration.seed, "calibrate")

    def _drawn(self, seed: int, purpose: str) -> WorkedTiles:
        tiling = tiling_of(self.train.tiles.model_dump(), self.reader)
        drawn = draw_tiles(self.engine, self.reader, tiling, self.train.calibration.tiles, seed, purpose)
        return WorkedTiles(drawn, self.engine)


def hidden(reader: Reader, window: Window) -> Chunk:
    """A window without features, and without any value that must not be learned from."""
    chunk = as_seen_for(replace(reader, truth=None).chunk(window, features=False), "test")
    if chunk.held_out is None:
        return chunk
    nothing = chunk.target.dtype.type(np.nan)
    return replace(chunk, target=np.where(chunk.held_out, nothing, chunk.target))


def draw_tiles(engine: Engine, reader: Reader, tiling: Tiling, most: int, seed: int, purpose: str) -> StoredTiles:
    """Draws tiles that show something, the latitude bands in turn, within each the likelier the more land there is.

    Args:
        engine: where it is looked up whether a tile shows something.
        reader: of cube, mask and split.
        tiling: all tiles.
        most: tiles to draw.
        seed: of the draw, which depends on nothing else but the grid, its land, and whether a tile shows something.
        purpose: draws for different ones are independent of each other.
    """
    order = _order(reader, tiling, seed, purpose)
    with contextlib.closing(engine.map(functools.partial(_shows, reader, tiling), order)) as shown:
        found = (tile for tile, shows in zip(order, shown, strict=True) if shows)
        return StoredTiles(reader, tiling, tuple(sorted(itertools.islice(found, most))))


def _order(reader: Reader, tiling: Tiling, seed: int, purpose: str) -> list[int]:
    """Tiles with land in the order of the draw.

    In each band by keys ``-log(u) / land``, a draw without replacement in proportion to land (Efraimidis and Spirakis
    2006, doi:10.1016/j.ipl.2005.11.003).
    """
    land = land_of_tiles(tiling, reader)
    tiles = np.array(list(land), np.int64)
    keys = -np.log1p(-uniform(tiles, seed, f"tiles to {purpose}")) / np.array(list(land.values()))
    rows = [int(np.mean([tiling.core(tile).start[1], tiling.core(tile).stop[1] - 1])) for tile in tiles.tolist()]
    bands = latitude_band(reader.grid.lat[rows])
    turns = np.zeros(len(tiles), np.int64)
    for band in np.unique(bands):
        mine = np.flatnonzero(bands == band)
        turns[mine[np.argsort(keys[mine], kind="stable")]] = np.arange(len(mine))
    drawn: list[int] = tiles[np.lexsort((bands, turns))].tolist()
    return drawn


def _shows(reader: Reader, tiling: Tiling, tile: int) -> bool:
    return bool(hidden(reader, tiling.core(tile)).visible().any())
