"""Samples of a store, shard by shard."""

from __future__ import annotations

import numpy as np
import pytest

from lstfill.steps import shards
from lstfill.steps.shards import StoredShards


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_SAMPLES", 100)


def stored(prepared, part="train"):
    return StoredShards(prepared.at("samples"), part, prepared.array("samples", f"{part}_y").size)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_shards_hold_every_sample_once_and_in_order(prepared, small, part):
    source, whole = stored(prepared, part), prepared.values("samples")
    read = [source.read(number) for number in range(len(source))]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in read]), whole[f"{part}_x"])
    np.testing.assert_array_equal(np.concatenate([y for _, y in read]), whole[f"{part}_y"])
    cells = np.concatenate([source.cells(number) for number in range(len(source))])
    np.testing.assert_array_equal(cells, whole[f"{part}_cell"])


def test_sizes_are_those_of_the_shards_and_the_last_may_be_short(prepared, small):
    source = stored(prepared)
    assert [len(source.read(number)[1]) for number in range(len(source))] == source.sizes
    assert sum(source.sizes) == source.count
    assert set(source.sizes[:-1]) == {100}


def test_a_part_without_samples_has_no_shards(prepared):
    empty = StoredShards(prepared.at("samples"), "test", 0)
    assert (len(empty), empty.sizes) == (0, [])


def test_types_are_those_of_the_fit(prepared):
    x, y = stored(prepared).read(0)
    assert (x.dtype, y.dtype, x.ndim, y.ndim) == (np.float32, np.float32, 2, 1)
