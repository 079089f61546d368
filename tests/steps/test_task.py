"""A step as a Kubeflow task: pointers in, a pointer out, and one line that says what it took or why it failed."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass, field
from typing import Any

import pytest

from lstfill import artifacts
from lstfill.errors import ConfigError, StoreError
from lstfill.steps import publish_scores, run_task
from lstfill.steps.task import EVENT, peak_rss_mb
from tests.steps.chain import FEATURE, LAND, TARGET


@dataclass
class Artifact:
    """What Kubeflow hands to a task."""

    path: str
    uri: str
    metadata: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def artifact(tmp_path):
    def make(task, name="output", run="run-1"):
        place = tmp_path / "outputs" / run / task / name
        return Artifact(str(place), str(place))

    return make


@pytest.fixture
def ingested(artifact, source_store, tmp_path):
    cube = artifact("ingest", "cube")
    source = {"uri": source_store, "features": [FEATURE], "extras": [LAND]}
    run_task("ingest", str(tmp_path / "work"), output=cube, source=source)
    return cube


def mask(ingested, output, tmp_path, **section):
    section = section or {"kind": "variable", "variable": LAND}
    return run_task("mask", str(tmp_path / "work"), inputs={"cube": ingested}, output=output, mask=section)


def events(caplog):
    return [json.loads(text.removeprefix(EVENT)) for text in caplog.messages if text.startswith(EVENT)]


def test_the_place_of_the_store_follows_from_the_artifact(ingested, tmp_path):
    pointer = artifacts.read(ingested.path)
    assert pointer.uri == str(tmp_path / "work" / "run-1" / "ingest" / "cube.zarr")
    assert ingested.metadata["uri"] == pointer.uri
    assert ingested.metadata["target"] == TARGET


def test_the_next_step_finds_the_store_through_the_pointer(ingested, artifact, tmp_path):
    land = artifact("mask", "land")
    pointer = mask(ingested, land, tmp_path)
    assert artifacts.read(land.path) == pointer
    assert pointer.facts["land_cells"] > 0


def test_a_pointer_is_small(ingested):
    from pathlib import Path

    assert Path(ingested.path).stat().st_size < 2000


def test_one_line_says_what_a_step_took(ingested, artifact, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        mask(ingested, artifact("mask"), tmp_path)
    (event,) = events(caplog)
    assert event["step"] == "mask"
    assert 0 < event["seconds"] < 60
    assert 30 < event["peak_rss_mb"] == pytest.approx(peak_rss_mb(), rel=0.05)


def test_one_line_says_why_a_step_failed_and_no_pointer_is_left(ingested, artifact, tmp_path, caplog):
    land = artifact("mask")
    with caplog.at_level(logging.INFO), pytest.raises(ConfigError):
        mask(ingested, land, tmp_path, kind="globus")
    (event,) = events(caplog)
    assert event["step"] == "mask"
    assert event["error"].startswith("section mask: kind: ")
    assert "'globus'" in event["error"]
    with pytest.raises(StoreError, match="the step before did not finish"):
        artifacts.read(land.path)


def test_a_mistake_of_ours_is_told_by_its_name(artifact, tmp_path, caplog):
    with caplog.at_level(logging.INFO), pytest.raises(ModuleNotFoundError):
        run_task("nothing", str(tmp_path), output=artifact("nothing"))
    assert events(caplog)[0]["error"].startswith("ModuleNotFoundError: ")


def test_parameters_may_come_back_from_kubeflow_with_sorted_keys_and_floats(artifact, source_store, tmp_path):
    source = {"valid_range_k": [180.0, 345.0], "uri": source_store, "time": [], "chunks": {"lon": 18.0, "lat": 10.0}}
    pointer = run_task("ingest", str(tmp_path / "work"), output=artifact("ingest"), source=source)
    assert pointer.facts["chunks"] == [5, 10, 18]


def test_a_cached_pointer_that_outlived_its_store(ingested, artifact, tmp_path):
    shutil.rmtree(artifacts.read(ingested.path).uri)
    message = (
        r"no store at .*cube\.zarr: it may have been deleted\. .*without caching \(the pointer was made by step ingest"
    )
    with pytest.raises(StoreError, match=message):
        mask(ingested, artifact("mask"), tmp_path)


def test_an_input_without_a_pointer(artifact, tmp_path):
    with pytest.raises(StoreError, match=r"there is no pointer at .*: the step before did not finish; run it again"):
        mask(artifact("ingest"), artifact("mask"), tmp_path)


def test_a_retry_of_a_task_overwrites(ingested, artifact, tmp_path):
    land = artifact("mask")
    first, again = (mask(ingested, land, tmp_path) for _ in range(2))
    assert first == again


def test_scores_are_shown_in_kubeflow(scored, artifact):
    from pathlib import Path

    from lstfill.steps.provenance import origin_of, pointer_to

    metrics, report = artifact("evaluate", "metrics"), artifact("evaluate", "report")
    pointer = pointer_to(scored.at("evaluation"), origin_of(scored.at("evaluation")))
    publish_scores(pointer, metrics=metrics, report=report)
    assert metrics.metadata["test_mae_k"] == pointer.facts["scores"]["test"]["mae_k"]
    assert metrics.metadata["held_out_gaps_n"] == pointer.facts["scores"]["held_out_gaps"]["n"]
    assert json.loads(Path(metrics.path).read_text()) == metrics.metadata
    assert Path(report.path).read_bytes() == Path(pointer.facts["report"]).read_bytes()


def test_scores_that_are_undefined_are_left_out(scored, artifact, tmp_path):
    page = tmp_path / "report.html"
    page.write_text("<html></html>")
    scores = {"test": {"mae_k": 1.0, "r2": None, "weighted": {"mae_k": 1.0}}, "held_out_gaps": None}
    pointer = artifacts.Pointer("somewhere", "evaluate", "id", {"scores": scores, "report": str(page)})
    metrics = artifact("evaluate", "metrics")
    publish_scores(pointer, metrics=metrics, report=artifact("evaluate", "report"))
    assert metrics.metadata == {"test_mae_k": 1.0}
