import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from lstfill.compute.termination import EXIT_STATUS, sigterm_raised

TWICE = """
import os, signal, sys, time
from lstfill.compute.termination import sigterm_raised

with sigterm_raised():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
        sys.stdout.write("closed")
"""


@pytest.fixture(autouse=True)
def untouched():
    before = signal.getsignal(signal.SIGTERM)
    yield
    assert signal.getsignal(signal.SIGTERM) == before


def ended(closed):
    with sigterm_raised(), contextlib.ExitStack() as stack:
        stack.callback(closed.append, True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        pytest.fail("SIGTERM changed nothing")


def test_sigterm_runs_what_closes():
    closed = []
    with pytest.raises(SystemExit) as ending:
        ended(closed)
    assert closed == [True]
    assert ending.value.code == EXIT_STATUS == 143


def test_a_second_sigterm_does_not_break_off_the_closing():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (143, "closed")


def test_after_it_sigterm_means_what_it_meant():
    with sigterm_raised():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_the_caller_stays():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with sigterm_raised():
            os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_are_left_alone():
    seen = []

    def work():
        with sigterm_raised():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
