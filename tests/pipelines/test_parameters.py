import json

import pytest
from kfp import dsl

from lstfill.config import Cluster, Config, build
from lstfill.steps.task import SECTIONS as SECTIONS_OF_STEPS
from pipelines.parameters import FLAT, arguments
from pipelines.pipeline import lstfill

SECTIONS = {name: SECTIONS_OF_STEPS[name] for name in FLAT}


def inputs():
    return lstfill.pipeline_spec.root.input_definitions.parameters


def section_of(values, name):
    """Puts a section together from flat parameters, as a component does."""
    flat = {field: values[f"{name}_{field}"] for field in FLAT[name]}
    return build(SECTIONS[name], {**flat, **values.get(f"{name}_options", {})})


FULL = {
    "source": {
        "uri": "s3://bucket/cube.zarr",
        "time": ["2002-05-21", "2002-08-01"],
        "bbox_deg": [170, -20, -170, 20],
        "valid_range_k": [200, 340],
        "units": {"air_temperature_2m": "degC"},
        "anonymous": True,
    },
    "mask": {"kind": "variable", "variable": "lm", "exclude": ["lake"]},
    "split": {"buffer": {"lat": 2}, "held_out_gaps": {"kind": "given", "truth": "t", "gap": "g"}, "seed": 7},
    "preprocess": {"missing": "constant", "constant": 280.5, "max_samples": 1000},
    "train": {"register_as": "m", "alias": "champion", "epochs": 3},
    "evaluate": {"baselines": ["feature"], "groups": []},
    "predict": {"zarr_format": 3, "write": "filled+observed"},
    "cluster": {"kind": "local", "workers": 3, "memory_limit": "1GiB"},
    "tracking": {"experiment": "mine"},
}


@pytest.mark.parametrize("values", [{"source": {"uri": "a.zarr"}}, FULL], ids=["defaults", "full"])
def test_flat_parameters_give_the_configuration_back(values):
    config = build(Config, values)
    flat = json.loads(json.dumps(arguments(config, "s3://w"), sort_keys=True))
    for name in SECTIONS:
        wanted = getattr(config, name)
        if name == "source":
            wanted = wanted.model_copy(update={"extras": config.carried_extras()})
        assert section_of(flat, name) == wanted, name
    assert build(Cluster, flat["cluster"]) == config.cluster


def test_arguments_are_the_inputs_of_the_pipeline():
    assert set(arguments(build(Config, FULL), "s3://w")) == set(inputs())


def test_arguments_hold_no_null():
    assert None not in arguments(build(Config, {"source": {"uri": "a"}}), "s3://w").values()


@pytest.mark.parametrize("name", SECTIONS)
def test_defaults_of_the_form_are_those_of_the_configuration(name):
    """Whoever submits from the UI gets what whoever runs a file gets."""
    defaults = arguments(build(Config, {"source": {"uri": "a"}}), "s3://w")
    parameters = lstfill.component_spec.inputs
    for field in FLAT[name]:
        key = f"{name}_{field}"
        if key == "source_uri":
            continue
        # An empty mapping stands for a section's own defaults.
        form = parameters[key].default
        assert form == defaults[key] or form == {}, key
    values = {key: spec.default for key, spec in parameters.items() if not (key == "source_uri" or key == "workspace")}
    assert section_of({**values, "source_uri": "a"}, name) == getattr(build(Config, {"source": {"uri": "a"}}), name)


def test_a_pipeline_takes_the_arguments():
    @dsl.pipeline
    def outer():
        lstfill(**arguments(build(Config, FULL), "s3://w"))

    assert outer.pipeline_spec
