"""The engine of Dask: what tasks have in common travels once a worker, whoever joins and whenever."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pytest
from distributed import Client, LocalCluster

from lstfill.compute import sharing
from lstfill.compute.sharing import MOST_ITEMS, TASK_S, engine_of
from lstfill.cube import Window

LARGE = np.arange(200_000)
FEW_KB = 2_000


@pytest.fixture
def cluster():
    options = {"protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **options) as running:
        yield running


@pytest.fixture
def client(cluster):
    with Client(cluster) as joined:
        yield joined


def length_of(values, item):
    return values.size + item.start[0]


def windows(count):
    return [Window((number, 0, 0), (number + 1, 9, 9)) for number in range(count)]


def test_a_task_is_small_whatever_the_function_holds(client, monkeypatch):
    sizes, submit = [], client.submit

    def weighed(*task, **options):
        sizes.append(len(pickle.dumps(task)))
        return submit(*task, **options)

    monkeypatch.setattr(client, "submit", weighed)
    found = list(engine_of(client).map(functools.partial(length_of, LARGE), windows(12)))
    assert found == [LARGE.size + number for number in range(12)]
    assert 0 < len(sizes) <= 12
    assert max(sizes) < FEW_KB < LARGE.nbytes


def test_a_worker_that_joins_later_works_too(cluster, client):
    results = engine_of(client).map(functools.partial(length_of, LARGE), windows(40))
    next(results)
    first = set(client.nthreads())
    cluster.scale(2)
    client.wait_for_workers(2, timeout=20)
    client.retire_workers(list(first))
    assert list(results) == [LARGE.size + number for number in range(1, 40)]


def test_maps_side_by_side_do_not_mix_and_nothing_stays_behind(cluster, client):
    engine = engine_of(client)
    one, other = (engine.map(functools.partial(length_of, LARGE[:size]), windows(5)) for size in (10, 20))
    assert list(zip(one, other, strict=True)) == [(10 + n, 20 + n) for n in range(5)]
    left = [name for worker in cluster.workers.values() for name in worker.plugins if name.startswith("lstfill")]
    assert left == []


def test_a_failure_leaves_nothing_behind(cluster, client):
    with pytest.raises(AttributeError):
        list(engine_of(client).map(functools.partial(length_of, LARGE), ["no window"]))
    assert not any(name.startswith("lstfill") for worker in cluster.workers.values() for name in worker.plugins)


@pytest.mark.parametrize(
    ("seconds", "items"),
    [(1.0, 1), (TASK_S, 1), (TASK_S / 4, 4), (0.0, MOST_ITEMS)],
    ids=["long", "as-wanted", "short", "none"],
)
def test_a_task_has_as_many_items_as_are_worth_its_scheduling(client, monkeypatch, seconds, items):
    monkeypatch.setattr(sharing, "_call", functools.partial(called, seconds))
    tasks, submit = [], client.submit

    def noted(function, name, task, **options):
        tasks.append(len(task))
        return submit(function, name, task, **options)

    monkeypatch.setattr(client, "submit", noted)
    assert list(engine_of(client).map(length_of, range(100))) == list(range(100))
    assert sum(tasks) == 100
    assert tasks[0] == 1
    assert set(tasks[3:-1]) == {items}


def called(seconds, name, task):
    return list(task), seconds * len(task)
