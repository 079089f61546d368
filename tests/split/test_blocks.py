"""The split table against the naive expression: one part a cell, the same in every window, kept apart by the buffer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.config import Split
from lstfill.cube import Window, chunk_windows, column_windows
from lstfill.errors import DataError, StoreError
from lstfill.split import PARTS, Part, SplitTable, draw_blocks

WHOLE_GLOBE = (1840, 2160, 4320)
SHAPES = st.tuples(st.integers(1, 9), st.integers(4, 14), st.integers(4, 14))


def config(block=(2, 4, 5), buffer=(0, 0, 0), **other):
    names = ("time", "lat", "lon")
    return Split(
        block=dict(zip(names, block, strict=True)), buffer=dict(zip(names, buffer, strict=True)), balance=False, **other
    )


def whole(table):
    return table.part_in(Window((0, 0, 0), table.shape))


@st.composite
def tables(draw, kinds=("block", "random"), with_buffer=True):
    shape = draw(SHAPES)
    block = tuple(draw(st.integers(1, 4)) for _ in shape)
    kind = draw(st.sampled_from(kinds))
    buffer = tuple(draw(st.integers(0, b - 1)) if kind == "block" and with_buffer else 0 for b in block)
    split = config(block, buffer, kind=kind, seed=draw(st.integers(0, 2**40)))
    if int(np.prod([-(-n // b) for n, b in zip(shape, block, strict=True)])) < 3:
        block = (1, 1, 1)
        split = config(block, kind=kind, seed=split.seed)
    return draw_blocks(shape, split, periodic_lon=draw(st.booleans()))


@settings(max_examples=40, deadline=None)
@given(tables(), st.data())
def test_windows_and_chunks_do_not_matter(table, data):
    cells = whole(table)
    sizes = tuple(data.draw(st.integers(-(-n // 3), n)) for n in table.shape)
    for window in chunk_windows(table.shape, sizes) + column_windows(table.shape, sizes, 50):
        np.testing.assert_array_equal(table.part_in(window), cells[window.slices])


@settings(max_examples=60)
@given(tables())
def test_every_cell_has_one_part(table):
    cells = whole(table)
    assert cells.dtype == np.int8
    assert cells.shape == table.shape
    allowed = [*PARTS, Part.NONE] if any(table.buffer) else PARTS
    assert set(np.unique(cells)) <= {int(part) for part in allowed}


@settings(max_examples=60)
@given(tables(kinds=["block"], with_buffer=False))
def test_blocks_are_whole(table):
    cells = whole(table)
    assert table.whole_blocks
    for t, y, x in np.ndindex(*table.grid):
        b = table.block
        block = cells[t * b[0] : (t + 1) * b[0], y * b[1] : (y + 1) * b[1], x * b[2] : (x + 1) * b[2]]
        assert (block == table.parts[t, y, x]).all()


def with_buffer_naive(base, buffer, periodic):
    """The buffer cell by cell, from its definition."""
    expected = base.copy()
    steps = [range(-b, b + 1) for b in buffer]
    for cell in np.ndindex(*base.shape):
        for step in itertools.product(*steps):
            at = [c + s for c, s in zip(cell, step, strict=True)]
            if periodic:
                at[2] %= base.shape[2]
            inside = all(0 <= a < n for a, n in zip(at, base.shape, strict=True))
            if inside and base[tuple(at)] > base[cell]:
                expected[cell] = Part.NONE
    return expected


@settings(max_examples=40, deadline=None)
@given(tables(kinds=["block"]))
def test_buffer_is_the_definition_cell_by_cell(table):
    bare = draw_blocks(table.shape, config(table.block, seed=table.seed), periodic_lon=table.periodic_lon)
    expected = with_buffer_naive(whole(bare), table.buffer, table.periodic_lon)
    np.testing.assert_array_equal(whole(table), expected)


@pytest.mark.parametrize("periodic", [False, True])
def test_buffer_reaches_round_the_globe_only_where_it_closes(periodic):
    # Columns of blocks: test, train, train, train, the last of them 1 cell wide.
    parts = np.array([[[Part.TEST, Part.TRAIN, Part.TRAIN, Part.TRAIN]]], np.int8)
    table = SplitTable("block", (1, 1, 13), (1, 1, 4), (0.7, 0.1, 0.2), (0, 0, 2), 0, periodic, parts)
    seam = [Part.NONE, Part.NONE] if periodic else [Part.TRAIN, Part.TRAIN]
    expected = [Part.TEST] * 4 + [Part.NONE] * 2 + [Part.TRAIN] * 5 + seam
    assert whole(table)[0, 0].tolist() == expected
    assert not table.whole_blocks


@given(SHAPES, st.integers(0, 10**6))
def test_same_seed_same_split(shape, seed):
    one, other = (whole(draw_blocks(shape, config((1, 2, 2), seed=seed))) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["block", "random"])
def test_another_seed_is_another_split(kind):
    drawn = [whole(draw_blocks((10, 40, 40), config((5, 4, 4), kind=kind, seed=seed))) for seed in range(5)]
    for one, other in itertools.combinations(drawn, 2):
        # Independent draws of 0.7, 0.1, 0.2 agree in 54 % of cells.
        assert (one == other).mean() == pytest.approx(0.54, abs=0.15)


@given(st.integers(0, 10**9), st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)))
def test_shares_hold_up_to_a_block(seed, block):
    table = draw_blocks((12, 30, 31), config(block, seed=seed))
    cells = whole(table)
    for part, share in zip(PARTS, table.fractions, strict=True):
        # Half a block at each of the two cuts of a part.
        assert abs(np.count_nonzero(cells == part) - share * cells.size) <= np.prod(block) + 1e-6


@given(st.integers(0, 10**9))
def test_few_blocks_still_give_every_part_one(seed):
    table = draw_blocks((10, 30, 10), config((10, 10, 10), seed=seed))
    assert sorted(table.parts.ravel().tolist()) == [Part.TRAIN, Part.VALIDATION, Part.TEST]


def test_eighteen_blocks_reach_what_was_asked():
    # Independent draws of 18 blocks reach 0.51 to 1.00 where 0.8 is asked.
    split = config((10, 100, 100), fractions={"train": 0.8, "validation": 0.1, "test": 0.1})
    for seed in range(20):
        table = draw_blocks((10, 300, 600), split.model_copy(update={"seed": seed}))
        assert np.mean(table.parts == Part.TRAIN) == pytest.approx(0.8, abs=1 / 18)


@settings(max_examples=20)
@given(st.integers(0, 10**9))
def test_random_shares(seed):
    cells = whole(draw_blocks((10, 50, 40), config(kind="random", seed=seed)))
    for part, share in zip(PARTS, (0.7, 0.1, 0.2), strict=True):
        # 20000 independent draws: 6 standard deviations.
        assert np.mean(cells == part) == pytest.approx(share, abs=6 * np.sqrt(share * (1 - share) / 20_000))


def test_random_split_leaves_no_pattern_along_an_axis():
    test = whole(draw_blocks((20, 40, 50), config(kind="random"))) == Part.TEST
    for axis in range(3):
        neighbours = np.corrcoef(np.delete(test, 0, axis).ravel(), np.delete(test, -1, axis).ravel())[0, 1]
        assert abs(neighbours) < 6 / np.sqrt(test.size)


def test_drawn_parts_are_pinned_so_that_no_release_changes_a_split():
    table = draw_blocks((10, 8, 20), config((5, 4, 5), seed=42))
    assert table.parts.ravel().tolist() == [0, 1, 0, 0, 1, 0, 0, 0, 0, 2, 2, 0, 0, 2, 0, 0]
    cells = draw_blocks((1, 2, 8), config(kind="random", seed=42))
    assert whole(cells).ravel().tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 1]


def test_too_few_blocks_are_refused_with_the_numbers():
    message = (
        r"split: 2 blocks for 3 parts \(time 1 of 10 cells, lat 1 of 100 cells, lon 2 of 150 cells\): make split.block "
        r"smaller than \{'time': 10, 'lat': 100, 'lon': 100\}, or use split.kind random"
    )
    with pytest.raises(DataError, match=message):
        draw_blocks((10, 100, 150), Split())


@pytest.mark.parametrize("zarr_format", [2, 3])
@settings(max_examples=10, deadline=None)
@given(table=tables())
def test_stored_and_read_back(tmp_path_factory, zarr_format, table):
    import xarray as xr

    store = tmp_path_factory.mktemp("split") / "split.zarr"
    table.to_dataset().to_zarr(store, zarr_format=zarr_format, consolidated=False)
    with xr.open_zarr(store, consolidated=False, chunks=None) as ds:
        back = SplitTable.from_dataset(ds)
    assert_same(table, back)


def assert_same(table, back):
    for name in ("kind", "shape", "block", "fractions", "buffer", "seed", "periodic_lon", "report"):
        assert getattr(back, name) == getattr(table, name), name
    np.testing.assert_array_equal(whole(back), whole(table))
    assert (back.parts is None) == (table.parts is None)


@pytest.mark.parametrize("kind", ["block", "random"])
def test_integers_may_come_back_as_floats(kind):
    table = draw_blocks((4, 8, 10), config(kind=kind, seed=3))
    ds = table.to_dataset()
    for name in ("shape", "block", "buffer"):
        ds.attrs[name] = [float(value) for value in ds.attrs[name]]
    ds.attrs |= {"seed": 3.0, "periodic_lon": 0.0}
    back = SplitTable.from_dataset(ds.astype(np.float64))
    assert_same(table, back)
    assert isinstance(back.shape[0], int)


def test_stored_table_is_readable_without_this_package():
    ds = draw_blocks((4, 8, 10), config()).to_dataset()
    assert ds["part"].dims == ("time_block", "lat_block", "lon_block")
    assert ds["part"].dtype == np.int8
    assert ds["part"].attrs["flag_meanings"] == "train validation test none"


def test_a_foreign_dataset_is_refused():
    ds = draw_blocks((4, 8, 10), config()).to_dataset()
    del ds.attrs["seed"], ds.attrs["block"]
    with pytest.raises(
        StoreError, match=r"not a split: attributes \['block', 'seed'\] are missing; run the step split"
    ):
        SplitTable.from_dataset(ds)


def test_forty_years_of_the_globe_are_a_small_table():
    table = draw_blocks(WHOLE_GLOBE, Split(buffer={"lat": 10, "lon": 10}), periodic_lon=True)
    assert table.parts.nbytes == 184 * 22 * 44
    window = Window((1830, 2060, 4220), (1840, 2160, 4320))
    assert table.part_in(window).shape == (10, 100, 100)
