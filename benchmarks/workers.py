"""One and two Dask workers on the same work: the time of the map past the start of the cluster, and the bits.

Beside them, one and two processes that know nothing of each other: what two cores of the machine are worth.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks import cubes
from benchmarks.chain import OUTPUTS, WORK, Chain, step
from benchmarks.measure import measured
from benchmarks.setting import Setting

LONGER = 4
COUNTS = (1, 2)
_MEASURED = ("preprocess", "predict")


def run(setting: Setting, longer: int = LONGER) -> dict[str, Any]:
    """Measures preprocess and predict with one and two workers on a cube so many times longer.

    Args:
        setting: the cube to start from.
        longer: how often its dates come.
    """
    cube = cubes.repeat(setting.cube, setting.scratch / "workers.zarr", longer)
    chain = setting.chain("workers", cube)
    chain.run_all()
    found: dict[str, Any] = {"cube": cubes.describe(cube)}
    for name in _MEASURED:
        runs = {str(count): _with(chain, name, count) for count in COUNTS}
        digests = {run.pop("digest") for run in runs.values()}
        one, two = (runs[str(count)]["map_s"] for count in COUNTS)
        found[name] = {**runs, "faster": one / two, "same_values": len(digests) == 1, "apart": _apart(chain, name)}
    shutil.rmtree(chain.root)
    shutil.rmtree(cube)
    return found


def _with(chain: Chain, name: str, count: int) -> dict[str, Any]:
    config = {**chain.config, "cluster": {"kind": "local", "workers": count}}
    places = {**chain.places, OUTPUTS[name]: str(chain.root / f"{name}-{count}.zarr")}
    modules = list(chain.modules.get(name, ()))
    arguments = {"name": name, "config": config, "places": places, "modules": modules}
    ran = measured("benchmarks.workers:timed_step", arguments, modules=modules, env=chain.env)
    value = {**ran.value, "wall_s": ran.wall_s, "cpu_s": ran.cpu_s, "peak_mb": ran.peak_mb}
    value["digest"] = measured("benchmarks.workers:digest", {"store": places[OUTPUTS[name]]}).value
    shutil.rmtree(places[OUTPUTS[name]])
    return value


def _apart(chain: Chain, name: str) -> float:
    """How much faster two processes with a thread each do the work twice than one process does, one after the other."""
    one = _side_by_side(chain, name, 1)
    return 2 * one / _side_by_side(chain, name, 2)


def _side_by_side(chain: Chain, name: str, count: int) -> float:
    """Seconds past imports until so many processes have done the same work, each into a place of its own."""

    def work(number: int) -> float:
        place = chain.root / f"{name}-apart-{number}.zarr"
        config = {**chain.config, "cluster": {"kind": "threads", "workers": 1}}
        arguments = {"name": name, "config": config, "places": {**chain.places, OUTPUTS[name]: str(place)}}
        ran = measured(WORK, arguments, modules=chain.modules.get(name, ()), env=chain.env)
        shutil.rmtree(place)
        return ran.wall_s

    with ThreadPoolExecutor(count) as pool:
        return max(pool.map(work, range(count)))


def timed_step(name: str, config: dict[str, Any], places: dict[str, str], modules: Sequence[str]) -> dict[str, float]:
    """Runs a step whose clock starts when its workers are there and have imported what they need.

    Args:
        name: of the step.
        config: the whole configuration.
        places: address of every store.
        modules: what the workers import before the clock starts.

    Returns:
        Seconds between the start of the first task and the end of the last, and the largest memory of a worker.
    """
    from lstfill import compute

    taken: dict[str, float] = {}
    opened = compute.cluster

    @contextlib.contextmanager
    def watched(cluster: Any) -> Iterator[Any]:
        with opened(cluster) as engine:
            list(engine.map(_warm, [list(modules)] * (2 * cluster.workers)))
            began = time.perf_counter()
            yield engine
            taken["map_s"] = taken.get("map_s", 0.0) + time.perf_counter() - began
            taken["worker_peak_mb"] = max(engine.map(_peak, range(2 * cluster.workers)))

    compute.cluster = watched
    step(name, config, places)
    return taken


def _warm(modules: Sequence[str]) -> None:
    """A task that keeps its worker busy long enough for every worker to get one."""
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    time.sleep(1)


def _peak(_: int) -> float:
    from lstfill.steps.task import peak_rss_mb

    time.sleep(0.2)
    return peak_rss_mb()


def digest(store: str) -> str:
    """A digest of all values of a store on disk, whatever its chunks' codecs."""
    import zarr

    whole = hashlib.sha256()
    group: Any = zarr.open_group(store, mode="r")
    for name in sorted(group.array_keys()):
        whole.update(name.encode())
        for region in cubes.regions(group[name]):
            whole.update(group[name][region].tobytes())
    return whole.hexdigest()
