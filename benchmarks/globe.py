"""Models of neighbours on the whole cube with two Dask workers: that it ends, in what memory, and without seams."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks import cubes, tiles
from benchmarks.chain import Chain
from benchmarks.measure import measured
from benchmarks.setting import Setting

MODELS = ("ensemble",)
"""Its members are ``local`` and ``boosting``: each tile is filled by both."""
WORKERS = 2
TIMEOUT_S = 4 * 3600


def run(setting: Setting, models: Sequence[str] = MODELS) -> dict[str, Any]:
    """Fits each model on the whole cube, few tiles being calibrated on, and fills all of it.

    Args:
        setting: the cube.
        models: names.
    """
    first, shared = tiles.prepared(setting, "globe", {})
    chains = {name: replace(tiles.chain(setting, name, f"globe-{name}", {}), elsewhere=shared) for name in models}
    found = {name: _filled(setting, chain) for name, chain in chains.items()}
    shutil.rmtree(first.root)
    return {"cube": cubes.describe(setting.cube), "workers": WORKERS, "models": found}


def _filled(setting: Setting, chain: Chain) -> dict[str, Any]:
    """What one model took, and how smooth its cube is."""
    trained = chain.run("train").row()
    config = {**chain.config, "cluster": {"kind": "local", "workers": WORKERS}}
    arguments = {"name": "predict", "config": config, "places": chain.places, "modules": []}
    ran = measured("benchmarks.workers:timed_step", arguments, env=chain.env, timeout_s=TIMEOUT_S)
    looked = measured("benchmarks.tiles:look", {"places": chain.places}, env=setting.env).value
    shutil.rmtree(chain.root)
    return {"train": trained, "predict": {**ran.row(), **ran.value}, **looked}
