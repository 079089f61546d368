"""Models of neighbours at scale: tiles are filled one by one, wait as pieces, and are blended for any window."""

from __future__ import annotations

import io
import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from lstfill.cube import Window
from lstfill.cube.tiles import Tiling, common, inside
from lstfill.evaluate.visible import ScoredSet, as_seen_for
from lstfill.model import Prediction
from lstfill.steps.reader import Reader
from lstfill.storage import objects
from lstfill.storage.address import join

if TYPE_CHECKING:
    from lstfill.compute.engine import Engine
    from lstfill.cube import Chunk
    from lstfill.model import Card, Model

logger = logging.getLogger(__name__)

KEPT_PIECE_BYTES = 64 * 2**20
"""Pieces that a process keeps: windows side by side need the same ones."""


def fill_tiles(engine: Engine, reader: Reader, model: Model, scored: ScoredSet | None, place: str) -> Blended:
    """Fills all tiles of the cube that have something to fill.

    Args:
        engine: where tiles are filled.
        reader: of cube and mask; and of the split where what it holds out is not to be seen.
        model: of reach TILE, fitted.
        scored: the set that is scored, which decides what is hidden beside held-out values; None hides nothing more.
        place: address below which pieces wait; the caller removes it.

    Returns:
        What predicts any window from the pieces, as long as they are there.
    """
    from threadpoolctl import threadpool_limits

    tiling, place = tiling_of(model.card.tiles or {}, reader), join(place, uuid.uuid4().hex)
    filling = _Filling(replace(reader, truth=None), model, tiling, scored, place)
    tiles = list(land_of_tiles(tiling, reader))
    # Sums of other numbers of threads have other last bits; Dask's processes are bound to one as it is.
    with threadpool_limits(1, user_api="blas"):
        spans = dict(zip(tiles, engine.map(filling, tiles), strict=True))
    written = frozenset((tile, span) for tile, found in spans.items() for span in found)
    return Blended(model.card, tiling, filling.dates, place, written)


def tiling_of(sizes: Mapping[str, int], reader: Reader) -> Tiling:
    """The tiles of ``side`` and ``overlap`` on a cube; smaller ones, which is logged, where dates are many."""
    shape = reader.grid.shape
    tiling = Tiling.of(shape, sizes["side"], sizes["overlap"])
    if tiling.lat.overlap != sizes["overlap"]:
        rows, columns = (max(np.diff(axis.edges)) for axis in (tiling.lat, tiling.lon))
        logger.warning(
            "%d dates: tiles have %d x %d cells and an overlap of %d instead of %d and %d, to fit into memory",
            shape[0], rows, columns, tiling.lat.overlap, sizes["side"], sizes["overlap"],
        )  # fmt: skip
    return tiling


def land_of_tiles(tiling: Tiling, reader: Reader) -> dict[int, int]:
    """Cells of land in the tiles that have some, by number, ascending; a row of tiles is looked at at a time."""
    found: dict[int, int] = {}
    for row in range(len(tiling.lat)):
        rows, (_, _, columns) = tiling.lat.core(row), reader.grid.shape
        land = reader.land_in(Window((0, rows.start, 0), (1, rows.stop, columns)))
        counts = [int(np.count_nonzero(land[:, tiling.lon.core(column)])) for column in range(len(tiling.lon))]
        found |= {row * len(tiling.lon) + column: cells for column, cells in enumerate(counts) if cells}
    return found


