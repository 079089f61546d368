"""The steps of a run, each in a measured process, by plain calls from addresses to an address."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured, measured

# What each step takes from the configuration, and which addresses it reads.
STEPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ingest": (("source", "cluster"), ()),
    "mask": (("mask",), ("cube",)),
    "split": (("split", "cluster"), ("cube", "land")),
    "preprocess": (("preprocess", "cluster"), ("cube", "land", "parts")),
    "train": (("train", "tracking", "cluster"), ("samples", "cube", "land", "parts")),
    "evaluate": (("evaluate", "tracking", "cluster"), ("cube", "land", "parts", "model")),
    "predict": (("predict", "tracking", "cluster"), ("cube", "land", "model")),
}
OUTPUTS = {
    "ingest": "cube",
    "mask": "land",
    "split": "parts",
    "preprocess": "samples",
    "train": "model",
    "evaluate": "evaluation",
    "predict": "filled",
}
_DIRECTORIES = ("model", "evaluation")
WORK = "benchmarks.chain:step"


def step(name: str, config: dict[str, Any], places: dict[str, str]) -> dict[str, Any]:
    """Runs one step; what a measured process does.

    Args:
        name: of the step.
        config: the whole configuration.
        places: address of every store, by name.

    Returns:
        The facts of its pointer.
    """
    from lstfill.artifacts import clean
    from lstfill.config import Config

    whole, (sections, inputs) = Config.model_validate(config), STEPS[name]
    whole = whole.model_copy(update={"source": whole.source.model_copy(update={"extras": whole.carried_extras()})})
    given = {section: getattr(whole, section) for section in sections} | {key: places[key] for key in inputs}
    pointer = importlib.import_module(f"lstfill.steps.{name}").run(**given, output=places[OUTPUTS[name]])
    return clean(pointer.facts)


@dataclass(frozen=True)
class Chain:
    """A workspace on disk and the configuration of a run.

    Attributes:
        root: where the stores lie.
        config: keys and values of the configuration; the source's address among them.
        env: environment of the steps: the tracking server, a store's keys.
        modules: what each step loads, by step, to be imported before the measure begins.
        elsewhere: stores of another chain to read, by name.
    """

    root: Path
    config: Mapping[str, Any]
    env: Mapping[str, str]
    modules: Mapping[str, Sequence[str]] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def places(self) -> dict[str, str]:
        """Address of every store, by name."""
        own = {name: self.root / f"{name}{'' if name in _DIRECTORIES else '.zarr'}" for name in OUTPUTS.values()}
        return {name: str(place) for name, place in own.items()} | dict(self.elsewhere)

    def arguments(self, name: str) -> dict[str, Any]:
        """Arguments of ``step``."""
        return {"name": name, "config": dict(self.config), "places": self.places}

    def run(self, name: str) -> Measured:
        """Runs one step in a process of its own."""
        return measured(WORK, self.arguments(name), modules=self.modules.get(name, ()), env=self.env)

    def run_all(self, names: Sequence[str] = tuple(STEPS)) -> dict[str, Measured]:
        """Runs steps one after the other."""
        return {name: self.run(name) for name in names}


def learn(root: Path, cube: str, env: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Runs every step on a small cube, and tells which modules each has loaded at its end.

    It also makes the tracking database, whose tables would otherwise be in the measure of the first step that tracks.

    Args:
        root: where its stores lie.
        cube: address of the small cube.
        env: environment of the steps.
        config: keys and values of the configuration.
    """
    small = {**config, "source": {"uri": cube}, "split": {"block": {"time": 4, "lat": 6, "lon": 6}}}
    return {name: run.modules for name, run in Chain(root, small, env).run_all().items()}
