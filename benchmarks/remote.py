"""Ingest from an object store: directly, and through a proxy that lets each request wait."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from typing import Any

from benchmarks import cubes
from benchmarks.measure import measured
from benchmarks.setting import Setting

DELAY_S = 0.02
_BUCKET = "bench"


def run(setting: Setting, delay_s: float = DELAY_S) -> dict[str, Any]:
    """Measures the wall of ingest with and without a delay of each request, in turns.

    Args:
        setting: the cube that is put into the store.
        delay_s: how long each request waits.
    """
    from benchmarks.delaying import delaying_proxy
    from lstfill.storage.embedded import embedded_store

    directory = setting.scratch / "store"
    with embedded_store(directory, _BUCKET) as store, delaying_proxy(store.endpoint_url, delay_s) as proxy:
        source = f"{store.uri}/{setting.cube.name}"
        measured("benchmarks.remote:put", {"path": str(setting.cube), "uri": source}, env=store.env)
        walls: dict[str, list[float]] = {"direct": [], "delayed": []}
        for _ in range(setting.repeats):
            for name, endpoint in (("direct", store.endpoint_url), ("delayed", proxy)):
                walls[name].append(_ingest(setting, source, {**store.env, "LSTFILL_S3_ENDPOINT_URL": endpoint}))
    shutil.rmtree(directory)
    found = {f"{name}_s": statistics.median(of) for name, of in walls.items()}
    return {
        **found,
        "ratio": found["delayed_s"] / found["direct_s"],
        "delay_s": delay_s,
        "cube": cubes.describe(setting.cube),
    }


def _ingest(setting: Setting, source: str, env: dict[str, str]) -> float:
    """Wall of one ingest to disk, past imports."""
    chain = setting.chain("remote", uri=source)
    ran = measured(
        "benchmarks.chain:step",
        chain.arguments("ingest"),
        modules=setting.modules.get("ingest", ()),
        env=setting.env | env,
    )
    shutil.rmtree(chain.root)
    return ran.wall_s


def put(path: str, uri: str) -> None:
    """Puts a cube into the object store that the environment names."""
    from lstfill.storage import objects

    objects.put_tree(Path(path), uri)
