"""What users get wrong, through the commands they type: status 1, one message, nothing that a later step would take."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lstfill import cli
from lstfill.errors import StoreError
from lstfill.steps.provenance import origin_of
from lstfill.synthetic import TARGET
from tests.bad_input import configuration, cubes, places, sources, steps  # noqa: F401 - each adds its cases
from tests.bad_input.given import CASES, closed_port, mounted, source_cube, with_unit, write

REPO = Path(__file__).resolve().parents[2]

# What TensorFlow's own code prints when it is loaded.
TENSORFLOW = re.compile(r"WARNING: All log messages before absl|[IWE]0000 ")


@pytest.mark.parametrize("name", CASES)
def test_bad_input_ends_with_one_message_and_nothing_to_take_for_whole(name, given, capfd):
    function, message = CASES[name]
    arguments = function(given)
    capfd.readouterr()
    status = cli.main(arguments)
    said = capfd.readouterr()
    assert status == 1
    assert re.search(message, said.err), said.err
    lines = [line for line in said.err.splitlines() if not TENSORFLOW.match(line)]
    assert lines[0].startswith("error: ")
    assert said.err.count("error: ") == 1
    assert "Traceback" not in said.err
    assert said.out == ""
    assert_nothing_whole(given)


def assert_nothing_whole(given):
    if given.changed.get("whole"):
        assert origin_of(given.output)["step"] == "ingest"
        return
    with pytest.raises(StoreError):
        origin_of(given.output)
    if "kept" in given.changed:
        assert given.changed["kept"].read_text() == "years of work"


def test_there_are_many_cases():
    assert len(CASES) >= 60


def test_the_good_stores_are_good(given):
    """Each command of the cases works when nothing is wrong."""
    for name in ("ingest", "mask", "split", "preprocess"):
        given.changed["output"] = str(given.tmp / f"{name}.zarr")
        assert cli.main(given.step(name)) == 0
        assert origin_of(given.output)["step"] == name


def test_a_step_that_failed_leaves_what_was_there_before_unusable(given):
    """The store of an earlier run is not taken for the result of the one that failed."""
    given.changed["output"] = str(given.tmp / "cube.zarr")
    assert cli.main(given.step("ingest")) == 0
    cube = source_cube()
    cube[TARGET].values[...] = np.nan
    assert cli.main(given.ingest_of(cube)) == 1
    with pytest.raises(StoreError, match="is not whole"):
        origin_of(given.output)


SUBPROCESSES = {
    "a missing configuration": (
        ["lstfill", "ingest", "--config", "nowhere.yaml", "--output", "x.zarr"],
        "nowhere.yaml",
    ),
    "a missing source": (["lstfill", "ingest", "--config", "{config}", "--output", "x.zarr"], "there is no Zarr store"),
    "a dead endpoint": (["pipelines", "run", "--config", "{config}", "--workspace", "s3://bucket/w"], "endpoint"),
}


@pytest.mark.parametrize("name", SUBPROCESSES)
def test_from_a_shell(name, given):
    arguments, message = SUBPROCESSES[name]
    config = given.config(source={"uri": "nowhere.zarr"})
    env = {**os.environ, "PYTHONPATH": str(REPO), "LSTFILL_S3_ENDPOINT_URL": f"http://127.0.0.1:{closed_port()}"}
    env |= {"LSTFILL_S3_ACCESS_KEY_ID": "a" * 20, "LSTFILL_S3_SECRET_ACCESS_KEY": "b" * 40}
    done = subprocess.run(
        [sys.executable, "-m", *(argument.format(config=config) for argument in arguments)],
        cwd=given.tmp, env=env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (given.tmp / "x.zarr").exists()


class TestWorkspace:
    """The same through the pipeline: before anything runs, or from the step that found it."""

    def run(self, given, *more, **sections):
        from pipelines.cli import main

        return main(["run", "--config", given.config(**sections), *more])

    def assert_said(self, capfd, message):
        said = capfd.readouterr()
        assert re.search(message, said.err), said.err
        assert said.err.startswith("error: ")
        assert "Traceback" not in said.out + said.err

    def test_bad_credentials(self, given, capfd):
        place = given.request.getfixturevalue("s3")
        given.patch.setenv("LSTFILL_S3_SECRET_ACCESS_KEY", "not-the-secret-of-this-store")
        assert self.run(given, "--workspace", place) == 1
        self.assert_said(capfd, r"cannot (make|write) s3://lst/.*no access at the endpoint .*: check LSTFILL_S3_ACCESS")

    def test_dead_endpoint(self, given, capfd):
        given.patch.setenv("LSTFILL_S3_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
        given.patch.setenv("LSTFILL_S3_ACCESS_KEY_ID", "a" * 20)
        given.patch.setenv("LSTFILL_S3_SECRET_ACCESS_KEY", "b" * 40)
        assert self.run(given, "--workspace", "s3://bucket/w") == 1
        self.assert_said(capfd, r"the endpoint http://127.0.0.1:\d+ cannot be reached")

    def test_unknown_scheme(self, given, capfd):
        assert self.run(given, "--workspace", "gs://bucket/w") == 1
        self.assert_said(capfd, r"gs://bucket/w has the unknown scheme 'gs'")

    def test_file_in_place_of_the_directory(self, given, capfd):
        (given.tmp / "w").write_text("")
        assert self.run(given, "--workspace", str(given.tmp / "w")) == 1
        self.assert_said(capfd, r"cannot (make|write) .*/w: ")

    def test_full_disk(self, given, capfd):
        assert self.run(given, "--workspace", str(mounted(given, "size=64k"))) == 1
        self.assert_said(
            capfd,
            r"cannot write .*/disk: 0 MiB are free and 64 MiB are needed; free some space, or choose another workspace",
        )

    def test_data_that_a_step_refuses(self, given, capfd):
        path = write(with_unit("furlong"), given.tmp / "bad.zarr")
        status = self.run(given, "--workspace", str(given.tmp / "w"), source={"uri": str(path)})
        assert status == 1
        self.assert_said(capfd, r"ingest failed: source .*has the unit 'furlong'.*\nThe whole log is in .*\.log")
