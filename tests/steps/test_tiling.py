"""Tiles at scale: what a model sees, what is blended, and that neither chunks nor workers change a bit."""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lstfill import compute
from lstfill.config import Cluster, Train
from lstfill.cube import Window, chunk_windows
from lstfill.cube.tiles import TILE_CELLS, Tiling
from lstfill.evaluate.visible import as_seen_for
from lstfill.model import Card, Prediction, TrainingView
from lstfill.model.harmonic import HarmonicModel
from lstfill.model.tiled import TileModel
from lstfill.preprocess import InMemoryShards, Scaling
from lstfill.steps import tiling
from lstfill.steps.reader import Reader
from tests.model.calibrations import AROUND
from tests.steps.chain import CHUNKS, FEATURE, SHAPE, TARGET, Chain, land, source_of

SIDE, OVERLAP = 16, 4
WHOLE = Window((0, 0, 0), SHAPE)
CARD = Card(
    model="stub",
    target=TARGET,
    features=(),
    units={TARGET: "K"},
    scaling=Scaling({}),
    ranges={},
    impute={},
    parameters={},
    tiles={"side": SIDE, "overlap": OVERLAP},
)
PLAN = Tiling.of(SHAPE, SIDE, OVERLAP)


@dataclass
class Stub(TileModel):
    """Says where a cell lies, of all cells; remembers what it was shown."""

    fitted: Card = CARD
    shown: list = field(default_factory=list)

    def predict(self, chunk):
        self.shown.append(chunk)
        time, lat, lon = (np.arange(a, b) for a, b in zip(chunk.window.start, chunk.window.stop, strict=True))
        value = 200 + time[:, None, None] + lat[:, None] / 64 + lon / 128
        return Prediction(value.astype(np.float32), None)

    def extrapolated(self, chunk):
        return np.zeros(chunk.target.shape, bool)


class Numbered(Stub):
    """Says the number of its tile, twice that as its spread, and is extrapolated in odd ones."""

    def predict(self, chunk):
        self.shown.append(chunk)
        number = np.full(chunk.target.shape, number_of(chunk.window), np.float32)
        return Prediction(number, 2 * number)

    def extrapolated(self, chunk):
        return np.full(chunk.target.shape, number_of(chunk.window) % 2 == 1)


class Half(Numbered):
    """Has no value in odd tiles."""

    def predict(self, chunk):
        said = super().predict(chunk)
        return replace(said, value=said.value if number_of(chunk.window) % 2 == 0 else np.nan * said.value)


class Doubtful(Stub):
    """Has a spread."""

    def predict(self, chunk):
        return replace(super().predict(chunk), spread=np.full(chunk.target.shape, 0.8, np.float32))


def number_of(outer):
    return next(tile for tile in range(len(PLAN)) if PLAN.outer(tile) == outer)


def reader_of(chain, *more):
    return Reader.open(*(chain.at(name) for name in ("cube", "land", *more)))


def filled(chain, model, place, scored=None, more=(), cluster=None):
    """The model's tiles, filled on the chain's cube."""
    with compute.cluster(cluster or Cluster(workers=2)) as engine:
        return tiling.fill_tiles(engine, reader_of(chain, *more), model, scored, str(place))


def at(window, chain):
    """What the blended tiles are asked with: only where it lies matters."""
    return reader_of(chain).chunk(window, features=False)


def missing(chain):
    return land() & ~np.isfinite(chain.array("cube", TARGET))


def blend(per_tile):
    """Mean over the tiles that see a cell by the naive expression ``(lat, lon)``; None of a tile counts for nothing."""
    total, weight = np.zeros(SHAPE[1:]), np.zeros(SHAPE[1:])
    for tile in PLAN.touching(WHOLE):
        value = per_tile(tile)
        if value is not None:
            total += PLAN.weights(tile, WHOLE) * value
            weight += PLAN.weights(tile, WHOLE)
    with np.errstate(invalid="ignore"):
        return total / weight


def has_land(tile):
    return land()[PLAN.core(tile).slices[1:]].any()


def test_where_tiles_agree_the_blended_value_is_the_models_own(prepared, tmp_path):
    blended = filled(prepared, Stub(), tmp_path)
    value = blended.predict(at(WHOLE, prepared)).value
    time, lat, lon = np.indices(SHAPE)
    wanted = missing(prepared)
    # Half the rounding of float32 at 200 K.
    np.testing.assert_allclose(value[wanted], (200 + time + lat / 64 + lon / 128)[wanted], rtol=0, atol=1e-5)
    assert np.isnan(value[~wanted]).all()
    assert wanted.sum() > 1000


