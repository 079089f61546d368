"""A process of one step: nothing is lost, and nothing is looked through that stays anyway."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import atexit, gc, weakref

class Seen:
    def __init__(self, name):
        self.name, self.me = name, self

last = []
atexit.register(lambda: print("frozen", gc.get_freeze_count() > 1000))
from lstfill.steps import process
process.settle()
process.settle()
atexit.register(lambda: print("before", gc.get_freeze_count()))
weakref.finalize(Seen("young"), print, "collected")
for _ in range(2000):
    last.append([])
print("still young")
{fails}
"""


def output(fails=""):
    done = subprocess.run([sys.executable, "-c", CODE.format(fails=fails)], capture_output=True, text=True)
    return done.returncode, done.stdout.split("\n")[:-1]


def test_garbage_among_young_objects_goes_at_once_and_all_else_is_left_alone_at_the_end():
    assert output() == (0, ["collected", "still young", "before 0", "frozen True"])


def test_a_failure_ends_as_ever():
    status, said = output("raise SystemExit(3)")
    assert status == 3
    assert said[-1] == "frozen True"
