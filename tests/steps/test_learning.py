"""Tiles to learn from: nothing in them that is scored later, drawn evenly, the same whatever the chunks."""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from lstfill import compute
from lstfill.config import Cluster, Train
from lstfill.cube import Window, latitude_band
from lstfill.cube.tiles import Tiling
from lstfill.model import registry
from lstfill.split import Part
from lstfill.steps import learning
from lstfill.steps.learning import StoredTiles, Tiles, WorkedTiles, draw_tiles
from lstfill.steps.reader import Reader
from lstfill.steps.tiling import land_of_tiles
from tests.model import tiles as made
from tests.steps.chain import FEATURE, SHAPE, TARGET, Chain, land, parts_of, source_of

PLAN = Tiling.of(SHAPE, 6, 2)
LAND_FRACTION = "land_fraction"


def reader_of(chain):
    return Reader.open(*(chain.at(name) for name in ("cube", "land", "parts")))


@pytest.fixture
def reader(prepared):
    return reader_of(prepared)


@pytest.fixture
def engine():
    with compute.cluster(Cluster(workers=2)) as opened:
        yield opened


def test_a_tile_shows_nothing_that_is_held_out_or_in_the_test_part(reader, prepared):
    target, held_out, part = prepared.array("cube", TARGET), prepared.array("parts", "held_out"), parts_of(prepared)
    told = np.isfinite(target) & land() & ~held_out & (part != Part.TEST)
    tiles = StoredTiles(reader, PLAN, tuple(land_of_tiles(PLAN, reader)))
    for number in range(len(tiles)):
        chunk = tiles.read(number).chunk
        here = chunk.window.slices
        np.testing.assert_array_equal(chunk.visible(), told[here])
        # Not even in the array of the target, whatever a model does with it.
        secret = held_out[here] | (part[here] == Part.TEST)
        assert np.isnan(chunk.target[secret]).all()
        np.testing.assert_array_equal(chunk.target[~secret], target[here][~secret])
        np.testing.assert_array_equal(chunk.part, part[here])
        assert chunk.truth is None


def test_a_tile_has_all_dates_its_margin_its_features_and_its_covariates(reader, prepared):
    tiles = StoredTiles(replace(reader, covariates=(LAND_FRACTION,)), PLAN, (20, 21))
    for number, tile in enumerate(tiles.numbers):
        found = tiles.read(number)
        assert found.chunk.window == PLAN.outer(tile)
        rows, columns = found.core
        (rows, columns), (_, top, left) = found.core, PLAN.outer(tile).start
        start, stop = (0, top + rows.start, left + columns.start), (SHAPE[0], top + rows.stop, left + columns.stop)
        assert Window(start, stop) == PLAN.core(tile)
        here = found.chunk.window.slices
        np.testing.assert_array_equal(found.chunk.features[FEATURE], prepared.array("cube", FEATURE)[here])
        np.testing.assert_array_equal(
            found.chunk.covariates[LAND_FRACTION], prepared.array("cube", LAND_FRACTION)[here[1:]]
        )


def test_a_split_without_held_out_values_hides_the_test_part_alone(reader, prepared):
    window = Window((0, 0, 0), SHAPE)
    chunk = learning.hidden(replace(reader, held_out=False), window)
    target, test = prepared.array("cube", TARGET), parts_of(prepared) == Part.TEST
    np.testing.assert_array_equal(np.isnan(chunk.target), np.isnan(target) | test)


def test_a_draw_takes_no_more_than_it_may_of_tiles_that_show_something(reader, engine):
    able = [tile for tile in range(len(PLAN)) if learning.hidden(reader, PLAN.core(tile)).visible().any()]
    assert draw_tiles(engine, reader, PLAN, 1000, 0, "learn").numbers == tuple(able)
    numbers = draw_tiles(engine, reader, PLAN, 7, 0, "learn").numbers
    assert len(set(numbers)) == 7
    assert list(numbers) == sorted(numbers)
    assert set(numbers) < set(able)


def test_tiles_that_show_nothing_are_passed_over(reader, engine, monkeypatch):
    first = draw_tiles(engine, reader, PLAN, 4, 0, "learn").numbers
    blind = PLAN.core(first[0])
    shown = learning.hidden

    def hidden(reader, window):
        chunk = shown(reader, window)
        return replace(chunk, target=np.full_like(chunk.target, np.nan)) if window == blind else chunk

    monkeypatch.setattr(learning, "hidden", hidden)
    second = draw_tiles(engine, reader, PLAN, 4, 0, "learn").numbers
    assert set(first[1:]) < set(second)
    assert len(second) == 4
    assert first[0] not in second