@dataclass(frozen=True)
class Piece:
    """What a tile says of some dates, at the cells where it is asked.

    Attributes:
        shape: cells ``(time, lat, lon)``.
        wanted: which of them are asked for, eight a byte.
        value: of these ``(n,)`` in K; NaN where the model has none.
        spread: standard uncertainty of these ``(n,)`` in K, of an uncalibrated model its own deviation; NaN without.
        extrapolated: which of these are, eight a byte.
    """

    shape: tuple[int, int, int]
    wanted: NDArray[np.uint8]
    value: NDArray[np.float32]
    spread: NDArray[np.float32]
    extrapolated: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        wanted: NDArray[np.bool_],
        value: NDArray[np.floating],
        spread: NDArray[np.floating] | None,
        extrapolated: NDArray[np.bool_],
    ) -> Self:
        """Keeps the wanted cells of arrays ``(time, lat, lon)``."""
        time, lat, lon = wanted.shape
        own = np.full(np.count_nonzero(wanted), np.nan, np.float32) if spread is None else spread[wanted]
        return cls(
            (time, lat, lon),
            np.packbits(wanted),
            value[wanted].astype(np.float32),
            own.astype(np.float32),
            np.packbits(extrapolated[wanted]),
        )

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(array.nbytes for array in (self.wanted, self.value, self.spread, self.extrapolated))

    def full(self, name: str) -> NDArray[np.float32]:
        """Values, spreads or whether they are extrapolated ``(time, lat, lon)``; NaN where nothing is wanted."""
        values = getattr(self, name)
        if name == "extrapolated":
            values = np.unpackbits(values, count=self.value.size)
        full = np.full(self.shape, np.nan, np.float32)
        full[np.unpackbits(self.wanted, count=full.size).view(bool).reshape(self.shape)] = values
        return full

    def to_bytes(self) -> bytes:
        """For ``from_bytes``."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            shape=np.array(self.shape),
            wanted=self.wanted,
            value=self.value,
            spread=self.spread,
            extrapolated=self.extrapolated,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads what ``to_bytes`` gave."""
        with np.load(io.BytesIO(data)) as found:
            time, lat, lon = found["shape"].tolist()
            return cls((time, lat, lon), *(found[name] for name in ("wanted", "value", "spread", "extrapolated")))


@dataclass(frozen=True)
class _Filling:
    """What a worker needs to fill tiles: addresses, and the model."""

    reader: Reader
    model: Model
    tiling: Tiling
    scored: ScoredSet | None
    place: str

    @property
    def dates(self) -> int:
        """Dates of a piece: those of a chunk, so that a window of chunks needs no others."""
        return self.reader.grid.chunks[0]

    def __call__(self, tile: int) -> list[int]:
        """Fills one tile and writes its pieces; gives their numbers along time."""
        chunk = self.reader.chunk(self.tiling.outer(tile), features=False)
        chunk = chunk if self.scored is None else as_seen_for(chunk, self.scored)
        wanted = chunk.land[None] & ~chunk.visible()
        if not wanted.any():
            return []
        chunk = self.reader.with_features(chunk, self.model.card.covariates)
        prediction = self._calibrated(chunk, wanted)
        spread = prediction.spread if prediction.uncertainty is None else prediction.uncertainty
        return self._write(tile, wanted, prediction.value, spread, self.model.extrapolated(chunk))

    def _calibrated(self, chunk: Chunk, wanted: NDArray[np.bool_]) -> Prediction:
        """The prediction; its uncertainty is told here, where all that surrounds a cell is seen."""
        prediction, calibration = self.model.predict(chunk), self.model.card.calibration
        return prediction if calibration is None else calibration.calibrated(chunk, prediction, np.flatnonzero(wanted))

    def _write(
        self,
        tile: int,
        wanted: NDArray[np.bool_],
        value: NDArray[np.float32],
        spread: NDArray[np.float32] | None,
        extrapolated: NDArray[np.bool_],
    ) -> list[int]:
        spans = []
        for span, first in enumerate(range(0, len(wanted), self.dates)):
            cut = slice(first, first + self.dates)
            if wanted[cut].any():
                piece = Piece.of(wanted[cut], value[cut], None if spread is None else spread[cut], extrapolated[cut])
                objects.put_bytes(_address(self.place, tile, span), piece.to_bytes())
                spans.append(span)
        return spans


