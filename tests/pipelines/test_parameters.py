import json

import pytest
from kfp import dsl

from lstfill.config import Cluster, Config, build
from lstfill.errors import ConfigError
from lstfill.steps.task import SECTIONS as SECTIONS_OF_STEPS
from pipelines.parameters import FLAT, arguments, configuration, typed
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
        "covariates": ["elevation"],
        "select": {"gap_level": 96, "run": "2008-01-01"},
    },
    "mask": {"kind": "variable", "variable": "lm", "exclude": ["lake"]},
    "split": {"buffer": {"lat": 2}, "held_out_gaps": {"kind": "given", "truth": "t", "gap": "g"}, "seed": 7},
    "preprocess": {"missing": "constant", "constant": 280.5, "max_samples": 1000},
    "train": {
        "model": "ensemble",
        "compare": ["linear", "harmonic"],
        "register_as": "m",
        "alias": "champion",
        "epochs": 3,
        "tiles": {"side": 64},
        "mlp": {"hidden": [32, 16]},
    },
    "evaluate": {"baselines": ["feature"], "groups": [], "gate": {"margin_k": 0.2}},
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


def test_whole_numbers_that_kubeflow_made_floats_are_whole_again():
    flat = arguments(build(Config, FULL), "s3://w")
    flat |= {"train_options": {"tiles": {"side": 64.0}, "mlp": {"hidden": [32.0, 16.0]}}}
    flat |= {"source_select": {"gap_level": 96.0, "run": "2008-01-01"}}
    assert section_of(flat, "train") == build(Config, FULL).train
    assert section_of(flat, "source").select == build(Config, FULL).source.select


def test_what_is_not_varied_in_a_form_travels_in_the_options():
    flat = arguments(build(Config, FULL), "s3://w")
    assert flat["train_options"] == {"tiles": {"side": 64}, "mlp": {"hidden": [32, 16]}}
    assert flat["evaluate_options"] == {"gate": {"margin_k": 0.2}}
    assert arguments(build(Config, {"source": {"uri": "a"}}), "s3://w")["train_options"] == {}


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


class TestTyped:
    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("source_uri", "s3://bucket/cube.zarr", "s3://bucket/cube.zarr"),
            ("source_target", "", ""),
            ("train_epochs", "3", 3),
            ("train_learning_rate", "1e-2", 0.01),
            ("train_learning_rate", "1", 1.0),
            ("source_anonymous", "true", True),
            ("source_anonymous", "False", False),
            ("source_time", '["2002-05-21", "2002-08-01"]', ["2002-05-21", "2002-08-01"]),
            ("source_bbox_deg", "[]", []),
            ("source_select", '{"gap_level": 96}', {"gap_level": 96}),
            ("train_compare", '["linear"]', ["linear"]),
            ("split_block", '{"lat": 2, "lon": 2.5}', {"lat": 2, "lon": 2.5}),
            ("predict_zarr_format", "3", "3"),
        ],
    )
    def test_a_text_becomes_what_the_parameter_takes(self, name, text, value):
        read = typed({name: text})[name]
        assert read == value
        assert type(read) is type(value)

    def test_all_that_is_given_and_no_more(self):
        given = {"train_seed": "7", "train_epochs": "2"}
        assert typed(given) == {"train_seed": 7, "train_epochs": 2}
        assert typed({}) == {}

    @pytest.mark.parametrize(
        ("name", "text", "expected"),
        [
            ("train_epochs", "ten", "a whole number"),
            ("train_epochs", "1.5", "a whole number"),
            ("train_epochs", "true", "a whole number"),
            ("train_epochs", "", "a whole number"),
            ("train_learning_rate", "fast", "a finite number"),
            ("train_learning_rate", "nan", "a finite number"),
            ("train_learning_rate", "-inf", "a finite number"),
            ("source_anonymous", "yes", "true or false"),
            ("source_anonymous", "1", "true or false"),
            ("source_features", "air_temperature_2m", "a list in JSON"),
            ("source_features", '{"a": 1}', "a list in JSON"),
            ("source_features", '"air"', "a list in JSON"),
            ("split_block", "[1]", "a mapping in JSON"),
            ("split_block", "{lat: 2}", "a mapping in JSON"),
            ("split_fractions", '{"train": NaN}', "a mapping in JSON"),
            ("split_fractions", '{"train": Infinity}', "a mapping in JSON"),
            ("split_fractions", '{"train": 1e999}', "a mapping in JSON"),
            ("split_fractions", "null", "a mapping in JSON"),
        ],
    )
    def test_another_type_is_refused_with_the_expected_one_and_the_value(self, name, text, expected):
        with pytest.raises(ConfigError) as refused:
            typed({name: text})
        assert str(refused.value).startswith(f"parameter {name} takes {expected}")
        assert str(refused.value).endswith(f"got {text!r}")

    def test_an_unknown_name_is_refused_with_the_close_ones(self):
        with pytest.raises(ConfigError, match=r"has no parameter 'train_epoch'; close to it: train_epochs, "):
            typed({"train_epoch": "3"})

    def test_a_name_like_no_other_is_refused_with_all(self):
        with pytest.raises(
            ConfigError, match=r"no parameter 'zzz'; it has: workspace, source_uri, .*tracking_experiment"
        ):
            typed({"zzz": "3"})

    def test_every_type_of_the_form_is_known(self):
        texts = {"String": "a", "Integer": "1", "Float": "1", "Boolean": "true", "List": "[]", "Dict": "{}"}
        given = {name: texts[str(of.type)] for name, of in lstfill.component_spec.inputs.items()}
        assert set(typed(given)) == set(inputs())


class TestConfiguration:
    @pytest.mark.parametrize("values", [{"source": {"uri": "a.zarr"}}, FULL], ids=["defaults", "full"])
    def test_is_the_one_that_the_arguments_were_made_from(self, values):
        config = build(Config, values)
        carried = config.source.model_copy(update={"extras": config.carried_extras()})
        assert configuration(arguments(config, "s3://w")) == config.model_copy(update={"source": carried})

    def test_with_overrides(self):
        values = arguments(build(Config, FULL), "s3://w") | typed({"train_epochs": "9", "split_block": '{"lat": 5}'})
        made = configuration(values)
        assert (made.train.epochs, made.train.alias) == (9, "champion")
        assert (made.split.block.lat, made.split.block.lon) == (5, 100)

    @pytest.mark.parametrize(
        ("override", "said"),
        [
            ({"train_epochs": "0"}, "parameters: train.epochs"),
            ({"split_fractions": '{"train": 2}'}, "parameters: split.fractions.train"),
            (
                {"split_block": '{"latitude": 2}'},
                "parameters: unknown key 'split.block.latitude'; known there: time, lat",
            ),
            ({"mask_options": '{"varable": "x"}'}, "parameters: unknown key 'mask.varable'"),
            ({"cluster": '{"kind": "moon"}'}, "parameters: cluster.kind"),
            ({"train_compare": '["magic"]'}, "parameters: train.compare.0"),
            ({"train_options": '{"tiles": {"side": 8}}'}, "parameters: train.tiles.side"),
            ({"evaluate_options": '{"gates": {}}'}, "parameters: unknown key 'evaluate.gates'"),
        ],
    )
    def test_a_value_that_the_configuration_refuses_is_refused_here(self, override, said):
        values = arguments(build(Config, FULL), "s3://w") | typed(override)
        with pytest.raises(ConfigError) as refused:
            configuration(values)
        assert str(refused.value).startswith(said)

    def test_without_a_source(self):
        with pytest.raises(ConfigError, match=r"parameters: 'source.uri' is required"):
            configuration({"train_epochs": 2})