def test_latitude_bands_come_in_turn(reader, engine):
    def bands(numbers):
        middle = [sum(PLAN.core(tile).slices[1].indices(SHAPE[1])[:2]) // 2 for tile in numbers]
        return Counter(latitude_band(reader.grid.lat[middle]).tolist())

    everything = bands(draw_tiles(engine, reader, PLAN, 1000, 0, "learn").numbers)
    for most in (len(everything), 2 * len(everything), 15):
        drawn = bands(draw_tiles(engine, reader, PLAN, most, 3, "learn").numbers)
        assert sum(drawn.values()) == most
        # A band has fewer than the others only if it has no more.
        assert all(drawn[band] >= min(everything[band], max(drawn.values()) - 1) for band in everything)


def test_draws_depend_on_seed_and_purpose_and_on_nothing_else(prepared, engine, source_store, tmp_path, tracking):
    other = Chain(tmp_path, source_of(source_store, chunks=(6, 36, 36)), tracking)
    other.ingested()
    other.masked()
    other.parted()
    mine, theirs = reader_of(prepared), reader_of(other)
    assert mine.grid.chunks != theirs.grid.chunks
    draws = {
        (seed, purpose): draw_tiles(engine, mine, PLAN, 6, seed, purpose).numbers
        for seed in (0, 1)
        for purpose in ("learn", "calibrate")
    }
    assert len(set(draws.values())) == 4
    for (seed, purpose), numbers in draws.items():
        with compute.cluster(Cluster(workers=1)) as alone:
            assert draw_tiles(alone, theirs, PLAN, 6, seed, purpose).numbers == numbers


def test_within_a_band_tiles_come_first_as_often_as_they_have_land(reader):
    cells = land_of_tiles(PLAN, reader)
    row = {tile: PLAN.core(tile).start[1] for tile in cells}
    band = [tile for tile in cells if row[tile] == 6]
    draws = 2000
    firsts = Counter(
        next(tile for tile in learning._order(reader, PLAN, seed, "learn") if tile in band) for seed in range(draws)
    )
    total = sum(cells[tile] for tile in band)
    assert len({cells[tile] for tile in band}) > 1
    for tile in band:
        share = cells[tile] / total
        assert firsts[tile] / draws == pytest.approx(share, abs=4 * (share / draws) ** 0.5)


def test_a_train_step_draws_by_its_options_and_opens_workers_only_if_asked(reader):
    train = Train(tiles={"side": 16, "overlap": 4}, calibration={"tiles": 5, "seed": 3})
    with ExitStack() as stack:
        tiles = Tiles(reader, train, Cluster(workers=1), stack)
        assert "engine" not in vars(tiles)
        assert len(tiles.to_learn) == len(tiles.to_calibrate) == 5
        assert tiles.to_learn.tiles.tiling == Tiling.of(SHAPE, 16, 4)
        expected = draw_tiles(tiles.engine, reader, tiles.to_learn.tiles.tiling, 5, 3, "calibrate")
        assert tiles.to_calibrate.tiles == expected
        assert tiles.to_learn.tiles != expected
        assert tiles.to_learn.engine is tiles.to_calibrate.engine is tiles.engine


def _cells(tile, number, turn):
    """What tells tiles apart, and the threads of linear algebra."""
    blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    return int(tile.chunk.visible().sum()), tile.chunk.window.start, number, turn, blas


def test_workers_look_at_tiles_in_turn_with_one_thread_each(reader, engine):
    stored = StoredTiles(reader, PLAN, (20, 21, 26))
    items = list(itertools.product(range(3), range(2)))
    looked = WorkedTiles(stored, engine).map(_cells, items)
    assert looked == [(*_cells(stored.read(number), number, turn)[:4], {1}) for number, turn in items]
    assert len({of[1] for of in looked}) == len(WorkedTiles(stored, engine)) == 3


def test_a_model_learns_the_same_from_any_number_of_workers(reader):
    found = []
    for workers in (1, 3):
        with compute.cluster(Cluster(workers=workers)) as engine:
            stored = StoredTiles(reader, Tiling.of(SHAPE, 16, 4), (1, 6, 7))
            view = replace(made.view(stored.read(0)), tiles=WorkedTiles(stored, engine))
            model = registry.create("ensemble")
            model.fit(view, Train(ensemble={"members": ["harmonic", "boosting"]}), None)
            found.append((model.card, model.predict(stored.read(0).chunk).value))
    (card, value), (other_card, other_value) = found
    assert card == other_card
    np.testing.assert_array_equal(value, other_value)
