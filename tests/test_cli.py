"""``python -m lstfill STEP``: each step alone, from addresses to an address."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lstfill import cli
from lstfill.cube.flags import SourceFlag
from lstfill.errors import LstfillError
from lstfill.steps.provenance import origin_of
from lstfill.storage import buckets, objects, stores
from lstfill.synthetic import FEATURE, TARGET
from tests import made

SHAPE = (6, 18, 36)
STEPS = ["ingest", "mask", "split", "preprocess", "train", "evaluate", "predict"]
INPUTS = {
    "ingest": [],
    "mask": ["cube"],
    "split": ["cube", "land"],
    "preprocess": ["cube", "land", "parts"],
    "train": ["samples", "cube", "land", "parts"],
    "evaluate": ["cube", "land", "parts", "model"],
    "predict": ["cube", "land", "model"],
}
OUTPUT = dict(zip(STEPS, ["cube", "land", "parts", "samples", "model", "evaluation", "filled"], strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """All steps, one command after the other; a directory, and what each of them said."""
    root = tmp_path_factory.mktemp("cli")
    made.cube(SHAPE).drop_encoding().to_zarr(root / "source.zarr", zarr_format=2)
    split = {"block": {"time": 3, "lat": 6, "lon": 6}}
    tracking = {"uri": f"sqlite:///{root / 'mlflow.db'}"}
    made.write_config(root / "c.yaml", root / "source.zarr", split=split, train={"epochs": 2}, tracking=tracking)
    for step in STEPS:
        assert cli.main(command(root, step)) == 0, step
    return root


def command(root, step, *more, output=None):
    inputs = [part for name in INPUTS[step] for part in (f"--{name}", str(root / name))]
    return [step, "--config", str(root / "c.yaml"), *inputs, "--output", str(output or root / OUTPUT[step]), *more]


class TestSteps:
    @pytest.mark.parametrize("step", STEPS)
    def test_each_leaves_a_whole_store_that_says_who_made_it(self, run, step):
        origin = origin_of(str(run / OUTPUT[step]))
        assert origin["step"] == step
        assert origin["configuration"]["source"]["uri"] == str(run / "source.zarr")

    def test_the_filled_cube_keeps_what_was_observed_and_fills_the_land(self, run):
        filled, source = xr.open_zarr(run / "filled").load(), made.cube(SHAPE)
        observed = np.isfinite(source[TARGET].values)
        assert filled[TARGET].values[observed].tobytes() == source[TARGET].values[observed].tobytes()
        flag = filled[f"{TARGET}_source"].values
        assert not (flag == SourceFlag.NOT_FILLABLE)[:, made.land(SHAPE)].any()

    def test_ingest_carries_what_the_mask_is_made_from(self, run):
        with stores.open_whole(str(run / "cube")) as cube:
            assert set(cube.data_vars) == {TARGET, FEATURE, "land_mask"}

    def test_the_last_word_is_the_address(self, run, tmp_path, capsys):
        assert cli.main(command(run, "mask", output=tmp_path / "land.zarr")) == 0
        assert capsys.readouterr().out == f"mask: {tmp_path / 'land.zarr'}\n"

    def test_again_to_the_same_place_replaces_what_was_there(self, run, tmp_path):
        output = tmp_path / "land.zarr"
        for _ in range(2):
            assert cli.main(command(run, "mask", output=output)) == 0
        assert origin_of(str(output))["identity"] == origin_of(str(run / "land"))["identity"]


class TestArguments:
    def test_help_names_every_step(self, capsys):
        with pytest.raises(SystemExit) as ended:
            cli.main(["--help"])
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert all(step in said for step in [*STEPS, "synthetic", "buckets"])

    @pytest.mark.parametrize("step", STEPS)
    def test_a_step_asks_for_what_it_reads(self, step, capsys):
        with pytest.raises(SystemExit) as ended:
            cli.main([step])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        wanted = {f"--{name}" for name in INPUTS[step]} | {"--config", "--output"}
        assert all(option in said.splitlines()[-1] for option in wanted)

    def test_the_steps_are_those_that_there_are(self):
        """The table of the command line and the signatures of the steps say the same."""
        import importlib
        import inspect

        for step, (_, sections, inputs) in cli._STEPS.items():
            function = importlib.import_module(f"lstfill.steps.{step}").run
            assert set(inspect.signature(function).parameters) == {*sections, *inputs, "output"}
            assert list(inputs) == INPUTS[step]

    def test_version(self, capsys):
        from importlib.metadata import version

        with pytest.raises(SystemExit) as ended:
            cli.main(["--version"])
        assert ended.value.code == 0
        assert capsys.readouterr().out == f"lstfill {version('lstfill')}\n"


class TestSynthetic:
    def test_writes_a_cube_that_ingest_takes(self, tmp_path, monkeypatch, capsys):
        from lstfill.steps import synthetic

        monkeypatch.setattr(synthetic, "SHAPE", (2, 6, 12))
        monkeypatch.setattr(synthetic.run, "__kwdefaults__", {"shape": (2, 6, 12), "seed": 0})
        monkeypatch.setattr("lstfill.synthetic._earth", lambda lat, lon: made.land((2, lat.size, lon.size)))
        for seed in (0, 3):
            assert cli.main(["synthetic", "--seed", str(seed), "--output", str(tmp_path / f"{seed}.zarr")]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"synthetic: {tmp_path / '3.zarr'}"
        cubes = [xr.open_zarr(tmp_path / f"{seed}.zarr").load() for seed in (0, 3)]
        assert cubes[0].sizes["time"] == 2
        assert not cubes[0][FEATURE].equals(cubes[1][FEATURE])
        made.write_config(tmp_path / "c.yaml", tmp_path / "3.zarr", mask={"kind": "none", "variable": ""})
        assert cli.main(command(tmp_path, "ingest")) == 0


@pytest.mark.usefixtures("s3")
class TestBuckets:
    def test_missing_ones_are_made_and_the_others_left_as_they_are(self, capsys):
        names = [f"made-{uuid.uuid4().hex[:8]}" for _ in range(2)]
        assert cli.main(["buckets", names[0]]) == 0
        objects.put_bytes(f"s3://{names[0]}/kept", b"x")
        capsys.readouterr()
        assert cli.main(["buckets", *names]) == 0
        assert capsys.readouterr().out == "".join(f"bucket: s3://{name}\n" for name in names)
        assert objects.get_bytes(f"s3://{names[0]}/kept") == b"x"
        buckets.probe(f"s3://{names[1]}")

    def test_a_store_that_is_not_there_yet_is_a_failure_which_a_job_repeats(self, monkeypatch, capsys):
        monkeypatch.setenv("LSTFILL_S3_ENDPOINT_URL", "http://127.0.0.1:1")
        assert cli.main(["buckets", "lstfill"]) == 1
        assert "endpoint http://127.0.0.1:1 cannot be reached" in capsys.readouterr().err

    def test_without_a_name_there_is_nothing_to_do(self, capsys):
        with pytest.raises(SystemExit) as ended:
            cli.main(["buckets"])
        assert ended.value.code == 2
        assert "NAME" in capsys.readouterr().err


class TestEndings:
    def end_with(self, monkeypatch, error):
        def raising(_):
            raise error

        monkeypatch.setattr(cli, "_run_synthetic", raising)
        return cli.main(["synthetic", "--output", "x"])

    def test_a_message_is_shown_as_it_is(self, monkeypatch, capsys):
        assert self.end_with(monkeypatch, LstfillError("time ['a'] [bold] is [/] wrong")) == 1
        assert capsys.readouterr() == ("", "error: time ['a'] [bold] is [/] wrong\n")

    def test_a_long_message_is_not_broken_into_lines(self, monkeypatch, capsys):
        assert self.end_with(monkeypatch, LstfillError("word " * 100 + "end")) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1

    def test_ctrl_c(self, monkeypatch):
        assert self.end_with(monkeypatch, KeyboardInterrupt()) == 130

    @pytest.mark.parametrize("error", [ZeroDivisionError(), FileNotFoundError(2, "No such file", "x")])
    def test_a_defect_of_ours_keeps_its_traceback(self, monkeypatch, error):
        with pytest.raises(type(error)):
            self.end_with(monkeypatch, error)


HEAVY = [
    "tensorflow", "keras", "sklearn", "mlflow", "matplotlib", "global_land_mask", "distributed", "dask_kubernetes",
    "kr8s", "s3fs", "botocore", "kfp",
]  # fmt: skip
LIGHT_STEPS = """
import sys
from lstfill import cli
for arguments in {commands!r}:
    assert cli.main(arguments) == 0, arguments