def test_where_tiles_differ_they_fade_into_each_other(prepared, tmp_path):
    blended = filled(prepared, Numbered(), tmp_path)
    said, wanted = blended.predict(at(WHOLE, prepared)), missing(prepared)
    value = blend(lambda tile: tile if has_land(tile) else None)
    square = blend(lambda tile: (2 * tile) ** 2 if has_land(tile) else None)
    np.testing.assert_allclose(said.value[wanted], np.broadcast_to(value, SHAPE)[wanted], rtol=1e-6)
    np.testing.assert_allclose(said.spread[wanted], np.broadcast_to(np.sqrt(square), SHAPE)[wanted], rtol=1e-6)
    assert said.uncertainty is None
    # Neighbours in a row differ by a part of the difference between tiles side by side, which is 1.
    steps = np.abs(np.diff(said.value[:, :6], axis=2))
    assert np.nanmax(steps) <= 1 / (2 * OVERLAP) + 1e-5


def test_a_tile_without_a_value_leaves_it_to_the_others(prepared, tmp_path):
    blended = filled(prepared, Half(), tmp_path)
    value, wanted = blended.predict(at(WHOLE, prepared)).value, missing(prepared)
    expected = np.broadcast_to(blend(lambda tile: tile if has_land(tile) and tile % 2 == 0 else None), SHAPE)
    np.testing.assert_allclose(value[wanted], expected[wanted], rtol=1e-6)
    assert np.isnan(value[wanted]).any()


def test_extrapolated_is_what_most_of_the_weight_is(prepared, tmp_path):
    blended = filled(prepared, Numbered(), tmp_path)
    share = np.broadcast_to(blend(lambda tile: tile % 2 if has_land(tile) else None), SHAPE)
    found, clear = blended.extrapolated(at(WHOLE, prepared)), np.abs(share - 0.5) > 1e-6
    np.testing.assert_array_equal(found[clear], ((share > 0.5) & missing(prepared))[clear])
    assert found.any()


@pytest.mark.parametrize("scored", ["test", "held_out_gaps"])
def test_what_is_scored_is_hidden_from_the_model_and_filled(prepared, tmp_path, scored):
    model = Stub()
    blended = filled(prepared, model, tmp_path, scored, ["parts"])
    whole = as_seen_for(reader_of(prepared, "parts").chunk(WHOLE, features=False), scored)
    for chunk in model.shown:
        np.testing.assert_array_equal(chunk.visible(), whole.visible()[chunk.window.slices])
    value = blended.predict(whole).value
    np.testing.assert_array_equal(np.isfinite(value), land() & ~whole.visible())


def test_a_model_is_shown_all_dates_its_features_and_its_margin(prepared, tmp_path):
    model = Stub()
    filled(prepared, model, tmp_path)
    windows = {chunk.window for chunk in model.shown}
    assert windows == {PLAN.outer(tile) for tile in range(len(PLAN)) if has_land(tile)}
    assert len(windows) < len(PLAN)
    feature = prepared.array("cube", FEATURE)
    for chunk in model.shown:
        np.testing.assert_array_equal(chunk.features[FEATURE], feature[chunk.window.slices])
        assert chunk.truth is None


def test_nothing_is_read_or_asked_of_a_tile_without_gaps(prepared, tmp_path, monkeypatch):
    full = np.zeros(SHAPE, np.float32)
    read = Reader.chunk
    monkeypatch.setattr(
        Reader, "chunk", lambda self, window, **how: replace(read(self, window, **how), target=full[window.slices])
    )
    model = Stub()
    blended = filled(prepared, model, tmp_path)
    assert model.shown == []
    assert not blended.written
    assert list(tmp_path.iterdir()) == []
    assert np.isnan(blended.predict(at(WHOLE, prepared)).value).all()


def test_uncertainty_is_calibrated_where_the_whole_tile_is_seen(prepared, tmp_path):
    model = Doubtful().calibrate(AROUND)
    blended = filled(prepared, model, tmp_path)
    said, wanted = blended.predict(at(WHOLE, prepared)), missing(prepared)
    assert said.spread is None
    squares, weight = np.zeros(SHAPE), np.zeros(SHAPE)
    for tile in filter(has_land, range(len(PLAN))):
        outer = PLAN.outer(tile)
        chunk, cells = at(outer, prepared), np.flatnonzero(wanted[outer.slices])
        square = np.zeros(outer.shape)
        np.put(square, cells, AROUND.standard(chunk, np.full(outer.shape, 0.8), cells) ** 2)
        squares[outer.slices] += PLAN.weights(tile, outer) * square
        weight[outer.slices] += PLAN.weights(tile, outer)
    np.testing.assert_allclose(said.uncertainty[wanted], np.sqrt(squares[wanted] / weight[wanted]), rtol=1e-5)


def harmonic():
    """A model that learns from what is visible in the tile."""
    model = HarmonicModel()
    empty = InMemoryShards(np.empty((0, 1), np.float32), np.empty(0, np.float32))
    names = (TARGET, FEATURE)
    view = TrainingView(
        train=empty,
        validation=empty,
        target=TARGET,
        features=(FEATURE,),
        units=dict.fromkeys(names, "K"),
        scaling=Scaling(dict.fromkeys(names, (0.0, 1.0))),
        ranges={FEATURE: (200.0, 330.0)},
    )
    model.fit(view, Train(tiles={"side": SIDE, "overlap": OVERLAP}), None)
    return model.calibrate(AROUND)


