import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.preprocess import Strata, Thinning, extract
from lstfill.preprocess import thinning as module
from lstfill.preprocess.thinning import quotas
from lstfill.split import draw
from tests.preprocess.cubes import BLOCK, SHAPE, chunks, whole

CUBE = whole()
STRATA = Strata.over(SHAPE, BLOCK)


def selected(max_samples, sizes=SHAPE, seed=0):
    thinning = Thinning(STRATA, max_samples, seed)
    for piece in chunks(CUBE, sizes):
        thinning.add(extract(piece, 0).cell)
    return thinning.selection()


def all_cells():
    (everything,) = chunks(CUBE, SHAPE)
    return extract(everything, 0).cell


def test_strata_number_the_blocks_in_c_order():
    index = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    assert STRATA.grid == (3, 3, 3)
    for t, y, x in [(0, 0, 0), (1, 3, 4), (2, 0, 0), (5, 9, 13), (3, 4, 5)]:
        block = (t // 2) * 9 + (y // 4) * 3 + x // 5
        assert STRATA.of(index[t, y, x][None])[0] == block
    assert len(np.unique(STRATA.of(index.ravel()))) == STRATA.count == 27


def test_tiny_blocks_are_joined_until_they_can_be_counted():
    strata = Strata.over((40, 2160, 4320), (1, 1, 1))
    assert strata.count <= 1 << 16
    assert strata.box[0] == strata.box[1] == strata.box[2] == 32


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(1, 900), st.integers(0, 3))
def test_quotas_add_up_exactly_and_are_as_even_as_the_strata_allow(counts, max_samples, seed):
    counts = np.array(counts)
    quota = quotas(counts, max_samples, seed)
    assert quota.sum() == min(max_samples, counts.sum())
    assert (quota <= counts).all()
    assert (quota >= 0).all()
    # Whoever could give more is at most one below the fullest.
    able = quota < counts
    if able.any():
        assert quota.max() - quota[able].min() <= 1


@pytest.mark.parametrize("max_samples", [1, 5, 27, 40, 63])
def test_exactly_max_samples_are_kept(max_samples):
    assert len(all_cells()) == 64
    assert selected(max_samples).keep(all_cells()).sum() == max_samples


def test_more_than_there_are_keeps_all():
    assert selected(10**6).keep(all_cells()).all()


def test_the_smallest_keys_of_each_stratum_are_kept_evenly():
    cells = all_cells()
    kept = cells[selected(45).keep(cells)]
    counts = np.bincount(STRATA.of(cells), minlength=27)
    share = np.bincount(STRATA.of(kept), minlength=27)
    able = share < counts
    assert share.max() - share[able].min() <= 1
    for stratum in range(27):
        here = cells[STRATA.of(cells) == stratum]
        by_key = here[np.argsort(draw.order_key(here, 0, "thinning"))]
        assert set(kept[STRATA.of(kept) == stratum]) == set(by_key[: share[stratum]])


@pytest.mark.parametrize("sizes", [(1, 10, 14), (6, 3, 4), (1, 1, 1)])
def test_chunks_and_forgetting_do_not_change_the_choice(sizes):
    """One cell a chunk makes the accumulator forget many times."""
    np.testing.assert_array_equal(selected(30, sizes).keep(all_cells()), selected(30).keep(all_cells()))


def test_memory_is_bounded_by_max_samples():
    thinning = Thinning(Strata((1, 1000, 1000), (1, 500, 500)), 500, 0)
    for start in range(0, 1_000_000, 10_000):
        thinning.add(np.arange(start, start + 10_000))
        assert sum(len(keys) for _, keys in thinning._seen) <= 2 * 500 + 2 * 4
    assert thinning.selection().quota.tolist() == [125] * 4


def test_seeds_choose_other_cells():
    assert not np.array_equal(selected(30, seed=0).keep(all_cells()), selected(30, seed=1).keep(all_cells()))


def test_nothing_seen_keeps_nothing():
    selection = Thinning(STRATA, 10, 0).selection()
    assert not selection.keep(np.arange(100)).any()


def test_extract_applies_the_selection():
    (everything,) = chunks(CUBE, SHAPE)
    selection = selected(40)
    samples, full = extract(everything, 0, selection=selection), extract(everything, 0)
    kept = selection.keep(full.cell)
    np.testing.assert_array_equal(samples.cell, full.cell[kept])
    np.testing.assert_array_equal(samples.x, full.x[kept])
    np.testing.assert_array_equal(samples.y, full.y[kept])


def test_choice_and_order_are_independent_draws():
    """If both used one key, the kept cells would all lie in the first shards."""
    assert module._STREAM != "sample-order"
    cells = np.arange(10_000)
    thinning = Thinning(Strata((1, 100, 100), (1, 100, 100)), 1000, 0)
    thinning.add(cells)
    kept = cells[thinning.selection().keep(cells)]
    position = draw.order_key(kept, 0, "sample-order") / 2.0**64
    assert abs(position.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 1000)
