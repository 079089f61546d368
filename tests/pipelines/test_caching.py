"""A cache that outlives its data, and a failure: neither costs more than one attempt, each has a message of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from lstfill import artifacts
from lstfill.storage import objects
from pipelines import local
from tests import made
from tests.pipelines.conftest import run_pipeline, without_foreign

pytestmark = pytest.mark.timeout(600)

SHAPE = (6, 18, 36)


@dataclass
class Runs:
    """A run that a wrong split ended, and the same with a right one after the work cube was removed."""

    directory: Path
    wrong: tuple[int, str]
    gone: tuple[int, str]
    cube: str

    def log(self, number: int) -> str:
        """All that the runner said, without colours."""
        logs = sorted((self.directory / "logs").glob("run-*.log"))
        return re.sub(r"\x1b\[[0-9;]*m", "", logs[number].read_text())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("caching")
    with pytest.MonkeyPatch.context() as patch:
        without_foreign(patch)
        with local.workspace(str(directory)) as place:
            made.put(f"{place.root}/sources/cube.zarr", made.cube(SHAPE), chunks=(3, 9, 9))
        wrong = _run(directory, {"time": 60, "lat": 180, "lon": 360})
        (pointer,) = (directory / "kfp").glob("*/ingest/cube")
        cube = artifacts.read(pointer).uri
        with local.workspace(str(directory)):
            objects.remove(cube)
        gone = _run(directory, {"time": 3, "lat": 6, "lon": 6})
    return Runs(directory, wrong, gone, cube)


def _run(directory, block):
    config = made.write_config(
        directory / f"{block['time']}.yaml", "s3://lstfill/sources/cube.zarr", split={"block": block}
    )
    return run_pipeline("run", "--config", config, "--workspace", directory, "--cache")


class TestWrongConfiguration:
    def test_ends_in_the_steps_message(self, runs):
        status, seen = runs.wrong
        assert status == 1
        assert "split failed: " in seen
        assert "Traceback" not in seen

    def test_is_not_tried_again(self, runs):
        assert runs.log(0).count("Executing task 'split'") == 1


class TestStoreThatIsGone:
    def test_the_steps_before_are_still_from_cache(self, runs):
        _, seen = runs.gone
        assert re.search(r"ingest +from cache", seen)
        assert re.search(r"mask +from cache", seen)

    def test_ends_in_a_message_that_names_the_store_its_task_and_why(self, runs):
        status, seen = runs.gone
        assert status == 1
        said = seen[seen.index("split failed: ") :]
        assert runs.cube in said
        assert "outlived its data" in said
        assert "made by step ingest" in said
        assert "Traceback" not in seen

    def test_is_not_tried_again(self, runs):
        assert runs.log(1).count("Executing task 'split'") == 1