@pytest.fixture(scope="module")
def blended(prepared, tmp_path_factory):
    """Harmonics, blended over the whole cube; and the place of the pieces, which stay."""
    model = filled(prepared, harmonic(), tmp_path_factory.mktemp("pieces"))
    return model, model.predict(at(WHOLE, prepared))


WAYS = {
    "one thread": ((0, 0, 0), Cluster(workers=1)),
    "four threads, other chunks": ((12, 7, 20), Cluster(workers=4)),
    "two processes, other chunks": ((6, 36, 36), Cluster(kind="local", workers=2)),
}


@pytest.mark.parametrize("way", WAYS)
def test_chunks_and_workers_change_no_bit(blended, prepared, source_store, tmp_path, tracking, way):
    chunks, cluster = WAYS[way]
    chain = Chain(tmp_path / "run", source_of(source_store, chunks=chunks), tracking)
    chain.ingested()
    chain.masked()
    theirs = filled(chain, harmonic(), tmp_path / "pieces", cluster=cluster).predict(at(WHOLE, chain))
    for name in ("value", "uncertainty"):
        assert getattr(theirs, name).tobytes() == getattr(blended[1], name).tobytes()


@pytest.mark.parametrize("chunks", [CHUNKS, (1, 36, 72), (12, 5, 7)])
def test_any_window_holds_the_same_bits(blended, prepared, chunks):
    model = pickle.loads(pickle.dumps(blended[0]))  # noqa: S301
    for window in chunk_windows(SHAPE, chunks):
        part = model.predict(at(window, prepared))
        for name in ("value", "uncertainty"):
            assert getattr(part, name).tobytes() == getattr(blended[1], name)[window.slices].tobytes()


def test_pieces_of_two_fills_at_one_place_do_not_mix(prepared, tmp_path):
    first = filled(prepared, Numbered(), tmp_path)
    before = first.predict(at(WHOLE, prepared)).value
    filled(prepared, Stub(), tmp_path)
    tiling._kept.__init__(tiling.KEPT_PIECE_BYTES)
    np.testing.assert_array_equal(first.predict(at(WHOLE, prepared)).value, before)


def test_a_cube_of_many_dates_has_smaller_tiles_and_the_log_says_so(caplog):
    reader = SimpleNamespace(grid=SimpleNamespace(shape=(20_000, 400, 400)))
    sizes = {"side": 96, "overlap": 16}
    with caplog.at_level(logging.WARNING):
        made = tiling.tiling_of(sizes, reader)
    assert made.largest <= TILE_CELLS
    assert "20000 dates: tiles have" in caplog.text
    assert "instead of 96 and 16" in caplog.text
    caplog.clear()
    tiling.tiling_of(sizes, SimpleNamespace(grid=SimpleNamespace(shape=(46, 2160, 4320))))
    assert caplog.text == ""


BOXES = arrays.array_shapes(min_dims=3, max_dims=3, max_side=6)


@given(BOXES, st.integers(0, 2**32), st.booleans())
def test_a_piece_gives_back_what_was_wanted(shape, seed, with_spread):
    rng = np.random.default_rng(seed)
    wanted, far = rng.random(shape) < 0.5, rng.random(shape) < 0.5
    value, spread = rng.normal(280, 10, shape).astype(np.float32), rng.random(shape).astype(np.float32)
    piece = tiling.Piece.from_bytes(tiling.Piece.of(wanted, value, spread if with_spread else None, far).to_bytes())
    np.testing.assert_array_equal(piece.full("value"), np.where(wanted, value, np.nan))
    np.testing.assert_array_equal(piece.full("spread"), np.where(wanted & with_spread, spread, np.nan))
    np.testing.assert_array_equal(piece.full("extrapolated"), np.where(wanted, far, np.nan))


def test_a_process_keeps_no_more_bytes_of_pieces_than_it_may(tmp_path):
    piece = tiling.Piece.of(*(np.ones((2, 8, 8), kind) for kind in (bool, np.float32, np.float32, bool)))
    for number in range(5):
        (tmp_path / f"{number}.npz").write_bytes(piece.to_bytes())
    kept = tiling._KeptPieces(3 * piece.nbytes)
    for number in (0, 1, 2, 0, 3, 4):
        np.testing.assert_array_equal(kept.get(str(tmp_path / f"{number}.npz")).value, piece.value)
        assert sum(of.nbytes for of in kept._pieces.values()) <= 3 * piece.nbytes
    # The one asked for again stays longest of the first three.
    assert [address[-5] for address in kept._pieces] == ["0", "3", "4"]