print([name for name in {heavy!r} if name in sys.modules])
"""


def modules_after(commands, heavy, cwd):
    script = LIGHT_STEPS.format(commands=commands, heavy=heavy)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("LSTFILL_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


class TestLightSteps:
    """Seconds and hundreds of MB that a step need not spend; nothing else would notice."""

    def test_data_steps_load_nothing_heavy(self, run, tmp_path):
        commands = [
            command(run, step, output=tmp_path / OUTPUT[step]) for step in ("ingest", "mask", "split", "preprocess")
        ]
        assert modules_after(commands, HEAVY, tmp_path) == "[]"

    def test_a_linear_model_fills_without_tensorflow(self, run, tmp_path):
        commands = [command(run, "predict", output=tmp_path / "filled")]
        assert modules_after(commands, HEAVY, tmp_path) == "['mlflow']"

    def test_a_linear_model_is_scored_and_drawn_without_tensorflow(self, run, tmp_path):
        commands = [command(run, "evaluate", output=tmp_path / "evaluation")]
        assert modules_after(commands, HEAVY, tmp_path) == "['mlflow', 'matplotlib']"

    def test_help_loads_no_science(self, tmp_path):
        script = (
            "import sys\nfrom lstfill import cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit:\n"
            "    heavy = ('numpy', 'xarray', 'zarr', 'pydantic', 'yaml', 'rich')\n"
            "    print([name for name in heavy if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.splitlines()[-1] == "[]"


def test_the_installed_command_and_the_module_are_the_same(tmp_path):
    script = Path(sys.executable).parent / "lstfill"
    said = [
        subprocess.run([*start, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        for start in ([str(script)], [sys.executable, "-m", "lstfill"])
    ]
    assert said[0].stdout == said[1].stdout
    assert said[0].stdout.startswith("lstfill ")
