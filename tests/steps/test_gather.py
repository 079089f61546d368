"""What windows need is read once, ahead of them, and no more is held than is said."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lstfill.cube import Window
from lstfill.cube.parts import Axis, Layout, windows_of
from lstfill.steps import gather


def needs(windows, itemsize=4):
    """Windows of one chunk each, off the source's grid: each needs two parts, and shares one with the next."""
    one, lon = Axis(np.arange(1), 1), Axis(np.arange(1, 1 + 2 * windows), 2)
    layout = Layout("a", itemsize, {"time": one, "lat": one, "lon": lon})
    return [layout.parts(window) for window in windows_of(Window((0, 0, 0), (1, 1, 2 * windows)), (1, 1, 2))]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as threads:
        yield threads


def test_each_part_is_read_once_and_windows_get_theirs_in_order(pool):
    asked, due = [], needs(20)
    given = list(gather.gather(due, lambda part: asked.append(part) or part.chunk, pool))
    assert [list(parts) for parts in given] == due
    assert all(value == part.chunk for parts in given for part, value in parts.items())
    assert len(asked) == len(set(asked)) == 21


def test_parts_are_read_before_their_window_is_asked_for_and_only_a_few(pool):
    asked, due = [], needs(20)
    windows = gather.gather(due, asked.append, pool)
    next(windows)
    pool.shutdown(wait=True)
    assert set(asked) == {part for parts in due[: 1 + gather.AHEAD] for part in parts}


def test_large_parts_are_read_one_ahead(pool):
    asked, due = [], needs(20, itemsize=gather.AHEAD_BYTES)
    windows = gather.gather(due, asked.append, pool)
    next(windows)
    pool.shutdown(wait=True)
    assert set(asked) == {part for parts in due[:2] for part in parts}


def test_parts_are_dropped_after_their_last_window(pool):
    alive, most = set(), []

    class Value:
        def __init__(self, part):
            self.part = part
            alive.add(part)

        def __del__(self):
            alive.discard(self.part)

    for parts in gather.gather(needs(50), Value, pool):
        del parts
        most.append(len(alive))
    assert max(most) <= 2 + 1 + gather.AHEAD


def test_parts_are_read_side_by_side(pool):
    barrier = threading.Barrier(4)
    list(gather.gather(needs(7), lambda _: barrier.wait(timeout=30), pool))


def test_a_failure_reaches_the_reader(pool):
    def broken(part):
        raise ValueError(str(part.chunk))

    with pytest.raises(ValueError, match=r"\(0, 0, 0\)"):
        list(gather.gather(needs(3), broken, pool))


@pytest.mark.parametrize(("chunk_bytes", "threads"), [(2**20, 4), (30 * 2**20, 2), (51 * 2**20, 1), (2**30, 1)])
def test_large_chunks_are_read_by_fewer_threads(chunk_bytes, threads):
    assert gather.readers(needs(3, itemsize=chunk_bytes // 2)) == threads
