import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.cube.geometry import LATITUDE_BANDS_DEG, latitude_band
from lstfill.model import Spread

EDGES = tuple(float(edge) for edge in LATITUDE_BANDS_DEG)
SPREAD = Spread(EDGES, (None, 5.0, 4.0, 3.0, 2.0, 1.0), (0, 29, 30, 500, 600, 700), 2.5, "held_out_gaps")


@pytest.mark.parametrize(
    ("lat", "expected"),
    [
        (-90.0, 2.5),  # no residuals
        (-45.0, 2.5),  # 29 residuals are too few
        (-30.0, 4.0),  # a band holds its lower edge
        (-0.01, 4.0),
        (0.0, 3.0),
        (59.9, 2.0),
        (90.0, 1.0),  # the pole belongs to the last band
    ],
)
def test_each_latitude_has_the_deviation_of_its_band(lat, expected):
    assert SPREAD.for_lat(np.array([lat]))[0] == expected


@given(st.lists(st.floats(-90, 90), min_size=1, max_size=20))
def test_bands_are_those_that_the_scores_are_grouped_by(lats):
    known = [2.5, 2.5, 4.0, 3.0, 2.0, 1.0]
    assert SPREAD.for_lat(np.array(lats)).tolist() == [known[band] for band in latitude_band(lats)]


def test_order_of_latitudes_is_kept_in_either_direction():
    lat = np.linspace(90, -90, 19)
    np.testing.assert_array_equal(SPREAD.for_lat(lat), SPREAD.for_lat(lat[::-1])[::-1])


def test_json_round_trip():
    assert Spread.from_dict(json.loads(json.dumps(SPREAD.to_dict(), allow_nan=False))) == SPREAD


def test_reads_the_spread_of_an_evaluation():
    evaluation = {"edges_deg": [-90, 0, 90], "std_k": [2, None], "n": [40, 0], "overall_k": 3, "source": "test"}
    assert Spread.from_dict(evaluation).for_lat(np.array([-1.0, 1.0])).tolist() == [2.0, 3.0]
