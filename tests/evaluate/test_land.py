"""Land cells side by side against boolean indexing."""

from __future__ import annotations

import dataclasses

import numpy as np

from lstfill.evaluate.land import LandCells
from tests.evaluate.test_baselines import cube


def test_cells_are_those_of_a_boolean_index_in_its_order():
    chunk = cube()
    land = LandCells.of(chunk)
    for name in ("target", "part", "held_out"):
        np.testing.assert_array_equal(getattr(land.chunk, name)[..., 0], getattr(chunk, name)[:, chunk.land])
    (feature,) = chunk.features
    np.testing.assert_array_equal(land.chunk.features[feature][..., 0], chunk.features[feature][:, chunk.land])
    np.testing.assert_array_equal(land.chunk.lat, np.repeat(chunk.lat, chunk.land.sum(axis=1)))
    assert chunk.land[land.rows, land.columns].all()
    assert len(land.rows) == chunk.land.sum()


def test_all_of_them_are_land_and_have_no_longitude():
    land = LandCells.of(cube()).chunk
    assert land.land.all()
    assert land.land.shape == land.target.shape[1:] == (len(land.lat), len(land.lon))
    assert np.isnan(land.lon).all()


def test_some_of_them_keep_their_place():
    land, place = LandCells.of(cube(1)), np.array([0, 3, 7])
    some = land.take(place)
    np.testing.assert_array_equal(some.chunk.target, land.chunk.target[:, place])
    np.testing.assert_array_equal(some.chunk.lat, land.chunk.lat[place])
    np.testing.assert_array_equal((some.rows, some.columns), (land.rows[place], land.columns[place]))


def test_a_window_of_sea_has_none():
    chunk = cube()
    sea = LandCells.of(dataclasses.replace(chunk, land=np.zeros_like(chunk.land)))
    assert sea.chunk.target.shape == (len(chunk.time), 0, 1)
