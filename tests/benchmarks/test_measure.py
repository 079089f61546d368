"""A measured process tells what it took: bounds here are wide, as machines are busy."""

import time

import numpy as np
import pytest

from benchmarks.measure import BenchError, Measured, measured, median_row

BURN_S = 0.5
HOLD_MB = 200


def burn(seconds):
    """Keeps the processor busy for so long, by its own clock."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return {"burnt": seconds}


def burn_in_a_child(seconds):
    """The same in a process of its own, which has ended when this returns."""
    import subprocess
    import sys

    code = f"import time\nwhile time.process_time() < {seconds}: pass"
    subprocess.run([sys.executable, "-S", "-c", code], check=True)


def hold(mb):
    """Takes so much memory and writes to it."""
    return int(np.ones(mb * 2**17).size)


def rest():
    """Nothing that needs a processor."""


def fail():
    raise ValueError("as it was told to")


def work(function):
    return f"{__name__}:{function.__name__}"


@pytest.mark.parametrize("function", [burn, burn_in_a_child])
def test_processor_time_counts_what_was_burnt_and_children(function):
    took = measured(work(function), {"seconds": BURN_S}).cpu_s
    assert BURN_S <= took < BURN_S + 1


def test_memory_is_the_largest_and_imports_are_in_it():
    resting, holding = measured(work(rest), {}), measured(work(hold), {"mb": HOLD_MB})
    assert holding.value == HOLD_MB * 2**17
    assert HOLD_MB * 0.9 < holding.peak_mb - resting.peak_mb < HOLD_MB * 1.5


def test_preloaded_modules_are_imports_and_not_work():
    took = measured(work(rest), {}, modules=["xarray", "no_such_module"])
    assert "xarray" in took.modules
    assert took.imports_cpu_s > took.cpu_s


def test_a_failure_shows_its_end():
    with pytest.raises(BenchError, match="as it was told to"):
        measured(work(fail), {})


def test_the_median_counts():
    runs = [Measured(wall_s=wall, cpu_s=1, peak_mb=2, imports_wall_s=3, imports_cpu_s=4) for wall in (9, 1, 2)]
    assert median_row(runs) == {"wall_s": 2, "cpu_s": 1, "peak_mb": 2, "imports_wall_s": 3, "imports_cpu_s": 4}


def test_work_that_takes_too_long_is_stopped():
    with pytest.raises(BenchError, match=r"test_measure:burn took more than 1 s"):
        measured("tests.benchmarks.test_measure:burn", {"seconds": 60}, timeout_s=1)
