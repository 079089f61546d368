"""``python -m pipelines``: what each command does, says and leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from lstfill.errors import LstfillError
from lstfill.synthetic import TARGET
from pipelines import cli, kubeflow_commands, local, local_commands
from tests import made
from tests.pipelines.conftest import run_pipeline, without_foreign

pytestmark = pytest.mark.timeout(900)  # the two runs, for whichever test comes first

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    without_foreign(monkeypatch)


class TestArguments:
    def test_help_names_every_command(self, capsys):
        with pytest.raises(SystemExit) as ended:
            cli.main(["--help"])
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert all(name in said for name in ("run", "demo", "export", "serve", "compile"))

    def test_help_loads_no_kubeflow(self):
        script = (
            "import sys\nfrom pipelines import cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit:\n"
            "    print([name for name in ('kfp', 'kubernetes', 'numpy', 'pydantic') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.splitlines()[-1] == "[]"

    @pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["export", "s3://lstfill/x.zarr"]])
    def test_wrong_usage_is_status_2(self, arguments, capsys):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 2
        assert "usage: python -m pipelines" in capsys.readouterr().err

    def test_demo_takes_the_same_options_as_run_and_its_own_configuration(self):
        options = cli._parser().parse_args(["demo", "--summary", "s.json", "--cache", "--workspace", "w"])
        assert options.config == REPO / "pipelines" / "configs" / "demo.yaml"
        assert (options.summary, options.cache, options.workspace) == (Path("s.json"), True, "w")

    def test_is_a_module_that_runs(self):
        done = subprocess.run(
            [sys.executable, "-m", "pipelines", "run", "--config", "nowhere.yaml"],
            cwd=REPO, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith("error: cannot read the configuration nowhere.yaml: No such file")
        assert done.stdout == ""


class TestEndings:
    def end_with(self, monkeypatch, error):
        def raising(*_):
            raise error

        monkeypatch.setattr(kubeflow_commands, "_compile", raising)
        return run_pipeline("compile")

    def test_a_message_is_shown_as_it_is(self, monkeypatch):
        status, seen = self.end_with(monkeypatch, LstfillError("time ['a', 'b'] [bold] is [/] wrong"))
        assert (status, seen) == (1, "error: time ['a', 'b'] [bold] is [/] wrong\n")

    def test_ctrl_c(self, monkeypatch):
        assert self.end_with(monkeypatch, KeyboardInterrupt()) == (130, "stopped\n")

    def test_a_defect_of_ours_keeps_its_traceback(self, monkeypatch):
        with pytest.raises(ZeroDivisionError):
            self.end_with(monkeypatch, ZeroDivisionError())


class TestDemo:
    def test_writes_the_cube_into_the_workspace_and_runs_on_it(self, monkeypatch, tmp_path):
        from lstfill.steps import synthetic

        seen = {}
        monkeypatch.setenv("LSTFILL_DEMO_CUBE", "")  # put back at the end
        monkeypatch.setattr(synthetic, "run", lambda output: seen.update(written=output))
        monkeypatch.setattr(local_commands, "_run_in", lambda config, place, _: seen.update(config=config, place=place))
        status, said = run_pipeline("demo", "--workspace", tmp_path / "demo")
        assert status == 0, said
        assert seen["written"] == seen["config"].source.uri == f"{seen['place'].root}/sources/esdc-like.zarr"
        assert seen["config"].split.held_out_gaps.kind == "clouds"


class TestCompile:
    def test_writes_what_kubeflow_takes(self, tmp_path):
        out = tmp_path / "new" / "lstfill.yaml"
        assert run_pipeline("compile", "--out", out) == (0, f"{out}\n")
        spec = next(yaml.safe_load_all(out.read_text()))
        assert spec["pipelineInfo"]["name"] == "lstfill"
        assert len(spec["root"]["dag"]["tasks"]) == 7

    def test_refuses_a_name_that_kubeflow_does_not_take(self, tmp_path):
        status, seen = run_pipeline("compile", "--out", tmp_path / "lstfill.txt")
        assert status == 1
        assert "its name must end in .yaml, .yml or .json" in seen

    def test_refuses_a_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        status, seen = run_pipeline("compile", "--out", tmp_path / "file" / "lstfill.yaml")
        assert status == 1
        assert "cannot write" in seen
        assert "name another file" in seen


class TestSummaryFile:
    """Found out before hours of work, not after."""

    @pytest.fixture
    def config(self, tmp_path):
        return made.write_config(tmp_path / "run.yaml", "s3://lstfill/sources/cube.zarr")

    def test_a_place_that_cannot_be_written_ends_the_run_before_it_starts(self, tmp_path, config):
        (tmp_path / "file").write_text("")
        status, seen = run_pipeline(
            "run", "--config", config, "--workspace", tmp_path / "w", "--summary", tmp_path / "file" / "s.json"
        )
        assert status == 1
        assert "cannot write" in seen
        assert not (tmp_path / "w").exists()

    def test_an_older_summary_does_not_speak_for_a_run_that_did_not_start(self, tmp_path, config):
        summary = tmp_path / "s.json"
        summary.write_text('{"status": "succeeded"}')
        (tmp_path / "w").write_text("in the way")
        status, _ = run_pipeline("run", "--config", config, "--workspace", tmp_path / "w", "--summary", summary)
        assert status == 1
        written = json.loads(summary.read_text())
        assert (written["status"], written["steps"], written["error"]["step"]) == ("failed", [], None)
        assert "w" in written["error"]["message"]

    def test_a_configuration_that_is_refused_is_in_the_summary(self, tmp_path):
        config, summary = tmp_path / "run.yaml", tmp_path / "s.json"
        config.write_text("source: {uri: a, sceme: b}")
        status, _ = run_pipeline("run", "--config", config, "--summary", summary)
        assert status == 1
        assert "unknown key 'source.sceme'" in json.loads(summary.read_text())["error"]["message"]


class TestFilledCopy:
    def test_a_directory_that_is_there_ends_the_run_before_it_starts(self, tmp_path):
        config = made.write_config(tmp_path / "run.yaml", "s3://lstfill/sources/cube.zarr")
        status, seen = run_pipeline("run", "--config", config, "--workspace", tmp_path / "w", "--filled", tmp_path)
        assert status == 1
        assert f"{tmp_path} exists already: name a directory that does not" in seen
        assert not (tmp_path / "w").exists()


SUMMARY = {
    "scores": {
        "test": {"mae_k": 2.345, "rmse_k": 3.0, "bias_k": -0.004, "r2": 0.9, "n": 12345},
        "held_out_gaps": None,
        "baselines": {"date_mean": {"held_out_gaps": None}},
    }
}


class TestScores:
    def shown(self, summary):
        from rich.console import Console

        console = Console(width=200, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        console.print(local_commands._score_table(summary))
        return console.export_text()

    def test_without_held_out_gaps_only_the_test_cells_are_shown(self):
        shown = self.shown(SUMMARY)
        assert "test cells" in shown
        assert all(text in shown for text in ("2.35", "3.00", "12,345"))
        assert "gaps" not in shown
        assert "None" not in shown

    def test_baselines_stand_below_the_model(self):
        scores = {"mae_k": 5.0, "rmse_k": None, "bias_k": 1.0, "r2": None, "n": 7}
        given = {
            **SUMMARY["scores"],
            "held_out_gaps": scores,
            "baselines": {"date_mean": {"held_out_gaps": scores}},
        }
        shown = self.shown({"scores": given})
        assert shown.index("held-out gaps ") < shown.index("date mean, held-out gaps")
        assert " - " in shown


class TestExport:
    def test_copies_the_filled_cube_as_files_that_open_in_xarray(self, ran, tmp_path):
        status, seen = run_pipeline(
            "export", ran.first.summary["filled"], tmp_path / "filled.zarr", "--workspace", ran.directory
        )
        assert status == 0, seen
        assert seen == f"{ran.first.summary['filled']} -> {tmp_path / 'filled.zarr'}\n"
        filled, source = xr.open_zarr(tmp_path / "filled.zarr").load(), made.cube()[TARGET].values
        observed = np.isfinite(source)
        np.testing.assert_array_equal(filled[TARGET].values[observed], source[observed])
        assert np.isfinite(filled[TARGET].values).sum() > observed.sum() + 1000

    def test_does_not_touch_what_is_there(self, ran, tmp_path):
        (tmp_path / "there").mkdir()
        status, seen = run_pipeline(
            "export", ran.first.summary["filled"], tmp_path / "there", "--workspace", ran.directory
        )
        assert status == 1
        assert "exists already: name a directory that does not" in seen
        assert list((tmp_path / "there").iterdir()) == []

    def test_refuses_what_is_not_whole_and_leaves_nothing(self, ran, tmp_path):
        status, seen = run_pipeline(
            "export", "s3://lstfill/no/such.zarr", tmp_path / "out", "--workspace", ran.directory
        )
        assert status == 1
        assert "there is no store at s3://lstfill/no/such.zarr" in seen
        assert not (tmp_path / "out").exists()


class TestServe:
    @pytest.fixture
    def serving(self, ran):
        with subprocess.Popen(
            [sys.executable, "-m", "pipelines", "serve", "--workspace", str(ran.directory)],
            cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def test_opens_the_store_to_xarray_until_ctrl_c(self, ran, serving):
        access = ran.directory / "store" / "access.env"
        _wait(lambda: access.exists() and access.read_text().count("\n") == 3, serving)
        assert access.stat().st_mode & 0o777 == 0o600
        # As the printed line says.
        opens = f"import xarray; print(dict(xarray.open_zarr({ran.first.summary['filled']!r}).sizes))"
        script = f"set -a; . '{access}'; set +a; exec '{sys.executable}' -c \"{opens}\""
        found = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=120)
        assert found.stdout.strip() == str(dict(zip(("time", "lat", "lon"), made.SHAPE, strict=True))), found.stderr
        server = _server(access)
        serving.send_signal(signal.SIGINT)
        said, _ = serving.communicate(timeout=120)
        assert serving.returncode == 130
        assert said.splitlines()[0] == f"object store at {server}, stores under s3://lstfill; Ctrl-C stops it"
        assert f"set -a; . {access}; set +a" in said
        assert said.splitlines()[-1] == "stopped"
        assert not access.exists()
        with pytest.raises(OSError, match="refused"):
            _connect(server)

    def test_an_object_store_of_yours_needs_no_serving(self):
        status, seen = run_pipeline("serve", "--workspace", "s3://bucket/prefix")
        assert status == 1
        assert "s3://bucket/prefix is open already: serve is for a workspace that is a directory" in seen


def _wait(happened, process):
    deadline = time.monotonic() + 90
    while not happened():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _server(access):
    values = dict(line.split("=", 1) for line in access.read_text().splitlines())
    assert set(values) == {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    return values["AWS_ENDPOINT_URL"]


def _connect(address):
    import socket

    host, port = address.removeprefix("http://").split(":")
    socket.create_connection((host, int(port)), timeout=5).close()


class TestFailedRun:
    def test_status_1_one_message_with_the_step_and_a_summary_that_says_so(self, tmp_path):
        config = made.write_config(tmp_path / "run.yaml", tmp_path / "no-such.zarr")
        summary = tmp_path / "summary.json"
        status, seen = run_pipeline("run", "--config", config, "--workspace", tmp_path / "w", "--summary", summary)
        assert status == 1
        written = json.loads(summary.read_text())
        assert written["status"] == "failed"
        assert written["error"]["step"] == "ingest"
        assert written["error"]["message"].startswith(f"there is no Zarr store at {tmp_path / 'no-such.zarr'}")
        assert [step["name"] for step in written["steps"]] == ["ingest"]
        assert seen.splitlines()[0].strip() == "✗ ingest"
        assert seen.splitlines()[1] == f"error: ingest failed: {written['error']['message']}"
        assert seen.splitlines()[2:] == [f"The whole log is in {written['error']['log']}"]
        assert "Traceback" in Path(written["error"]["log"]).read_text()

    def test_two_runs_at_once_in_one_workspace_are_refused(self, tmp_path):
        config = made.write_config(tmp_path / "run.yaml", tmp_path / "no-such.zarr")
        with local.workspace(str(tmp_path / "w")):
            status, seen = run_pipeline("run", "--config", config, "--workspace", tmp_path / "w")
        assert status == 1
        assert seen.startswith("error: the object store")
        assert len(seen.splitlines()) == 1
