"""The split's store: the table that was drawn, the gaps that were cut, and the numbers beside."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lstfill import split as splits
from lstfill.config import Block, Buffer, HeldOutGaps, Split, WorkChunks
from lstfill.cube import Window, chunk_windows
from lstfill.errors import DataError, StoreError
from lstfill.steps import reader, split
from lstfill.steps.reader import Reader
from lstfill.storage import stores
from tests.steps.chain import (
    CHUNKS,
    CLOUDS,
    FEATURE,
    GAP,
    GIVEN,
    LAND,
    SHAPE,
    SPLIT,
    TARGET,
    TRUTH,
    land,
    parts_of,
    source_of,
    write_source,
)

NOTHING = HeldOutGaps()
SEA = "sea"


@pytest.fixture(scope="module")
def data(prepared, tmp_path_factory):
    """A chain that shares cube and mask, and writes splits of its own."""
    sea = prepared.array("cube", LAND) == 0
    root = tmp_path_factory.mktemp("splits")
    with xr.open_zarr(prepared.source.uri) as cube:
        uri = write_source(cube.load().assign({SEA: (("lat", "lon"), sea.astype("uint8"))}), root / "source.zarr")
    chain = prepared.but(root=root, source=source_of(uri, extras=[LAND, TRUTH, GAP, SEA]))
    chain.ingested()
    chain.masked()
    return chain


def parted(data, **section):
    chain = data.but(split=Split(**{"block": SPLIT.block, "held_out_gaps": NOTHING, **section}))
    return chain.parted().facts, chain


def whole(chain):
    reader = Reader.open(chain.at("cube"), chain.at("land"), chain.at("parts"))
    return reader.chunk(Window((0, 0, 0), SHAPE))


def usable(chain):
    """Usable cells by the naive expression."""
    cube = chain.values("cube")
    seen = np.isfinite(cube[TARGET]) & np.isfinite(cube[FEATURE]) & land()
    held_out = chain.values("parts").get("held_out")
    return seen if held_out is None else seen & ~held_out


def test_without_balance_the_table_is_the_draw_and_needs_no_data(data):
    _, chain = parted(data, balance=False, seed=4)
    drawn = splits.draw_blocks(SHAPE, chain.split, periodic_lon=True)
    np.testing.assert_array_equal(chain.array("parts", "part"), drawn.parts)


def test_the_stored_table_gives_each_cell_its_part(data):
    _, chain = parted(data)
    np.testing.assert_array_equal(whole(chain).part, parts_of(chain))


def test_balance_reaches_the_shares_it_reports(prepared):
    facts, part, seen = stores.provenance(prepared.at("parts"))["facts"], parts_of(prepared), usable(prepared)
    reached = facts["report"]["reached"]
    assert reached["cells"] == seen.sum()
    for number, (name, share) in enumerate({"train": 0.7, "validation": 0.1, "test": 0.2}.items()):
        assert reached[name] == pytest.approx((seen & (part == number)).sum() / seen.sum())
        assert reached[name] == pytest.approx(share, abs=0.02)


def test_a_random_split_draws_cell_by_cell_and_reports_its_shares(data):
    facts, chain = parted(data, kind="random", balance=False)
    part, seen = whole(chain).part, usable(chain)
    assert facts["report"]["reached"]["test"] == pytest.approx((seen & (part == 2)).sum() / seen.sum())
    assert len(np.unique(part[0, :6, :9])) == 3


def test_a_buffer_keeps_train_cells_away_and_is_counted(data):
    facts, chain = parted(data, buffer=Buffer(lat=1, lon=2))
    part, seen = whole(chain).part, usable(chain)
    near = np.roll(part == 2, 2, axis=2) | np.roll(part == 2, -2, axis=2)
    assert not (near & (part == 0)).any()
    assert facts["report"]["reached"]["left_out_by_buffer"] == (seen & (part == 3)).sum() > 0


def test_without_held_out_gaps_there_is_no_mask_of_them(data):
    facts, chain = parted(data)
    assert facts["held_out"] == 0
    assert "held_out" not in chain.values("parts")
    assert whole(chain).held_out is None


def test_clouds_hide_observed_land_values_where_another_date_is_missing(prepared):
    held_out, target = prepared.array("parts", "held_out"), prepared.array("cube", TARGET)
    seen = np.isfinite(target) & land()
    facts = stores.provenance(prepared.at("parts"))["facts"]
    assert not (held_out & ~seen).any()
    assert facts["held_out"] == held_out.sum() == facts["held_out_report"]["held_out"]
    assert held_out.sum() / seen.sum() == pytest.approx(0.1, abs=0.01)
    # On each date and tile, all that is hidden is missing on one and the same other date, and all of that is hidden.
    for date, row, column in np.argwhere(_tiles(held_out).any(axis=(2, 4))):
        tile = (slice(None), slice(row * 6, row * 6 + 6), slice(column * 9, column * 9 + 9))
        here, there = seen[tile], held_out[tile][date]
        donors = [other for other in range(SHAPE[0]) if np.array_equal(there, here[date] & ~here[other])]
        assert donors


def _tiles(values):
    return values.reshape(SHAPE[0], 6, 6, 8, 9)


def test_given_gaps_are_gap_and_truth_and_land(data):
    facts, chain = parted(data, held_out_gaps=GIVEN)
    cube = chain.values("cube")
    expected = (cube[GAP] != 0) & np.isfinite(cube[TRUTH]) & land()
    np.testing.assert_array_equal(chain.array("parts", "held_out"), expected)
    assert (facts["held_out"], facts["truth"]) == (expected.sum(), TRUTH)


def test_a_given_gap_without_time_belongs_to_its_date(data):
    time = data.array("cube", "time")
    facts, chain = parted(data, held_out_gaps=GIVEN.model_copy(update={"gap": LAND, "date": str(time[4])[:10]}))
    cube = chain.values("cube")
    expected = np.isfinite(cube[TRUTH]) & land()
    expected[[k for k in range(SHAPE[0]) if k != 4]] = False
    np.testing.assert_array_equal(chain.array("parts", "held_out"), expected)
    assert (facts["held_out"], facts["truth_step"]) == (expected.sum(), 4)
    np.testing.assert_array_equal(whole(chain).truth, cube[TRUTH])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"gap": SEA}, r"'sea' without time: set split.held_out_gaps.date"),
        ({"gap": SEA, "date": "2001-01-01"}, r"'2001-01-01' is no date of the cube; the nearest is 2002-05-21"),
        ({"gap": GAP, "date": "2002-05-21"}, r"'gap' and 'truth' have a time of their own: leave it out"),
    ],
)
def test_a_date_that_does_not_fit_is_refused(data, section, message):
    with pytest.raises(DataError, match=message):
        parted(data, held_out_gaps=HeldOutGaps(**{"kind": "given", "truth": TRUTH, **section}))


def test_names_that_are_not_there_are_all_listed(data):
    with pytest.raises(DataError) as caught:
        parted(data, held_out_gaps=HeldOutGaps(kind="given", truth="real", gap="holes"))
    for part in ("'real'", "'holes'", "add it to source.extras", TARGET):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"block": Block(time=12, lat=36, lon=72)}, r"1 blocks for 3 parts .*: make split.block smaller"),
        ({"block": Block(time=12, lat=36, lon=24), "buffer": Buffer(lon=23)}, r"no usable cell for train"),
        (
            {"held_out_gaps": HeldOutGaps(kind="given", truth=TRUTH, gap=SEA, date="2002-06-22")},
            r"no land cell with 'sea' set and a finite 'truth', so 0 values are held out",
        ),
    ],
    ids=["too-few-blocks", "all-buffer", "given-hides-nothing"],
)
def test_an_impossible_split_is_refused_and_leaves_nothing_whole(data, tmp_path, section, message):
    chain = data.but(split=Split(**{"block": SPLIT.block, "held_out_gaps": NOTHING, **section}))
    with pytest.raises(DataError, match=message):
        splits_run(chain, tmp_path)
    with pytest.raises(StoreError, match=r"not whole|no store"):
        stores.provenance(f"{tmp_path}/parts.zarr")


def splits_run(chain, place):
    return split.run(chain.split, **chain.inputs("cube", "land"), output=f"{place}/parts.zarr")


def test_one_date_cannot_lend_its_clouds(chain):
    one = chain.but(
        source=chain.source.model_copy(update={"time": ("2002-05-21", "2002-05-21")}),
        split=SPLIT.model_copy(update={"block": Block(time=1, lat=6, lon=9)}),
    )
    one.ingested()
    one.masked()
    with pytest.raises(
        DataError, match=r"1 date in the cube: held_out_gaps.kind clouds cuts out the gaps of other dates"
    ):
        one.parted()


def test_the_table_is_readable_without_this_package(prepared):
    with xr.open_zarr(prepared.at("parts")) as ds:
        assert ds["part"].attrs["flag_meanings"].split() == ["train", "validation", "test", "none"]
        assert ds.attrs["block"] == [4, 6, 9]


def test_what_has_no_land_is_not_read(data, monkeypatch):
    fine = data.but(
        root=data.root / "fine", source=data.source.model_copy(update={"chunks": WorkChunks(time=4, lat=9, lon=9)})
    )
    fine.ingested()
    fine.masked()
    monkeypatch.setattr(reader, "COLUMN_CELLS", SHAPE[0] * 81)
    real, reads = stores.read, set()

    def counted(uri, window, names, **options):
        reads.update((name, window.start[1:]) for name in names)
        return real(uri, window, names, **options)

    monkeypatch.setattr(stores, "read", counted)
    _, fine = parted(fine, held_out_gaps=CLOUDS)
    corners = [(y, x) for y in range(0, 36, 9) for x in range(0, 72, 9)]
    with_land = {(y, x) for y, x in corners if land()[y : y + 9, x : x + 9].any()}
    assert {place for name, place in reads if name == TARGET} == with_land < set(corners)
    monkeypatch.undo()
    _, coarse = parted(data, held_out_gaps=CLOUDS)
    np.testing.assert_array_equal(fine.array("parts", "part"), coarse.array("parts", "part"))
    np.testing.assert_array_equal(fine.array("parts", "held_out"), coarse.array("parts", "held_out"))


def test_without_clouds_each_chunk_is_read_once_however_long_the_cube(data, monkeypatch):
    monkeypatch.setattr(reader, "COLUMN_CELLS", SHAPE[0] * 72)  # columns would cut every chunk
    real, reads = stores.read, []

    def counted(uri, window, names, **options):
        reads.extend(window.start for name in names if name == TARGET)
        return real(uri, window, names, **options)

    monkeypatch.setattr(stores, "read", counted)
    parted(data)
    with_land = [w.start for w in chunk_windows(SHAPE, CHUNKS) if land()[w.slices[1:]].any()]
    assert sorted(reads) == sorted(with_land)
