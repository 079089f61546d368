"""What a date is predicted from."""

from dataclasses import replace

import numpy as np
import pytest

from lstfill.model.local.predictors import CLASSES, PATTERNS, Scene, related
from tests.model import tiles


@pytest.fixture(scope="module")
def made():
    return tiles.chunk(tiles.truth((9, 20, 24)), features=("t2m",))


def test_a_scene_holds_land_cells_side_by_side(made):
    land = np.ones(made.land.shape, bool)
    land[:5] = False
    scene = Scene.of(replace(made, land=land), robust=True)
    assert scene.seen.shape == (9, land.sum())
    np.testing.assert_array_equal(scene.seen, replace(made, land=land).visible()[:, land])
    np.testing.assert_array_equal(scene.position, np.argwhere(land))
    np.testing.assert_array_equal(np.isfinite(scene.anomaly), scene.seen)


def test_predictors_of_a_date_do_not_know_its_values(made):
    hidden = np.zeros(made.target.shape, bool)
    hidden[4, :8] = True
    scene = Scene.of(made.hiding(hidden), robust=False)
    moved = replace(scene, anomaly=np.where(np.arange(9)[:, None] == 4, scene.anomaly + 7, scene.anomaly))
    for one, other in zip(scene.predictors(4, 60), moved.predictors(4, 60), strict=True):
        np.testing.assert_array_equal(one, other)


def test_trees_see_the_other_dates_as_they_are(made):
    scene = Scene.of(made, robust=True)
    common, everything = scene.predictors(2, 60)
    others = np.delete(scene.anomaly, 2, axis=0).T
    np.testing.assert_array_equal(everything[:, : others.shape[1]], others)
    np.testing.assert_array_equal(everything[:, others.shape[1] :], common)
    assert common.shape[1] == PATTERNS + 3 + 1
    assert np.isfinite(common).all()


def test_covariates_are_amounts_or_classes(made):
    biome = np.arange(made.land.size).reshape(made.land.shape) % 3
    height = np.where(biome == 0, np.nan, 100.0).astype("float32")
    scene = Scene.of(replace(made, covariates={"biome": biome, "height": height}), robust=True)
    np.testing.assert_array_equal(scene.static[:, 3], biome.ravel() == 1)
    np.testing.assert_array_equal(scene.static[:, 4], biome.ravel() == 2)
    np.testing.assert_array_equal(scene.static[:, 5], 100.0)


def test_many_classes_keep_the_frequent_ones(made):
    many = np.arange(made.land.size).reshape(made.land.shape)
    scene = Scene.of(replace(made, covariates={"soil": many}), robust=True)
    assert scene.static.shape[1] == 3 + CLASSES - 1


def test_a_covariate_with_time_is_taken_of_the_date(made):
    snow = np.broadcast_to(np.arange(9.0)[:, None, None], made.target.shape)
    scene = Scene.of(replace(made, features={}, covariates={"snow": snow}), robust=True)
    common, _ = scene.predictors(6, 60)
    np.testing.assert_array_equal(common[:, -1], 6.0)


def anomalies(seed=0):
    rng = np.random.default_rng(seed)
    weather = rng.normal(size=(2, 400))
    date = np.array([weather[0], weather[0], weather[1], -weather[0], weather[1], weather[1]])
    return date + rng.normal(0, 0.3, date.shape)


def test_related_dates_go_together_or_against_each_other():
    values = anomalies()
    np.testing.assert_array_equal(related(values, np.ones(values.shape, bool), 0, 2), [1, 3])


def test_a_related_date_that_is_seen_in_the_gap_comes_first():
    values, seen = anomalies(), np.ones((6, 400), bool)
    seen[0, :200], seen[1, :200] = False, False
    np.testing.assert_array_equal(related(values, seen, 0, 1), [3])


def test_all_other_dates_where_there_are_few_but_not_those_that_show_nothing():
    values, seen = anomalies(), np.ones((6, 400), bool)
    seen[5] = False
    np.testing.assert_array_equal(related(values, seen, 2, 60), [0, 1, 3, 4])
