"""Samples of a store, shard by shard."""

from __future__ import annotations

import numpy as np
import pytest

from lstfill.preprocess import InMemoryShards
from lstfill.steps import shards
from lstfill.steps.shards import KeptShards, StoredShards


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


class TestKeptShards:
    def kept(self, directory):
        rows = np.arange(250, dtype="float32")
        source = Counted(InMemoryShards(np.stack([rows, -rows], axis=1), rows, 100, 3 * np.arange(250)))
        return source, KeptShards(source, directory)

    def test_the_store_is_asked_once_for_each_shard(self, tmp_path):
        source, kept = self.kept(tmp_path)
        first, *others = [[kept.read(number) for number in (2, 0, 1)] for _ in range(3)]
        assert source.asked == [2, 0, 1]
        for again in others:
            for (x, y), (x_again, y_again) in zip(first, again, strict=True):
                np.testing.assert_array_equal(x, x_again)
                np.testing.assert_array_equal(y, y_again)
                assert (x_again.dtype, y_again.dtype) == (x.dtype, y.dtype)

    def test_cells_are_asked_for_once_and_only_if_they_are_wanted(self, tmp_path):
        source, kept = self.kept(tmp_path)
        kept.read(1)
        assert source.asked == [1]
        for _ in range(2):
            np.testing.assert_array_equal(kept.cells(1), 3 * np.arange(100, 200))
        assert source.asked == [1, "cells of 1"]

    def test_sizes_are_those_of_the_source(self, tmp_path):
        source, kept = self.kept(tmp_path)
        assert (list(kept.sizes), len(kept)) == (list(source.sizes), 3)


class Counted:
    """A source that remembers what it was asked for."""

    def __init__(self, shards):
        self.sizes = shards.sizes
        self.asked = []
        self._shards = shards

    def __len__(self):
        return len(self._shards)

    def read(self, shard):
        self.asked.append(shard)
        return self._shards.read(shard)

    def cells(self, shard):
        self.asked.append(f"cells of {shard}")
        return self._shards.cells(shard)
