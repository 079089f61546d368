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
