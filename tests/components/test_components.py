"""The components' own lines: their functions with what Kubeflow hands them, in the shape it hands it."""

from __future__ import annotations

import inspect
import json
import math
from types import SimpleNamespace
from typing import NamedTuple

import pytest

import components
from lstfill import artifacts
from lstfill.config import Config, build
from lstfill.errors import ConfigError, StoreError
from lstfill.storage import stores
from pipelines.parameters import FLAT, arguments
from tests import made

SHAPE = (6, 18, 36)
STEPS = ["ingest", "mask", "split", "preprocess", "train", "evaluate", "predict"]
ARTIFACTS = {"cube", "land", "parts", "samples", "model", "evaluation", "metrics", "report", "filled"}


def as_kubeflow_delivers(value):
    """Mappings with sorted keys, and whole numbers inside lists and mappings as floats."""
    if isinstance(value, dict):
        return {key: as_kubeflow_delivers(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [as_kubeflow_delivers(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def delivered(values):
    """Parameters of a pipeline: plain ones keep their type, what is inside lists and mappings does not."""
    return {
        name: as_kubeflow_delivers(value) if isinstance(value, dict | list) else value for name, value in values.items()
    }


class Chain(NamedTuple):
    """All components run one after the other."""

    values: dict
    artifacts: dict
    root: object


def function(step):
    return getattr(components, step).python_func


def call(step, values, made_artifacts, place):
    """Runs a component; its outputs are made as on a cluster: an address of the pipeline root, and a local path."""
    wanted = inspect.signature(function(step)).parameters
    given = {name: values[name] for name in wanted if name not in ARTIFACTS}
    for name in wanted:
        if name in ARTIFACTS and name not in made_artifacts:
            uri = f"minio://mlpipeline/v2/artifacts/lstfill/0123-run/{step}/4567-task/{name}"
            made_artifacts[name] = SimpleNamespace(path=str(place / step / name), uri=uri, metadata={})
    function(step)(**given, **{name: made_artifacts[name] for name in wanted if name in ARTIFACTS})
    for name in wanted:
        if name in ARTIFACTS:  # what a cluster adds on the way to the next task
            made_artifacts[name].metadata |= {"display_name": name, "store_session_info": "{}"}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    root = tmp_path_factory.mktemp("components")
    made.cube(SHAPE).drop_encoding().to_zarr(root / "source.zarr", zarr_format=2)
    split = {"block": {"time": 3, "lat": 6, "lon": 6}}
    config = made.config(root / "source.zarr", split=split, train={"epochs": 2}, cluster={"workers": 2})
    values = delivered(arguments(build(Config, config), str(root / "work")))
    handed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
        for step in STEPS:
            call(step, values, handed, root / "outputs")
    return Chain(values, handed, root)


class TestDelivery:
    def test_parameters_arrive_as_in_a_local_run(self, chain):
        assert chain.values["split_block"] == {"lat": 6.0, "lon": 6.0, "time": 3.0}
        assert type(chain.values["split_block"]["lat"]) is float
        assert list(chain.values["split_block"]) == ["lat", "lon", "time"]
        assert type(chain.values["train_epochs"]) is int
        assert chain.values["source_time"] == chain.values["source_bbox_deg"] == []
        assert chain.values["train_pretrained"] == chain.values["tracking_uri"] == ""


class TestSignatures:
    @pytest.mark.parametrize("step", STEPS)
    def test_every_parameter_is_one_of_the_pipelines(self, step, chain):
        names = set(inspect.signature(function(step)).parameters) - ARTIFACTS
        assert names <= set(chain.values)
        assert "workspace" in names

    def test_every_parameter_of_the_pipeline_is_used_by_some_step(self, chain):
        used = {name for step in STEPS for name in inspect.signature(function(step)).parameters}
        assert set(chain.values) <= used

    @pytest.mark.parametrize("section", [name for name in FLAT if name not in ("tracking",)])
    def test_a_section_goes_to_its_step(self, section):
        step = "ingest" if section == "source" else section
        names = inspect.signature(function(step)).parameters
        assert {f"{section}_{field}" for field in FLAT[section]} <= set(names)


class TestPointers:
    @pytest.mark.parametrize("name", sorted(ARTIFACTS - {"metrics", "report"}))
    def test_lead_to_a_place_in_the_workspace_that_follows_from_the_artifact(self, chain, name):
        pointer = artifacts.read(chain.artifacts[name].path)
        step = pointer.step
        wanted = f"{chain.root / 'work'}/v2/artifacts/lstfill/0123-run/{step}/4567-task/{name}"
        assert pointer.uri.removesuffix(".zarr") == wanted
        assert (chain.root / "outputs" / step / name).stat().st_size < 20_000

    @pytest.mark.parametrize("name", sorted(ARTIFACTS - {"report"}))
    def test_have_metadata_that_kubeflow_can_carry(self, chain, name):
        metadata = chain.artifacts[name].metadata
        assert json.loads(json.dumps(metadata, allow_nan=False)) == metadata
        assert not [value for value in leaves(metadata) if value is None]
        assert not [v for v in leaves(metadata) if isinstance(v, float) and not math.isfinite(v)]

    def test_say_in_the_metadata_what_is_in_the_file(self, chain):
        pointer, metadata = artifacts.read(chain.artifacts["cube"].path), chain.artifacts["cube"].metadata
        assert metadata["uri"] == pointer.uri
        assert metadata["identity"] == pointer.identity
        assert metadata["shape"] == list(SHAPE)


def leaves(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]


class TestResults:
    def test_whole_numbers_come_back_as_whole_numbers(self, chain):
        configuration = stores.provenance(artifacts.read(chain.artifacts["samples"].path).uri)["configuration"]
        assert configuration["split"]["block"] == {"time": 3, "lat": 6, "lon": 6}
        assert type(configuration["split"]["block"]["lat"]) is int

    def test_the_configuration_of_the_stores_is_the_one_that_was_asked_for(self, chain):
        """Through flat parameters, sorted keys, floats and empty texts."""
        asked = build(Config, made.config(chain.root / "source.zarr")).source.model_dump(mode="json")
        stored = stores.provenance(artifacts.read(chain.artifacts["filled"].path).uri)["configuration"]
        assert stored["source"] == {**asked, "extras": ["land_mask"]}
        assert stored["train"]["pretrained"] is None
        assert stored["train"]["learning_rate"] == 0.1

    def test_metrics_are_a_table_of_numbers_and_a_file(self, chain):
        metrics = chain.artifacts["metrics"]
        facts = artifacts.read(chain.artifacts["evaluation"].path).facts
        assert metrics.metadata["test_mae_k"] == facts["scores"]["test"]["mae_k"]
        assert metrics.metadata["held_out_gaps_n"] == facts["scores"]["held_out_gaps"]["n"]
        with open(metrics.path, encoding="utf-8") as file:  # noqa: PTH123
            assert json.load(file)["test_rmse_k"] == facts["scores"]["test"]["rmse_k"]

    def test_the_report_is_a_page(self, chain):
        with open(chain.artifacts["report"].path, encoding="utf-8") as file:  # noqa: PTH123
            assert file.read(15).lower() == "<!doctype html>"

    def test_the_filled_cube_is_whole(self, chain):
        assert stores.provenance(artifacts.read(chain.artifacts["filled"].path).uri)["step"] == "predict"


class TestRefusals:
    def run_mask(self, chain, tmp_path, cube=None, **values):
        given = {"workspace": str(tmp_path), "mask_kind": "none", "mask_options": {}, **values}
        land = SimpleNamespace(path=str(tmp_path / "land"), uri=str(tmp_path / "run" / "mask" / "land"), metadata={})
        function("mask")(**given, cube=cube or chain.artifacts["cube"], land=land)
        return land

    def test_an_option_that_there_is_not(self, chain, tmp_path):
        with pytest.raises(ConfigError, match="section mask: unknown key 'varible'; known there: kind, variable"):
            self.run_mask(chain, tmp_path, mask_options={"varible": "lm"})
        assert not (tmp_path / "land").exists()

    def test_a_pointer_whose_store_is_gone(self, chain, tmp_path):
        pointer = artifacts.Pointer(str(tmp_path / "gone.zarr"), "ingest", "abc", {})
        cube = SimpleNamespace(path=str(tmp_path / "cube"), uri="x", metadata={})
        artifacts.publish(cube.path, cube.metadata, pointer)
        with pytest.raises(StoreError, match=r"gone.zarr.*outlived its data.*made by step ingest"):
            self.run_mask(chain, tmp_path, cube=cube)

    def test_nothing_is_published_by_a_step_that_failed(self, chain, tmp_path):
        with pytest.raises(ConfigError):
            self.run_mask(chain, tmp_path, mask_kind="sea")
        assert list(tmp_path.iterdir()) == []

    def test_the_same_call_without_a_mistake_works(self, chain, tmp_path):
        assert self.run_mask(chain, tmp_path).metadata["land_cells"] == SHAPE[1] * SHAPE[2]
