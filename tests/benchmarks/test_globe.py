"""The whole of a small globe with two workers."""

import pytest

from benchmarks import globe
from benchmarks.measure import measured
from benchmarks.setting import Setting

BLOCK = {"split": {"block": {"time": 3, "lat": 15, "lon": 15}}}


@pytest.mark.timeout(300)
def test_fills_all_land_in_workers_and_leaves_nothing_behind(tmp_path):
    cube = tmp_path / "cube.zarr"
    measured("benchmarks.cubes:make", {"path": str(cube), "shape": (6, 90, 180), "chunks": (6, 45, 45)})
    (tmp_path / "scratch").mkdir()
    found = globe.run(Setting(cube, tmp_path / "scratch", config=BLOCK, learned=False), models=("harmonic",))
    of = found["models"]["harmonic"]
    assert of["dates"] == 6
    assert of["tiles"] * 96**2 == pytest.approx(90 * 180 * 0.33, rel=0.05)
    assert 50 < of["predict"]["worker_peak_mb"] < 1000
    assert set(of["seams"]) == {"core", "outer"}
    assert not [path for path in (tmp_path / "scratch").iterdir() if path.is_dir() and path.name.startswith("globe")]
