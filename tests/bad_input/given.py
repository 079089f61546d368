"""What a case of bad input is made with, and the list of all cases."""

from __future__ import annotations

import functools
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lstfill import cli
from lstfill.config import Mask, Source
from lstfill.steps import ingest, mask
from lstfill.synthetic import FEATURE, TARGET
from tests import made

SHAPE, CHUNKS = (6, 12, 24), (3, 6, 12)
BLOCK = {"time": 3, "lat": 4, "lon": 4}


def source_cube():
    return made.cube(SHAPE)


def write(cube, path):
    """Writes a source as other tools do, whatever is wrong with it."""
    cube.drop_encoding().to_zarr(path, zarr_format=2, mode="w")
    return path


@dataclass
class Given:
    """What a case is made with: good stores, a place of its own, and the means to spoil things."""

    good: dict[str, str]
    tmp: Path
    request: Any
    patch: pytest.MonkeyPatch
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self):
        return self.changed.get("output", str(self.tmp / "out" / "result.zarr"))

    def config(self, **sections):
        tracking = {"uri": self.good["tracking"], **sections.pop("tracking", {})}
        uri = sections.get("source", {}).get("uri", self.good["source"])
        block = {"block": BLOCK, "held_out_gaps": {"kind": "none"}, **sections.pop("split", {})}
        return str(made.write_config(self.tmp / "c.yaml", uri, split=block, tracking=tracking, **sections))

    def step(self, name, **sections):
        """The command for one step on the good stores."""
        needs = cli._STEPS[name][2]
        stores = {key: self.changed.get(key, self.good.get(key)) for key in needs}
        inputs = [part for key, value in stores.items() if value for part in (f"--{key}", value)]
        return [name, "--config", self.config(**sections), *inputs, "--output", self.output]

    def ingest_of(self, cube, **source):
        """The command to ingest a cube with something wrong in it."""
        return self.step("ingest", source={"uri": str(write(cube, self.tmp / "bad.zarr")), **source})

    def ingest_from(self, uri, **source):
        return self.step("ingest", source={"uri": str(uri), **source})

    def but(self, **changed):
        """The same with other addresses."""
        self.changed |= changed
        return self


CASES: dict[str, tuple[Any, str]] = {}


def case(message):
    """Registers a case: a function from ``Given`` to the arguments, and what the message must say."""

    def register(function):
        CASES[function.__name__.strip("_").replace("_", " ")] = (function, message)
        return function

    return register


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def with_unit(unit):
    cube = source_cube()
    cube[TARGET].attrs.pop("units")
    if unit:
        cube[TARGET].attrs["units"] = unit
    return cube


def work_cube(given, cube):
    """A good work cube of another source."""
    path = write(cube, given.tmp / "other-source.zarr")
    extras = [str(name) for name in cube.data_vars if name not in (TARGET, FEATURE) and not str(name).endswith("bnds")]
    ingest.run(Source(uri=str(path), extras=extras), output=str(given.tmp / "other-cube.zarr"))
    return str(given.tmp / "other-cube.zarr")


def masked(given, cube):
    """Addresses of a good work cube of another source, and of its mask."""
    at = {"cube": work_cube(given, cube), "land": str(given.tmp / "other-land.zarr")}
    mask.run(Mask(kind="variable", variable="land_mask"), cube=at["cube"], output=at["land"])
    return at


def mounted(given, options):
    """A disk of a few kB."""
    place = given.tmp / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    given.request.addfinalizer(functools.partial(subprocess.run, ["umount", "-l", str(place)], check=True))
    return place
