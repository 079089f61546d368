"""The smallest job, from a made cube to the page, through the command that ``make bench`` runs."""

import json

import pytest
import xarray as xr

import benchmarks.__main__ as command
from benchmarks import cubes, job
from benchmarks.setting import Setting
from tests.made import SHAPE, cube, land


@pytest.fixture
def small(tmp_path):
    """A cube with its own land, and the truth beside it."""
    place = tmp_path / "small.zarr"
    made = cube()
    chunks = {name: {"chunks": (5, 18, 18)} for name in (cubes.TARGET, cubes.FEATURE)}
    made.to_zarr(place, zarr_format=2, encoding=chunks)
    truth = {cubes.TRUTH: made[cubes.FEATURE] * 1.12 - 30, cubes.LAND: (("lat", "lon"), land(SHAPE))}
    xr.Dataset(truth).drop_encoding().to_zarr(cubes.truth_of(place), zarr_format=2)
    return place


def test_the_job_is_measured_from_cube_to_page(small, tmp_path, monkeypatch):
    config = {
        "mask": {"kind": "variable", "variable": "land_mask"},
        "split": {"block": {"time": 5, "lat": 9, "lon": 9}},
        "train": {"epochs": 4, "batch_size": 512},
        "tracking": {"experiment": "bench"},
    }

    def setting(options, scratch):
        return Setting(options.cube, scratch, repeats=1, config=config, learned=False)

    monkeypatch.setattr(command, "_setting", setting)
    monkeypatch.setitem(command.BENCHES, "job", lambda given: job.run(given, pipeline=False))
    results = tmp_path / "results"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    arguments = ["job", "--cube", str(small), "--results", str(results), "--scratch", str(scratch)]
    assert command.main(arguments) == 0
    assert not list(scratch.iterdir())
    found = json.loads((results / "results.json").read_text())["job"]
    assert all(row["cpu_s"] > 0 and row["peak_mb"] > 0 for row in found["ours"].values())
    assert found["fit"]["excess"] >= 0
    assert found["scores"]["ours"]["unfilled"] == 0
    assert found["scores"]["ours"]["mae_k"] < 5
    assert set(found["not_run"]) == {"floor", "peer"}
    assert "| **whole job** |" in (results / "RESULTS.md").read_text()
    assert (results / "results.svg").exists()