@dataclass(frozen=True)
class Blended:
    """A model of neighbours that has filled its tiles; predicts any window from their pieces. Travels to any worker.

    Attributes:
        card: of the model.
        tiling: the tiles.
        dates: dates of a piece.
        place: address of the pieces.
        written: tile and number along time of the pieces that there are.
    """

    card: Card
    tiling: Tiling
    dates: int
    place: str
    written: frozenset[tuple[int, int]] = field(repr=False)

    def predict(self, chunk: Chunk) -> Prediction:
        """Values and their uncertainty where the tiles were asked, NaN elsewhere.

        A value is the mean of those of the tiles that see the cell, an uncertainty the root of the mean square. A tile
        weighs the less the nearer the cell lies to the end of its margin; one without a value leaves it to the others.

        Args:
            chunk: of any window; only where it lies matters.
        """
        value, square, weight = (np.zeros(chunk.window.shape) for _ in range(3))
        for at, cut, weights, piece in self._pieces(chunk.window):
            said, spread = piece.full("value")[cut], piece.full("spread")[cut]
            weights = np.where(np.isfinite(said), weights, 0.0)
            value[at] += weights * np.where(weights > 0, said, 0.0)
            square[at] += weights * np.where(weights > 0, spread.astype(np.float64), 0.0) ** 2
            weight[at] += weights
        weight[weight == 0] = np.nan
        mean, spread = (value / weight).astype(np.float32), np.sqrt(square / weight).astype(np.float32)
        return Prediction(mean, spread) if self.card.calibration is None else Prediction(mean, None, spread)

    def extrapolated(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Where at least half of a value's weight is extrapolated ``(time, lat, lon)``."""
        far, weight = (np.zeros(chunk.window.shape) for _ in range(2))
        for at, cut, weights, piece in self._pieces(chunk.window):
            weights = np.where(np.isfinite(piece.full("value")[cut]), weights, 0.0)
            far[at] += weights * np.nan_to_num(piece.full("extrapolated")[cut])
            weight[at] += weights
        found: NDArray[np.bool_] = (2 * far >= weight) & (weight > 0)
        return found

    def _pieces(self, window: Window) -> Iterator[tuple[Any, Any, NDArray[np.float64], Piece]]:
        """Pieces that touch a window, in the order of tiles: where they go, which cells, and weights ``(lat, lon)``."""
        first, last = window.start[0] // self.dates, (window.stop[0] - 1) // self.dates
        for tile in self.tiling.touching(window):
            outer = self.tiling.outer(tile)
            for span in range(first, last + 1):
                if (tile, span) not in self.written:
                    continue
                box = _span(outer, span, self.dates)
                shared = common(box, window)
                piece = _kept.get(_address(self.place, tile, span))
                yield inside(shared, window), inside(shared, box), self.tiling.weights(tile, shared), piece


class _KeptPieces:
    """The pieces last used, at most so many bytes of them; for all threads of a process."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._pieces: OrderedDict[str, Piece] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, address: str) -> Piece:
        """The piece at an address, read if it is not at hand."""
        with self._lock:
            if address in self._pieces:
                self._pieces.move_to_end(address)
                return self._pieces[address]
        piece = Piece.from_bytes(objects.get_bytes(address))
        with self._lock:
            if address not in self._pieces:
                self._pieces[address] = piece
                self._bytes += piece.nbytes
            while self._bytes > self._most:
                self._bytes -= self._pieces.popitem(last=False)[1].nbytes
        return piece


_kept = _KeptPieces(KEPT_PIECE_BYTES)


def _span(outer: Window, span: int, dates: int) -> Window:
    """The cells of a piece."""
    _, *start = outer.start
    end, *stop = outer.stop
    return Window((span * dates, start[0], start[1]), (min((span + 1) * dates, end), stop[0], stop[1]))


def _address(place: str, tile: int, span: int) -> str:
    return join(place, f"tile-{tile:06d}-{span:05d}.npz")
