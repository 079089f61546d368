"""What other programs say, and what is said where they are not there."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import outside
from benchmarks.measure import BenchError


def _stage(name, cpu, **further):
    return {"stage": name, "wall_s": 2 * cpu, "cpu_s": cpu, "peak_rss_mb": 100 * cpu, "ok": True, **further}


def _said(*further):
    scores = {"gap_mae_K": 14.3, "gap_rmse_K": 18.0, "gap_bias_K": -1.0}
    return {
        "stages": [
            _stage("0 imports", 7),
            _stage("1 open cube", 1),
            _stage("4 XrDataset", 2),
            _stage("4b tf.data", 3),
            _stage("6 Trainer.train", 4),
            _stage("6c model.evaluate(full test)", 50),
            _stage("7a to_dataframe(1 step)", 5),
            _stage("7b predict gaps (1 step)", 6),
            _stage("7c score the filled gaps against the truth", 9, **scores),
            *further,
        ]
    }


def test_the_peers_imports_and_scoring_are_not_in_its_cost():
    found = outside.peer_figures(_said())
    assert found["train"] == {"wall_s": 20, "cpu_s": 10}
    assert found["fill_one_date"] == {"wall_s": 22, "cpu_s": 11}
    assert found["peak_mb"] == 5000
    assert found["scores"] == {"mae_k": 14.3, "rmse_k": 18.0, "bias_k": -1.0}


def test_a_stage_that_failed_is_named():
    broken = {**_stage("7d plot filled map", 1), "ok": False, "error": "KeyError: lat"}
    with pytest.raises(BenchError, match="7d plot filled map: KeyError: lat"):
        outside.peer_figures(_said(broken))


def test_why_a_program_is_not_run(tmp_path):
    with pytest.raises(BenchError, match="no directory of tools"):
        outside.floor(None, tmp_path)
    with pytest.raises(BenchError, match=r"there is no least_squares_floor\.py"):
        outside.floor(tmp_path, tmp_path)
    (tmp_path / outside.WORKFLOW).touch()
    with pytest.raises(BenchError, match="no interpreter"):
        outside.peer(tmp_path, None, tmp_path, tmp_path)


def test_the_floor_is_read_from_what_it_prints(tmp_path):
    said = {"fit_wall": 1, "fit_cpu": 2, "total_wall": 4, "total_cpu": 7, "peak_mb": 250}
    said |= {"gap_mae": 2.4, "gap_rmse": 3.0, "gap_bias": 0.1}
    (tmp_path / outside.FLOOR).write_text(f"print({json.dumps(json.dumps(said))})")
    found = outside.floor(tmp_path, tmp_path / "cube.zarr")
    assert found["fit"] == {"wall_s": 1, "cpu_s": 2}
    assert found["fill"] == {"wall_s": 3, "cpu_s": 5}
    assert found["scores"]["mae_k"] == 2.4


def test_the_peer_is_run_by_its_own_interpreter(tmp_path):
    program = f"import json, sys\njson.dump({_said()!r}, open(sys.argv[sys.argv.index('--json') + 1], 'w'))"
    (tmp_path / outside.WORKFLOW).write_text(program)
    found = outside.peer(tmp_path, Path(sys.executable), tmp_path / "cube.zarr", tmp_path)
    assert found["train"]["cpu_s"] == 10
    assert found["whole_wall_s"] > 0
    assert found["versions"]["numpy"] == np.__version__
