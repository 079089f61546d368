"""Land of a tile as rows and columns."""

from dataclasses import replace

import numpy as np
import pytest

from lstfill.model.local.cells import FEW_OF_CLASS, cells_of, complete
from tests.model import tiles


@pytest.fixture
def made():
    return tiles.chunk(tiles.truth((5, 8, 10)), features=("t2m",))


def test_values_are_those_of_land_in_order_of_rows(made):
    land = np.zeros((8, 10), bool)
    land[2:4, 3:7] = True
    cells = cells_of(replace(made, land=land))
    np.testing.assert_array_equal(cells.position[:5], [[2, 3], [2, 4], [2, 5], [2, 6], [3, 3]])
    np.testing.assert_array_equal(cells.values, made.target[:, land])
    np.testing.assert_array_equal(cells.seen, np.isfinite(made.target[:, land]))


def test_what_is_held_out_is_not_seen_and_has_no_value(made):
    hidden = np.zeros(made.shape, bool)
    hidden[1] = True
    cells = cells_of(made.hiding(hidden))
    assert not cells.seen[1].any()
    assert np.isnan(cells.values[1]).all()
    assert cells.seen[0].any()


def test_days_are_counted_from_1970(made):
    assert cells_of(made).day[0] == (np.datetime64("2008-01-01") - np.datetime64("1970-01-01")).astype(int)


def test_a_class_that_is_common_is_a_row_of_0_and_1_and_a_rare_one_none(made):
    classes = np.full((8, 10), 7, np.int16)
    classes[0] = 3
    classes[1:3, :] = 5
    cells = cells_of(replace(made, covariates={"cover": classes}))
    assert FEW_OF_CLASS == 20
    np.testing.assert_array_equal(cells.covariates, [classes.ravel() == 5, classes.ravel() == 7])


def test_an_amount_is_a_row_and_its_mean_stands_where_it_is_missing(made):
    height = np.arange(80, dtype=np.float32).reshape(8, 10)
    height[0, 0] = np.nan
    cells = cells_of(replace(made, covariates={"height": height}))
    assert cells.covariates.shape == (1, 80)
    assert cells.covariates[0, 0] == pytest.approx(np.nanmean(height))
    np.testing.assert_array_equal(cells.covariates[0, 1:], height.ravel()[1:])


def test_an_amount_that_changes_with_time_is_a_feature_and_a_class_is_taken_from_the_first_date(made):
    cover = np.repeat(np.array([[1], [2]]), 40, axis=1).reshape(8, 10)
    cells = cells_of(replace(made, covariates={"ndvi": made.features["t2m"], "cover": np.stack([cover] * 5)}))
    assert len(cells.features) == 2
    np.testing.assert_array_equal(cells.features[0], cells.features[1])
    np.testing.assert_array_equal(cells.covariates[0], cover.ravel() == 1)


def test_without_covariates_there_are_no_rows(made):
    assert cells_of(made).covariates.shape == (0, 80)


def test_complete_takes_the_mean_of_the_date_then_of_all():
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3, [6.0, 6.0, 6.0]])
    np.testing.assert_allclose(complete(values), [[1, 2, 3], [22 / 5] * 3, [6, 6, 6]])


def test_complete_of_nothing_is_zero():
    np.testing.assert_array_equal(complete(np.full((2, 3), np.nan)), np.zeros((2, 3)))
