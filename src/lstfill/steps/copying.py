"""Copies a source into a work cube: each chunk of the source read once, while others are decoded and written."""

from __future__ import annotations

import functools
import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstfill.config import Source
from lstfill.cube import DIMS, Recipe, Window, assert_source, normalise, positions, select
from lstfill.cube.further import flattened
from lstfill.cube.parts import Axis, Layout, Part, Triple, join, regions, windows_of
from lstfill.steps.gather import gather, readers
from lstfill.storage import stores

if TYPE_CHECKING:
    import xarray as xr

HELD_BYTES = 128 * 2**20
"""Bound on what a task holds of the source's chunks for windows to come, in bytes as the work cube has them."""
TASK_WINDOWS = 16
"""Windows of a task, or more where a region has more: enough to read ahead of, few enough for workers to share."""
FINISHING = 2
"""Windows of a task that are digested and written while the next ones are read."""
FINISHING_BYTES = 64 * 2**20
"""Bound on their values, in bytes; one window alone may be larger."""


@dataclass(frozen=True)
class Opened:
    """The source without further dimensions, the cube it becomes, both lazy, and how to get from one to the other."""

    ds: xr.Dataset
    cube: xr.Dataset
    recipes: dict[str, Recipe]
    layouts: dict[str, Layout]


@dataclass(frozen=True)
class Copied:
    """What a task found: digests by window, values out of range, observed values."""

    digests: dict[Triple, str]
    out_of_range: int
    observed: int


@dataclass(frozen=True)
class Copy:
    """What is copied where; picklable, and light.

    Attributes:
        source: the configuration as JSON.
        run: a text of this run alone: between two runs the source may have been written anew, and a process may live
            longer than a run.
        output: address of the work cube.
        chunks: its chunk sizes ``(time, lat, lon)``.
        target: the variable whose values are counted.
    """

    source: str
    run: str
    output: str
    chunks: Triple
    target: str

    def tasks(self) -> list[list[Window]]:
        """Regions of the work cube, neighbours together, that can be copied side by side."""
        layouts = list(opened(self.source, self.run).layouts.values())
        tasks: list[list[Window]] = []
        room = 0
        for region in regions(self.chunks, layouts, HELD_BYTES):
            if room <= 0:
                tasks.append([])
                room = TASK_WINDOWS
            tasks[-1].append(region)
            room -= len(windows_of(region, self.chunks))
        return tasks

    def __call__(self, task: Sequence[Window]) -> Copied:
        """Copies the regions of a task.

        Held at once are the parts of the source that ``regions`` and ``gather`` allow, and the values of ``FINISHING``
        windows more.
        """
        windows, needs = self._plan(task)
        out_of_range: list[int] = []
        reading = ThreadPoolExecutor(readers(needs), thread_name_prefix="read")
        finishing = ThreadPoolExecutor(FINISHING, thread_name_prefix="finish")
        try:
            found = gather(needs, self._reader(out_of_range), reading)
            done = list(_a_few_at_once(finishing, self._finish, windows, found))
        finally:
            for pool in (reading, finishing):
                pool.shutdown(wait=True, cancel_futures=True)
        digests = {window.start: digest for window, (digest, _) in zip(windows, done, strict=True)}
        return Copied(digests, sum(out_of_range), sum(observed for _, observed in done))

    def _plan(self, task: Sequence[Window]) -> tuple[list[Window], list[list[Part]]]:
        windows: list[Window] = []
        needs: list[list[Part]] = []
        for region in task:
            layouts = [layout.within(region) for layout in opened(self.source, self.run).layouts.values()]
            own = windows_of(region, self.chunks)
            windows += own
            needs += [[part for layout in layouts for part in layout.parts(window)] for window in own]
        return windows, needs

    def _reader(self, out_of_range: list[int]) -> Any:
        source, found = Source.model_validate_json(self.source), opened(self.source, self.run)

        def read(part: Part) -> NDArray[Any]:
            name = part.layout.name
            with stores.source_errors(source):
                values, n_out = found.recipes[name].read(found.ds[name].variable, part.indexers)
            out_of_range.append(n_out)
            return values

        return read

    def _finish(self, window: Window, values: dict[str, NDArray[Any]]) -> tuple[str, int]:
        """Writes a window; gives its digest, over the variables in the order of their names, and observed values."""
        digest = hashlib.sha256()
        for name, part in values.items():
            digest.update(np.ascontiguousarray(part).data)
            stores.write_block(self.output, name, window.start[-part.ndim :], part, run=self.run)
        return digest.hexdigest(), int(np.count_nonzero(np.isfinite(values[self.target])))


@functools.lru_cache(maxsize=2)
def opened(source_json: str, run: str) -> Opened:  # noqa: ARG001 - a part of the key alone
    """Opens a source, checks it and plans its copy; once a process and run.

    Raises:
        StoreError: if the source cannot be opened.
        DataError: listing all that is wrong with it.
    """
    source = Source.model_validate_json(source_json)
    ds = stores.open_source(source)
    assert_source(ds, source)
    ds = flattened(ds, source)
    cube, recipes = normalise(select(ds, source), source)
    where = positions(ds, source)
    return Opened(ds, cube, recipes, {name: _layout(ds, recipe, where) for name, recipe in recipes.items()})


def _layout(ds: xr.Dataset, recipe: Recipe, where: dict[str, NDArray[np.int64]]) -> Layout:
    stored = dict(zip(DIMS, stores.source_chunks(ds, recipe.name), strict=True))
    axes = {dim: Axis(where[dim], stored[dim]) for dim in recipe.dims}
    chunk = ds[recipe.name].encoding.get("preferred_chunks", {})
    depth = math.prod(size for dim, size in chunk.items() if dim not in DIMS)
    return Layout(recipe.name, recipe.dtype.itemsize, axes, depth)


def _a_few_at_once(
    pool: Executor, finish: Callable[..., tuple[str, int]], windows: list[Window], found: Iterator[dict[Part, Any]]
) -> Iterator[tuple[str, int]]:
    """Finishes windows in threads, in order; while large ones are, no further one is put together."""
    under_way: deque[tuple[int, Future[tuple[str, int]]]] = deque()
    for window in windows:
        values = _joined(window, next(found))
        size = sum(part.nbytes for part in values.values())
        while under_way and (len(under_way) >= FINISHING or sum(n for n, _ in under_way) + size > FINISHING_BYTES):
            yield under_way.popleft()[1].result()
        under_way.append((size, pool.submit(finish, window, values)))
        del values
    for _, future in under_way:
        yield future.result()


def _joined(window: Window, parts: dict[Part, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Values of a window by variable, in the order of names."""
    by_name: dict[str, dict[Part, NDArray[Any]]] = {}
    for part, values in parts.items():
        by_name.setdefault(part.layout.name, {})[part] = values
    return {name: join(window, by_name[name]) for name in sorted(by_name)}
