"""The page and the picture from made-up results."""

import pytest

from benchmarks import chart, job, tables
from benchmarks.chain import STEPS
from benchmarks.limits import LIMITS, judged
from benchmarks.parts import MEANING

ROW = {"cpu_s": 2.0, "wall_s": 1.5, "peak_mb": 400.0, "imports_cpu_s": 1.0, "imports_wall_s": 1.1}
SCORES = {"mae_k": 2.41, "rmse_k": 3.0, "bias_k": 0.01}
CUBE = {"name": "seed.zarr", "shape": [10, 2160, 4320], "chunks": [10, 270, 270], "bytes": 7.5e8}
TILES = {"train": ROW, "predict": ROW, "tiles": 12.0, "dates": 10, "tile_cpu_s": 7.0}
TILES |= {"seams": {"core": 0.99, "outer": 1.02}}
GLOBE = {**TILES, "tiles": 336.0, "predict": {**ROW, "cpu_s": 4200.0, "map_s": 2200.0, "worker_peak_mb": 560.0}}
FLOOR = {"fit": {"cpu_s": 1.7}, "fill": {"cpu_s": 1.5}, "scores": SCORES}


def _job():
    found = {
        "cube": CUBE,
        "repeats": 3,
        "ours": {name: dict(ROW) for name in STEPS},
        "fit": {"samples": 6_650_000, "mse": 8.8502, "least_mse": 8.85, "excess": 2e-5, "samples_s": 25e6}
        | {"epochs": 6, "best_epoch": 3},
        "scores": {"ours": SCORES, "peer": SCORES},
        "traffic": {"read source": {"cpu_s": 1.0}, "write cube": {"cpu_s": 1.0}},
        "not_run": {"floor": "no directory of tools was named"},
        "own_floor": FLOOR,
        "peer": {"train": {"cpu_s": 156}, "fill_one_date": {"cpu_s": 38}, "peak_mb": 5200.0, "scores": SCORES}
        | {"versions": {"ml4xcube": "1.1.0"}},
    }
    return found | {"totals": job.totals(found)}


@pytest.fixture
def results():
    about = {
        "date": "2026-01-02T03:04+00:00",
        "commit": "abc1234",
        "load": 0.1,
        "machine": {"cpu": "a processor", "cores": 2, "memory_gb": 23.5, "system": "Linux 6"},
        "versions": {"python": "3.11.1", "numpy": "2.4.6"},
    }
    steps = {name: dict(ROW) for name in STEPS}
    slopes = dict.fromkeys([*STEPS, "all steps"], 1.0)
    workers = {"1": {"map_s": 10.0, "worker_peak_mb": 300.0}, "2": {"map_s": 5.5, "worker_peak_mb": 310.0}}
    workers |= {"faster": 10 / 5.5, "apart": 1.9, "same_values": True}
    found = {
        "job": _job(),
        "growth": {
            "cube": CUBE,
            "time": {"1": steps, "16": steps},
            "area": {"quarter": steps, "whole": steps},
            "slopes": {"time": slopes, "area": slopes},
            "peaks": dict.fromkeys(STEPS, 1.01),
        },
        "workers": dict.fromkeys(("preprocess", "predict"), workers),
        "parts": {"rows": {name: {"rate": 1.0, "bound": 2.0, "share": 0.5} for name in MEANING}},
        "tiles": {
            "cube": CUBE,
            "box": [20, 40, 60, 60],
            "models": {"local": TILES},
            "long": {"local": {**TILES, "dates": 50, "tile_cpu_s": 21.0}},
            "globe": 361.7,
            "year_cpu_h": {"local": 1.94},
        },
        "globe": {"cube": CUBE, "workers": 2, "models": {"local": GLOBE}},
        "remote": {"direct_s": 2.0, "delayed_s": 4.0, "ratio": 2.0, "delay_s": 0.02},
        "start": {"help_s": 0.06, "imports": {name: {"wall_s": 1.0, "cpu_s": 1, "peak_mb": 90} for name in STEPS}},
    }
    return {name: {**of, "surroundings": about} for name, of in found.items()}


def test_totals_are_sums_and_ratios_of_the_same_dates():
    totals = _job()["totals"]
    assert totals["job_cpu_s"] == 14
    assert totals["fit_cpu_s"] == 4
    assert totals["ingest_and_predict_over_bare"] == 2
    assert totals["peer_over_ours"] == pytest.approx((156 + 10 * 38) / 14)


def test_every_limit_has_its_verdict(results):
    verdicts = {limit.what: limit.verdict(value) for limit, value in judged(results) if value is not None}
    assert len(verdicts) == len(LIMITS) - 1  # kfp.local was not run
    missed = [what for what, verdict in verdicts.items() if verdict == "missed"]
    assert missed == ["ingest with 20 ms a request over without"]


def test_the_page_has_every_bench_and_says_what_is_missing(results):
    page = tables.page(results)
    for words in (
        "| ingest with 20 ms a request over without | 2.00 | ≤ 1.5 times | missed |",
        "| largest overhead of a kfp.local step | – | ≤ 1 s | not run |",
        "| **whole job** | 14.0 | 10.5 | – | – | – |",
        "Not run: floor: no directory of tools was named.",
        "commit abc1234, load 0.1 at the start. Cube: seed.zarr, 10 x 2160 x 4320, 750 MB.",
        "0.0020 % above",
        "| preprocess | 10.0 | 5.50 | 1.82 | 1.90 | yes | 310 |",
        "| local | 7.00 | 400 | 2.00 | 400 | 0.99 | 1.02 | 21.0 | 400 | 1.94 |",
        "All land, 336 tiles, 10 dates; 2 Dask workers.",
        "| local | 2,200 | 4,200 | 12.5 | 560 | 400 | 0.99 | 1.02 |",
        "| largest peak of a worker or of the step | 0.59 | ≤ 2 GB | holds |",
        "| mean jump across tile edges over inside | 1.02 | ≤ 1.1 times | holds |",
        "numpy 2.4.6",
    ):
        assert words in page


def test_a_bench_alone_makes_a_page_too(results):
    page = tables.page({"start": results["start"]})
    assert "## Start" in page
    assert "## Growth" not in page


def test_tables_are_aligned_and_short():
    assert tables.table(("", "a"), [("x", 1234567.0), ("y", None), ("z", 0.123)]) == (
        "|  | a |\n| --- | ---: |\n| x | 1,234,567 |\n| y | – |\n| z | 0.12 |"
    )


@pytest.mark.parametrize("names", [("job", "growth"), ("start",)])
def test_the_picture_is_drawn_of_what_there_is(results, names, tmp_path):
    chart.draw({name: results[name] for name in names}, tmp_path / "results.svg")
    assert "<svg" in (tmp_path / "results.svg").read_text()
