import operator
import os
import sys
import threading
import time

import pytest

from lstfill import compute
from lstfill.compute import kinds
from lstfill.config import Cluster, build
from lstfill.errors import DataError, LstfillError


def square(number):
    return number * number


def refuse_seven(number):
    if number == 7:
        raise DataError("item", [f"{number} is not wanted"])
    return number


def pid_of(_):
    time.sleep(0.05)
    return os.getpid()


def test_threads_keep_the_order_of_the_items():
    def slow_first(number):
        time.sleep(0.05 if number == 0 else 0)
        return number

    with compute.cluster(Cluster(workers=4)) as engine:
        assert list(engine.map(slow_first, range(20))) == list(range(20))


@pytest.mark.parametrize("workers", [1, 3])
def test_only_a_few_items_are_in_flight(workers):
    taken = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    with compute.cluster(Cluster(workers=workers)) as engine:
        results = engine.map(square, items())
        next(results)
        assert len(taken) <= compute.IN_FLIGHT_PER_WORKER * workers
        assert list(results) == [n * n for n in range(1, 50)]


def test_threads_work_side_by_side():
    meeting = threading.Barrier(2, timeout=10)

    with compute.cluster(Cluster(workers=2)) as engine:
        assert len(list(engine.map(lambda _: meeting.wait(), range(2)))) == 2


def test_a_failure_surfaces_as_it_was_raised_and_stops_the_rest():
    done = []

    def work(number):
        done.append(refuse_seven(number))

    with compute.cluster(Cluster(workers=1)) as engine, pytest.raises(DataError, match="item: 7 is not wanted"):
        list(engine.map(work, range(1000)))
    assert max(done) < 12


def test_no_items_no_results():
    with compute.cluster(Cluster()) as engine:
        assert list(engine.map(square, [])) == []


def test_local_processes_give_what_threads_give():
    with compute.cluster(build(Cluster, {"kind": "local", "workers": 2})) as engine:
        assert list(engine.map(square, range(10))) == [n * n for n in range(10)]
        pids = set(engine.map(pid_of, range(8)))
        with pytest.raises(DataError, match="7 is not wanted"):
            list(engine.map(refuse_seven, range(10)))
    assert os.getpid() not in pids
    assert len(pids) == 2
    time.sleep(0.5)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_scheduler_is_joined_by_its_address():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, processes=False, protocol="tcp://", dashboard_address=None, host="127.0.0.1"
    ) as running:
        config = build(Cluster, {"kind": "scheduler", "address": running.scheduler_address})
        with compute.cluster(config) as engine:
            assert list(engine.map(operator.neg, range(3))) == [0, -1, -2]


def test_a_dead_scheduler_is_named(monkeypatch):
    monkeypatch.setattr(kinds, "CONNECT_TIMEOUT_S", 1)
    config = build(Cluster, {"kind": "scheduler", "address": "tcp://127.0.0.1:9"})
    with (
        pytest.raises(LstfillError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        compute.cluster(config),
    ):
        pass


def test_pods_need_a_package_and_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "lstfill.compute.kubernetes", None)
    with (
        pytest.raises(LstfillError, match=r"'kubernetes' needs a package .*pip install 'lstfill\[kubernetes\]'"),
        compute.cluster(build(Cluster, {"kind": "kubernetes"})),
    ):
        pass
