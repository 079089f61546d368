"""Slopes and ratios of made-up figures."""

import pytest

from benchmarks import growth
from benchmarks.chain import STEPS


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 1.3])
def test_the_slope_is_the_power(power):
    sizes = [1, 2, 4, 8, 16]
    assert growth.slope(sizes, [3 * size**power for size in sizes]) == pytest.approx(power, abs=1e-9)


def test_slopes_are_by_step_and_of_all():
    sizes = {size: {name: {"cpu_s": 2.0 * size} for name in STEPS} for size in (1.0, 2.0, 4.0)}
    assert growth.slopes(sizes) == pytest.approx(dict.fromkeys([*STEPS, "all steps"], 1.0))


def test_ratios_are_by_step():
    large, small = {"split": {"peak_mb": 210.0}}, {"split": {"peak_mb": 200.0}, "mask": {"peak_mb": 1.0}}
    assert growth.ratios(large, small, "peak_mb") == {"split": pytest.approx(1.05)}
