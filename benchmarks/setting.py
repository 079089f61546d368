"""What a bench is given: a cube with its truth, other tools, a scratch directory, and the surroundings of the steps."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import cubes
from benchmarks.chain import Chain, learn
from benchmarks.measure import measured

SMALL = (8, 36, 72)


@dataclass(frozen=True)
class Setting:
    """What all benches share.

    Attributes:
        cube: a cube on disk, with its truth beside it.
        scratch: directory for stores, logs and the tracking database; the caller removes it.
        tools: directory of the programs that are no part of this project; None where they are not there.
        peer_python: interpreter of the peer's own environment; None where there is none.
        repeats: how often our own steps are run; the median counts.
        config: sections of the configuration that differ from the default; the source is added.
        made: how the cube was made, if it was made for the benches.
        learned: whether imports are kept out of the measures; False saves time in tests of the benches.
    """

    cube: Path
    scratch: Path
    tools: Path | None = None
    peer_python: Path | None = None
    repeats: int = 3
    config: Mapping[str, Any] | None = None
    made: str = ""
    learned: bool = True

    @property
    def truth(self) -> Path:
        """Where the truth lies."""
        return cubes.truth_of(self.cube)

    @property
    def env(self) -> dict[str, str]:
        """Environment of the steps: tracking in a database of the bench's own."""
        return {"MLFLOW_TRACKING_URI": f"sqlite:///{self.scratch / 'mlflow.db'}"}

    @functools.cached_property
    def modules(self) -> dict[str, list[str]]:
        """What each step loads, from a run on a small cube, which also makes the tracking database."""
        if not self.learned:
            return {}
        small = self.scratch / "small.zarr"
        measured("benchmarks.cubes:make", {"path": str(small), "shape": SMALL, "chunks": SMALL})
        return learn(self.scratch / "small", str(small), self.env, self.config or {})

    def chain(self, name: str, cube: Path | None = None, **source: Any) -> Chain:
        """A workspace of the given name for a run.

        Args:
            name: of its directory in the scratch directory.
            cube: the source, if another than the setting's.
            source: further keys of the section ``source``.
        """
        uri = str(cube or self.cube)
        config = {**(self.config or {}), "source": {"uri": uri, **source}}
        return Chain(self.scratch / name, config, self.env, self.modules)
