import re
from pathlib import Path

import pytest
import yaml
from kfp import compiler

import components
from pipelines.pipeline import lstfill

STEPS = ["ingest", "mask", "split", "preprocess", "train", "evaluate", "predict"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    path = tmp_path_factory.mktemp("compiled") / "lstfill.yaml"
    compiler.Compiler().compile(lstfill, str(path))
    return path.read_text()


@pytest.fixture(scope="module")
def spec(compiled):
    return next(yaml.safe_load_all(compiled))


def test_seven_steps_in_a_plain_dag(spec):
    tasks = spec["root"]["dag"]["tasks"]
    assert sorted(tasks) == sorted(STEPS)
    for task in tasks.values():
        assert "triggerPolicy" not in task
        assert "iteratorPolicy" not in task


@pytest.mark.parametrize(
    ("step", "needs"),
    [
        ("ingest", set()),
        ("mask", {"ingest"}),
        ("split", {"ingest", "mask"}),
        ("preprocess", {"ingest", "mask", "split"}),
        ("train", {"ingest", "mask", "split", "preprocess"}),
        ("evaluate", {"ingest", "mask", "split", "train"}),
        ("predict", {"ingest", "mask", "train"}),
    ],
)
def test_each_step_waits_for_what_it_reads(spec, step, needs):
    assert set(spec["root"]["dag"]["tasks"][step].get("dependentTasks", [])) == needs


def test_every_parameter_is_described(spec):
    for name, parameter in spec["root"]["inputDefinitions"]["parameters"].items():
        assert parameter.get("description"), name


def test_only_workspace_and_source_are_required(spec):
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert {name for name, p in parameters.items() if not p.get("isOptional")} == {"workspace", "source_uri"}


def test_components_run_in_our_images_and_install_nothing(spec, compiled):
    for executor in spec["deploymentSpec"]["executors"].values():
        assert re.fullmatch(r"lstfill-python(-ml)?:\d+\.\d+\.\d+", executor["container"]["image"])
    assert "pip install" not in compiled


def test_only_training_evaluation_and_prediction_need_the_large_image(spec):
    executors = spec["deploymentSpec"]["executors"]
    large = {name.removeprefix("exec-") for name, e in executors.items() if "-ml:" in e["container"]["image"]}
    assert large == {"train", "evaluate", "predict"}


def test_no_parameter_takes_a_credential_and_no_path_of_a_machine_is_compiled(spec, compiled):
    names = spec["root"]["inputDefinitions"]["parameters"]
    assert not [name for name in names if re.search(r"secret|password|token|access_key", name)]
    assert not re.search(r"secret|password|access_key", compiled, re.IGNORECASE)
    assert str(Path.home()) not in compiled
    assert str(Path(__file__).parents[2]) not in compiled


@pytest.mark.parametrize("name", STEPS)
def test_a_component_is_thin(name):
    """A body of at most three statements, and no science in it."""
    import ast
    import inspect
    import textwrap

    source = textwrap.dedent(inspect.getsource(getattr(components, name).python_func))
    body = ast.parse(source).body[0].body
    without_docstring_and_imports = [s for s in body[1:] if not isinstance(s, ast.ImportFrom | ast.Import)]
    assert len(without_docstring_and_imports) <= 3
    imported = {s.module for s in body if isinstance(s, ast.ImportFrom)}
    assert imported == {"lstfill.steps"}


def test_the_run_leaves_model_scores_report_and_cube(spec):
    assert set(spec["root"]["outputDefinitions"]["artifacts"]) == {"model", "evaluation", "report", "filled"}
