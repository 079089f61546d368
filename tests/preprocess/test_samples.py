import dataclasses

import numpy as np
import pytest

from lstfill.preprocess import extract, extract_all, usable
from tests.preprocess.cubes import FEATURES, SHAPE, chunks, whole

CUBE = whole()
(WHOLE,) = chunks(CUBE, SHAPE)


def naive_usable(cube, complete=True):
    """Cell by cell, as one would say it."""
    found = np.zeros(SHAPE, bool)
    for t, y, x in np.ndindex(SHAPE):
        found[t, y, x] = (
            bool(cube["land"][y, x]) and np.isfinite(cube["target"][t, y, x]) and not cube["held_out"][t, y, x]
        )
        if complete:
            found[t, y, x] &= all(np.isfinite(cube[name][t, y, x]) for name in FEATURES)
    return found


def test_usable_is_land_observed_visible_and_complete():
    np.testing.assert_array_equal(usable(WHOLE), naive_usable(CUBE))


@pytest.mark.parametrize("missing", ["mean", "constant"])
def test_imputing_asks_no_feature_but_always_the_target(missing):
    np.testing.assert_array_equal(usable(WHOLE, missing), naive_usable(CUBE, complete=False))


def test_sea_with_values_is_never_a_sample():
    """The peer kept 9600 of 9600 samples where its mask allowed 4800."""
    sea = dataclasses.replace(WHOLE, land=np.zeros_like(WHOLE.land))
    assert len(extract(sea, 0)) == 0


def test_held_out_values_are_never_a_sample():
    marked = dataclasses.replace(WHOLE, target=np.where(CUBE["held_out"], np.float32(9999), CUBE["target"]))
    assert (marked.target == 9999).sum() > 50
    for part in range(3):
        assert not (extract(marked, part).y == 9999).any()
        np.testing.assert_array_equal(extract(marked, part).y, extract(WHOLE, part).y)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_extract_takes_the_rows_of_one_part(part):
    chosen = naive_usable(CUBE) & (CUBE["part"] == part)
    samples = extract(WHOLE, part)
    np.testing.assert_array_equal(samples.cell, np.flatnonzero(chosen))
    np.testing.assert_array_equal(samples.y, CUBE["target"][chosen])
    np.testing.assert_array_equal(samples.x, np.stack([CUBE["t2m"][chosen], CUBE["height"][chosen]], axis=1))
    assert (samples.x.dtype, samples.y.dtype, samples.cell.dtype) == (np.float32, np.float32, np.int64)


@pytest.mark.parametrize("sizes", [(1, 10, 14), (6, 3, 4), (2, 7, 14), (1, 1, 1)])
def test_chunks_do_not_change_the_samples(sizes):
    pieces = [extract(piece, 0) for piece in chunks(CUBE, sizes)]
    cell = np.concatenate([piece.cell for piece in pieces])
    order = np.argsort(cell)
    expected = extract(WHOLE, 0)
    np.testing.assert_array_equal(cell[order], expected.cell)
    np.testing.assert_array_equal(np.concatenate([piece.x for piece in pieces])[order], expected.x)
    np.testing.assert_array_equal(np.concatenate([piece.y for piece in pieces])[order], expected.y)


def test_features_to_impute_stay_missing_in_the_samples():
    samples = extract(WHOLE, 0, "mean")
    chosen = naive_usable(CUBE, complete=False) & (CUBE["part"] == 0)
    assert np.isnan(samples.x[:, 0]).sum() == np.isnan(CUBE["t2m"][chosen]).sum() > 0
    # An infinite feature is as missing as a NaN.
    assert np.isnan(samples.x[:, 1]).sum() == np.isinf(CUBE["height"][chosen]).sum() > 0
    assert np.isfinite(samples.y).all()


@pytest.mark.parametrize("missing", ["drop", "mean"])
@pytest.mark.parametrize("sizes", [SHAPE, (2, 7, 5)])
def test_all_parts_at_once_are_those_one_by_one(missing, sizes):
    for piece in chunks(CUBE, sizes):
        samples, part_of = extract_all(piece, missing)
        assert (np.diff(samples.cell) > 0).all()
        assert set(part_of.tolist()) <= {0, 1, 2}
        for part in range(3):
            expected, found = extract(piece, part, missing), samples.take(np.flatnonzero(part_of == part))
            for name in ("x", "y", "cell"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_extracting_leaves_the_chunk_alone():
    before = {name: values.copy() for name, values in WHOLE.features.items()}
    extract_all(WHOLE, "mean")
    for name, values in before.items():
        np.testing.assert_array_equal(WHOLE.features[name], values)


def test_a_chunk_without_parts_is_a_programming_error():
    with pytest.raises(ValueError, match="has no parts: draw a split first"):
        extract(dataclasses.replace(WHOLE, part=None), 0)


def test_take_reorders_all_columns_alike():
    samples = extract(WHOLE, 0)
    rows = np.array([5, 0, 3])
    taken = samples.take(rows)
    assert len(taken) == 3
    np.testing.assert_array_equal(taken.cell, samples.cell[rows])
    np.testing.assert_array_equal(taken.x, samples.x[rows])
    np.testing.assert_array_equal(taken.y, samples.y[rows])
