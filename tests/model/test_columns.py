import dataclasses

import numpy as np
import pytest

from lstfill.errors import DataError
from lstfill.model import Card
from lstfill.model.columns import column, outside
from tests.model.views import view

CARD = dataclasses.replace(
    Card.of("linear", view(names=("t2m", "height")), {}),
    ranges={"t2m": (250.0, 310.0), "height": (0.0, 2000.0)},
    impute={"height": 800.0},
)
NAN = np.nan


def test_a_missing_feature_is_imputed_where_the_card_says_so():
    columns = {"t2m": np.array([280.0, NAN]), "height": np.array([NAN, 100.0])}
    t2m, t2m_missing = column(columns, "t2m", CARD)
    height, height_missing = column(columns, "height", CARD)
    np.testing.assert_array_equal(t2m, np.float32([280, NAN]))
    np.testing.assert_array_equal(height, np.float32([800, 100]))
    assert (t2m_missing.tolist(), height_missing.tolist()) == ([False, True], [True, False])
    assert t2m.dtype == np.float32


def test_infinite_is_missing():
    assert np.isnan(column({"t2m": np.array([np.inf])}, "t2m", CARD)[0]).all()


def test_a_column_that_is_not_there():
    with pytest.raises(DataError, match=r"'t2m' is missing, there is only \['tas'\].*trained on \['t2m', 'height'\]"):
        column({"tas": np.zeros(1)}, "t2m", CARD)


def test_outside_is_beyond_a_range_or_imputed_and_not_where_there_is_no_value():
    t2m = np.array([250.0, 249.9, 310.1, NAN, 280.0, NAN])
    height = np.array([0.0, 100.0, 100.0, 100.0, NAN, 9000.0])
    beyond = outside({"t2m": t2m, "height": height}, CARD, t2m.shape)
    assert beyond.tolist() == [False, True, True, False, True, False]


def test_without_features_nothing_is_outside():
    none = dataclasses.replace(CARD, features=())
    assert not outside({}, none, (2, 3)).any()
