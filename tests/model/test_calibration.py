import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.errors import DataError
from lstfill.model.calibration import measure_spread

LAT = np.array([-75.0, -75.0, 10.0, 10.0, 10.0, 75.0])
RESIDUAL = np.array([3.0, -4.0, 1.0, 1.0, np.nan, 2.0])


def test_root_mean_square_by_band_about_zero():
    spread = measure_spread([(RESIDUAL, LAT)], "validation")
    assert spread.std_k == pytest.approx((np.sqrt(12.5), None, None, 1.0, None, 2.0))
    assert spread.n == (2, 0, 0, 2, 0, 1)
    assert spread.overall_k == pytest.approx(np.sqrt((9 + 16 + 1 + 1 + 4) / 5))
    assert spread.source == "validation"


def test_a_bias_is_part_of_the_error():
    assert measure_spread([(np.full(10, 2.0), np.zeros(10))], "test").overall_k == pytest.approx(2.0)


@given(cut=st.integers(0, len(LAT)))
def test_pieces_add_up(cut):
    pieces = [(RESIDUAL[:cut], LAT[:cut]), (RESIDUAL[cut:], LAT[cut:])]
    whole = measure_spread([(RESIDUAL, LAT)], "test")
    parts = measure_spread(pieces, "test")
    assert parts.n == whole.n
    assert parts.overall_k == pytest.approx(whole.overall_k)


def test_the_poles_are_in_a_band():
    assert measure_spread([(np.ones(2), np.array([-90.0, 90.0]))], "test").n == (1, 0, 0, 0, 0, 1)


def test_single_precision_residuals_are_summed_in_double():
    residual = np.full(1_000_000, 3.1, np.float32)
    assert measure_spread([(residual, np.zeros(residual.size))], "test").overall_k == pytest.approx(3.1, rel=1e-6)


@pytest.mark.parametrize("residual", [np.array([]), np.array([np.nan])])
def test_nothing_to_measure_is_refused(residual):
    with pytest.raises(DataError, match="no residual of the validation part is finite"):
        measure_spread([(residual, np.zeros(residual.size))], "validation")
