"""The reader: one chunk of everything, the same in every window, from the stores that are there now."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import xarray as xr

from lstfill.config import Split
from lstfill.cube import Window, chunk_windows
from lstfill.errors import DataError, StoreError
from lstfill.steps.reader import COLUMN_CELLS, Reader, columns_of
from tests.steps.chain import (
    CHUNKS,
    FEATURE,
    GAP,
    GIVEN,
    SHAPE,
    SPLIT,
    TARGET,
    TRUTH,
    make_cube,
    parts_of,
    source_of,
    write_source,
)


@pytest.fixture
def reader(prepared):
    return Reader.open(prepared.at("cube"), prepared.at("land"), prepared.at("parts"))


@pytest.mark.parametrize("chunks", [CHUNKS, (12, 36, 72), (7, 5, 31)])
def test_windows_hold_what_the_stores_hold(reader, prepared, chunks):
    whole = {"target": prepared.array("cube", TARGET), "part": parts_of(prepared)}
    whole |= {"held_out": prepared.array("parts", "held_out"), "feature": prepared.array("cube", FEATURE)}
    land = prepared.array("land", "land")
    for window in chunk_windows(SHAPE, chunks):
        chunk, (_, lat, lon) = reader.chunk(window), window.slices
        assert chunk.window == window
        assert chunk.shape == SHAPE
        np.testing.assert_array_equal(chunk.target, whole["target"][window.slices])
        np.testing.assert_array_equal(chunk.features[FEATURE], whole["feature"][window.slices])
        np.testing.assert_array_equal(chunk.part, whole["part"][window.slices])
        np.testing.assert_array_equal(chunk.held_out, whole["held_out"][window.slices])
        np.testing.assert_array_equal(chunk.land, land[lat, lon])
        assert chunk.truth is None


def test_coordinates_are_those_of_the_window(reader, cube):
    chunk = reader.chunk(Window((5, 10, 18), (10, 20, 36)))
    np.testing.assert_array_equal(chunk.time, cube["time"].values[5:10])
    np.testing.assert_array_equal(chunk.lat, cube["lat"].values[10:20])
    np.testing.assert_array_equal(chunk.lon, cube["lon"].values[18:36])


def test_before_mask_and_split_every_cell_counts(prepared):
    chunk = Reader.open(prepared.at("cube")).chunk(Window((0, 0, 0), SHAPE))
    assert chunk.land.all()
    assert (chunk.part, chunk.held_out, chunk.truth) == (None, None, None)


def test_given_gaps_bring_their_truth(chain):
    given = chain.but(split=chain.split.model_copy(update={"held_out_gaps": GIVEN}))
    given.prepared()
    chunk = Reader.open(given.at("cube"), given.at("land"), given.at("parts")).chunk(Window((0, 0, 0), SHAPE))
    np.testing.assert_array_equal(chunk.truth, given.array("cube", TRUTH))


def test_a_reader_travels_and_holds_no_data(reader):
    there = pickle.loads(pickle.dumps(reader))  # noqa: S301 - our own bytes
    assert there == reader
    assert len(pickle.dumps(reader)) < 2000


def test_columns_cover_the_cube_with_all_times(reader):
    windows = columns_of(reader.grid)
    assert {window.shape[0] for window in windows} == {SHAPE[0]}
    assert sum(window.size for window in windows) == np.prod(SHAPE)
    assert max(window.size for window in windows) <= COLUMN_CELLS


def test_stores_written_anew_at_the_same_address_are_read_anew(chain, tmp_path):
    # A notebook, or a worker of a Dask scheduler, lives longer than a run.
    chain.prepared()
    before = _chunk(chain)
    halved = make_cube().isel(time=slice(0, 6), lat=slice(0, 30))
    anew = chain.but(
        source=source_of(write_source(halved, tmp_path / "other.zarr")), split=Split(block=SPLIT.block, seed=5)
    )
    anew.prepared()
    after = _chunk(anew)
    assert (before.shape, after.shape) == (SHAPE, (6, 30, 72))
    assert before.held_out is not None
    assert after.held_out is None
    with xr.open_zarr(anew.at("parts")) as ds:
        assert after.part[0, 0, 0] == ds["part"].values[0, 0, 0]
    assert not np.array_equal(before.part[:4, :30], after.part[:4])


def _chunk(chain):
    reader = Reader.open(chain.at("cube"), chain.at("land"), chain.at("parts"))
    return reader.chunk(Window((0, 0, 0), reader.grid.shape))


@pytest.mark.parametrize("store", ["land", "parts"])
def test_a_store_of_another_grid_is_refused(prepared, chain, store):
    smaller = chain.but(source=chain.source.model_copy(update={"bbox_deg": (-180, -90, 180, 60)}))
    smaller.ingested()
    inputs = {"land": None, "parts": None} | {store: prepared.at(store)}
    with pytest.raises(
        DataError, match=rf"{store}\.zarr: made for another grid \(.{{16}}\) than .*: run that step again"
    ):
        Reader.open(smaller.at("cube"), **inputs)


def test_a_truth_without_time_stands_at_its_date_and_nowhere_else(chain, cube, tmp_path):
    flat = cube.assign({GAP: cube[GAP][3], TRUTH: cube[TRUTH][3]})
    gaps = GIVEN.model_copy(update={"date": str(cube["time"].values[3])[:10]})
    given = chain.but(
        source=source_of(write_source(flat, tmp_path / "flat.zarr")),
        split=chain.split.model_copy(update={"held_out_gaps": gaps}),
    )
    given.prepared()
    reader = Reader.open(given.at("cube"), given.at("land"), given.at("parts"))
    window = Window((2, 5, 7), (6, 30, 60))
    chunk = reader.chunk(window)
    expected = np.full(window.shape, np.nan, np.float32)
    expected[1] = cube[TRUTH].values[3][window.slices[1:]]
    np.testing.assert_array_equal(chunk.truth, expected)
    assert chunk.held_out[1].any()
    assert not np.delete(chunk.held_out, 1, axis=0).any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("land", "land", "parts"),
            r"land\.zarr was written by step mask, not ingest: give the address of the work cube",
        ),
        (("cube", "parts", "land"), r"parts\.zarr was written by step split, not mask: .* the land mask"),
        (("cube", "land", "samples"), r"samples\.zarr was written by step preprocess, not split: .* the split"),
    ],
)
def test_mixed_up_addresses_are_refused(prepared, given, message):
    with pytest.raises(StoreError, match=message):
        Reader.open(*(prepared.at(name) for name in given))
