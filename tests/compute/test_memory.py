import os
import subprocess
import sys

import pytest

ARENAS = """
import ctypes, threading, sys
from lstfill.compute import bound_arenas

if sys.argv[1] == "bound":
    bound_arenas()
together = threading.Barrier(8)

def work():
    together.wait()
    kept.append([bytes(1000) for _ in range(1000)])
    together.wait()

kept = []
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads], [t.join() for t in threads]
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library's heaps are those of glibc")
def test_threads_share_two_heaps():
    def heaps(mode):
        done = subprocess.run([sys.executable, "-c", ARENAS, mode], capture_output=True, text=True, check=True)
        return done.stderr.count("Arena")

    assert heaps("bound") <= 2 < heaps("free")


FAULTS = """
import resource, sys
import numpy as np
from lstfill.compute import bound_arenas

if sys.argv[1] == "bound":
    bound_arenas()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.zeros(1).copy(), np.ones(3_000_000, np.float32)
before = faults()
for _ in range(50):
    np.full(3_000_000, 1, np.float32)
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library's heaps are those of glibc")
def test_memory_of_a_chunk_serves_the_next_one_even_where_dask_has_it_given_back():
    def faults(mode):
        dask = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True, env=dask
        )
        return int(done.stdout)

    assert 4 * faults("bound") < faults("free")
