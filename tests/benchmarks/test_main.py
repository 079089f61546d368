"""What the command takes, and what it refuses."""

import pytest

import benchmarks.__main__ as command
from benchmarks.measure import BenchError


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("BENCH_CUBE", "BENCH_TOOLS", "PEER_PYTHON", "BENCH_REPEATS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def benches(monkeypatch):
    """Benches that only say that they ran, and of which one fails."""

    def fails(_):
        raise BenchError("as it was told to")

    made = {"start": lambda _: {"help_s": 0.1, "imports": {}}, "remote": fails}
    for name, bench in made.items():
        monkeypatch.setitem(command.BENCHES, name, bench)


@pytest.fixture
def cube(tmp_path):
    for name in ("cube.zarr", "cube.truth.zarr"):
        (tmp_path / name).mkdir()
    return tmp_path / "cube.zarr"


def test_a_cube_without_truth_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"there is no truth beside .*alone\.zarr"):
        command.main(["start", "--cube", str(tmp_path / "alone.zarr"), "--results", str(tmp_path)])


def test_an_unknown_bench_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main(["speed", "--results", str(tmp_path)])
    assert "there is no bench 'speed'; there are start, job" in capsys.readouterr().err


def test_all_but_the_long_ones_run_if_none_is_named(cube, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(command, "_bench", lambda name, *_: ran.append(name) or True)
    assert command.main(["--cube", str(cube), "--results", str(tmp_path)]) == 0
    assert ran == [name for name in command.BENCHES if name != "globe"]


def test_the_environment_stands_for_options(cube, tmp_path, benches, monkeypatch):
    monkeypatch.setenv("BENCH_CUBE", str(cube))
    monkeypatch.setenv("BENCH_TOOLS", "")
    assert command.main(["start", "--results", str(tmp_path)]) == 0
    assert "`python -m lstfill --help`: 0.10 s." in (tmp_path / "RESULTS.md").read_text()


def test_one_that_fails_does_not_stop_the_others(cube, tmp_path, benches, capsys):
    arguments = ["remote", "start", "--cube", str(cube), "--results", str(tmp_path)]
    assert command.main(arguments) == 1
    assert "remote failed: as it was told to" in capsys.readouterr().out
    assert (tmp_path / "RESULTS.md").exists()
