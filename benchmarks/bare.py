"""Bounds: the same bytes through Zarr and nothing else, the same line by streamed least squares.

Everything here runs in a measured process and returns plain values.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cubes import DOCUMENTS, FEATURE, LAND, TARGET, regions
from benchmarks.scores import Moments, truth_errors


class Clock:
    """Adds up what pieces of work take, by name."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}

    @contextmanager
    def running(self, name: str, size: int) -> Iterator[None]:
        """Counts the body's wall and processor time, and ``size`` bytes or cells, for ``name``."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        row = self.rows.setdefault(name, {"wall_s": 0.0, "cpu_s": 0.0, "size": 0})
        row["wall_s"] += time.perf_counter() - wall
        row["cpu_s"] += time.process_time() - cpu
        row["size"] += size


def traffic(source: str, cube: str, filled: str, scratch: str) -> dict[str, dict[str, float]]:
    """Reads and writes what ingest and predict do, chunk by chunk, in the same codecs, without anything else.

    Args:
        source: the source cube, on disk.
        cube: the work cube.
        filled: the filled cube.
        scratch: an empty directory for what is written; it is emptied again.

    Returns:
        For ``read source``, ``write cube``, ``read cube``, ``write filled``: wall, processor time, bytes.
    """
    clock = Clock()
    _pass(clock, Path(source), "source", None, (TARGET, FEATURE))
    _pass(clock, Path(cube), "cube", Path(scratch))
    _pass(clock, Path(filled), "filled", Path(scratch))
    del clock.rows["read filled"]  # read to have something to write
    return clock.rows


def _pass(clock: Clock, store: Path, label: str, scratch: Path | None, names: Sequence[str] = ()) -> None:
    """Reads a store, and writes what was read where a directory for it is given."""
    import zarr

    copy = None if scratch is None else described_like(store, scratch / store.name)
    group: Any = zarr.open_group(store, mode="r")
    for name in names or sorted(group.array_keys()):
        array = group[name]
        target = None if copy is None else copy[name]
        for region in regions(array):
            size = int(np.prod([part.stop - part.start for part in region])) * int(array.dtype.itemsize)
            with clock.running(f"read {label}", size):
                values = array[region]
            if target is not None:
                with clock.running(f"write {label}", size):
                    target[region] = values
    if scratch is not None:
        shutil.rmtree(scratch / store.name)


def described_like(store: Path, place: Path) -> Any:
    """A store with the description of another, and none of its values."""
    import zarr

    def values(at: str, names: list[str]) -> list[str]:
        return [name for name in names if name == "c" or not (name in DOCUMENTS or (Path(at) / name).is_dir())]

    shutil.copytree(store, place, ignore=values)
    return zarr.open_group(place, mode="r+", use_consolidated=False)


def floor(cube: str, truth: str) -> dict[str, Any]:
    """Fits the line to all observed land cells by streamed normal equations, and fills and scores the gaps of land.

    The least that the job can cost in NumPy and Zarr: no split, no samples, no store, no record.

    Args:
        cube: the source cube, on disk.
        truth: what lies behind its gaps.

    Returns:
        The line, its scores, and what ``fit`` and ``fill`` took.
    """
    import zarr

    clock, moments = Clock(), Moments()
    source: Any = zarr.open_group(cube, mode="r")
    land: NDArray[np.bool_] = np.asarray(zarr.open_group(truth, mode="r")[LAND], bool)
    for region in regions(source[TARGET]):
        with clock.running("fit", 1):
            target, feature = source[TARGET][region], source[FEATURE][region]
            chosen = np.isfinite(target) & land[region[1:]]
            moments.add(feature[chosen], target[chosen])
    line = moments.line()
    with clock.running("fill", 1):
        scores = truth_errors(cube, truth, lambda region, _: line(source[FEATURE][region]))
    return {"line": line.to_dict(), "scores": scores, **clock.rows}
