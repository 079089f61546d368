"""What the trees are shown: each column against a plain look at the tile."""

from dataclasses import replace

import numpy as np
import pytest

from lstfill.model.boosting.guess import first_guess
from lstfill.model.boosting.predictors import RELATED, Predictors, names
from lstfill.modelconfig import Harmonic
from tests.model import tiles

DATE = 5


@pytest.fixture(scope="module")
def made():
    chunk = tiles.chunk(tiles.truth((12, 16, 18)), missing=0.5, features=("t2m",))
    covariates = {"elevation": np.arange(16 * 18.0).reshape(16, 18), "snow": np.where(chunk.target > 280, 1, 0)}
    chunk = replace(chunk, covariates=covariates)
    guess = first_guess(chunk, Harmonic(), ("t2m",))
    wanted = ~chunk.visible()[DATE]
    shown = Predictors(chunk, guess, ("t2m",), ("elevation", "snow"))
    table = dict(zip(shown.names, shown.at(DATE, wanted).T, strict=True))
    return chunk, guess, wanted, table


def test_names_and_columns_agree(made):
    *_, wanted, table = made
    assert list(table) == names(("t2m",), ("elevation", "snow"))
    assert len(set(table)) == len(names(("t2m",), ("elevation", "snow")))
    assert all(of.shape == (wanted.sum(),) for of in table.values())
    assert next(iter(table.values())).dtype == np.float32


def test_features_covariates_and_place_are_those_of_the_cell(made):
    chunk, _, wanted, table = made
    rows, columns = np.nonzero(wanted)
    np.testing.assert_array_equal(table["t2m"], chunk.features["t2m"][DATE][wanted])
    np.testing.assert_array_equal(table["elevation"], chunk.covariates["elevation"][wanted])
    np.testing.assert_array_equal(table["snow"], chunk.covariates["snow"][DATE][wanted])
    np.testing.assert_allclose(table["lat"], chunk.lat[rows], rtol=1e-6)
    np.testing.assert_allclose(table["lon_cos"], np.cos(np.radians(chunk.lon[columns])), rtol=1e-6)


def test_before_and_after_are_the_nearest_visible_dates_of_the_cell(made):
    chunk, guess, wanted, table = made
    visible, days = chunk.visible(), (chunk.time - chunk.time[0]) / np.timedelta64(1, "D")
    for number, (y, x) in enumerate(np.argwhere(wanted)):
        for name, dates in (("before", range(DATE - 1, -1, -1)), ("after", range(DATE + 1, len(days)))):
            found = next((date for date in dates if visible[date, y, x]), None)
            expected = (
                (np.nan, np.nan) if found is None else (guess.anomaly[found, y, x], abs(days[found] - days[DATE]))
            )
            np.testing.assert_allclose([table[name][number], table[f"{name}_days"][number]], expected, rtol=1e-5)


def test_related_dates_are_visible_ones_the_most_alike_first(made):
    chunk, guess, wanted, table = made
    visible, likeness = chunk.visible(), guess.likeness[DATE]
    for number, (y, x) in enumerate(np.argwhere(wanted)):
        there = [date for date in range(len(visible)) if date != DATE and visible[date, y, x]]
        there.sort(key=lambda date: -abs(likeness[date]))
        for k in range(RELATED):
            got = [table[f"related_{k}"][number], table[f"likeness_{k}"][number]]
            if k >= len(there):
                assert np.isnan(got).all()
                continue
            other = there[k]
            scale = np.sign(likeness[other]) * guess.deviation[DATE] / guess.deviation[other]
            np.testing.assert_allclose(got, [guess.anomaly[other, y, x] * scale, abs(likeness[other])], rtol=1e-4)


def test_distance_counts_cells_and_diagonals_alike(made):
    chunk, _, wanted, table = made
    seen = np.argwhere(chunk.visible()[DATE])
    expected = [np.abs(seen - cell).max(axis=1).min() for cell in np.argwhere(wanted)]
    np.testing.assert_array_equal(table["distance"], expected)


def test_a_date_without_a_visible_value_has_no_distance(made):
    chunk, *_ = made
    blind = np.zeros(chunk.shape, bool)
    blind[DATE] = True
    shown = chunk.hiding(blind)
    predictors = Predictors(shown, first_guess(shown, Harmonic(), ()), (), ())
    table = dict(zip(predictors.names, predictors.at(DATE, chunk.land).T, strict=True))
    assert np.isnan(table["distance"]).all()
    assert np.isfinite(table["others"]).all()
