"""Chunks: what may be seen of the target, and where the features are complete."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstfill.cube import Chunk, Window

SHAPE = (2, 3, 4)


def chunk(**changes):
    values = np.arange(24, dtype=np.float32).reshape(SHAPE) + 280
    base = Chunk(
        window=Window((0, 0, 0), SHAPE),
        shape=SHAPE,
        time=np.array(["2008-01-01", "2008-01-09"], "datetime64[ns]"),
        lat=np.array([10.0, 0.0, -10.0]),
        lon=np.array([0.0, 1.0, 2.0, 3.0]),
        target=values,
        features={"a": values - 5, "b": values + 5},
        land=np.ones(SHAPE[1:], bool),
    )
    return dataclasses.replace(base, **changes)


def test_all_is_visible_on_land_without_gaps():
    assert chunk().visible().all()
    assert chunk().visible().dtype == bool


def test_gaps_are_not_visible():
    target = chunk().target.copy()
    target[1, 2, 3], target[0, 0, 0] = np.nan, np.inf
    expected = np.ones(SHAPE, bool)
    expected[1, 2, 3] = expected[0, 0, 0] = False
    np.testing.assert_array_equal(chunk(target=target).visible(), expected)


def test_values_off_the_mask_are_not_visible_on_any_date():
    land = np.ones(SHAPE[1:], bool)
    land[1, 1] = False
    visible = chunk(land=land).visible()
    assert not visible[:, 1, 1].any()
    assert visible.sum() == 24 - 2


@given(hnp.arrays(bool, SHAPE), hnp.arrays(bool, SHAPE), hnp.arrays(bool, SHAPE[1:]))
def test_what_is_held_out_is_never_visible(held_out, gap, land):
    target = np.where(gap, np.nan, chunk().target)
    expected = [
        [[not gap[t, y, x] and not held_out[t, y, x] and land[y, x] for x in range(4)] for y in range(3)]
        for t in range(2)
    ]
    np.testing.assert_array_equal(chunk(target=target, held_out=held_out, land=land).visible(), expected)


@given(st.sets(st.tuples(st.sampled_from("ab"), st.integers(0, 23))))
def test_features_are_complete_where_none_is_missing(missing):
    features = {name: values.copy() for name, values in chunk().features.items()}
    expected = np.ones(24, bool)
    for name, cell in missing:
        features[name].flat[cell] = np.nan
        expected[cell] = False
    np.testing.assert_array_equal(chunk(features=features).features_complete().ravel(), expected)


def test_without_features_every_cell_is_complete():
    assert chunk(features={}).features_complete().all()


def test_a_chunk_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        chunk().land = np.zeros(SHAPE[1:], bool)
