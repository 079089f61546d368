import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.config import Config, Mask, Predict, Preprocess, Source, Split, Train, build
from lstfill.errors import ConfigError

SOURCE = {"uri": "s3://bucket/cube.zarr"}


def config(**sections):
    return build(Config, {"source": SOURCE, **sections})


def test_defaults_are_the_published_use_case():
    defaults = config()
    assert defaults.source.target == "land_surface_temperature"
    assert defaults.source.features == ["air_temperature_2m"]
    assert defaults.source.valid_range_k == (180, 345)
    assert (defaults.split.block.time, defaults.split.block.lat, defaults.split.block.lon) == (10, 100, 100)
    assert (defaults.train.epochs, defaults.train.learning_rate, defaults.train.patience) == (10, 0.1, 5)


REFUSALS = {
    "unknown section": ({"spilt": {}}, r"unknown key 'spilt'; known there: source, mask, split"),
    "unknown key": ({"train": {"epoch": 3}}, r"unknown key 'train.epoch'; known there: model, compare, pretrained"),
    "unknown key, deep": (
        {"split": {"block": {"lt": 3}}},
        r"unknown key 'split.block.lt'; known there: time, lat, lon",
    ),
    "wrong type": ({"train": {"epochs": "many"}}, r"train.epochs: .*integer.*, got 'many'"),
    "fraction of a count": ({"train": {"epochs": 1.5}}, r"train.epochs: .*integer.*, got 1.5"),
    "no epochs": ({"train": {"epochs": 0}}, r"train.epochs: .*greater than or equal to 1, got 0"),
    "learning rate of zero": ({"train": {"learning_rate": 0}}, r"train.learning_rate: .*greater than 0, got 0"),
    "NaN": ({"train": {"learning_rate": float("nan")}}, r"train.learning_rate: .*finite"),
    "unknown model": ({"train": {"model": "magic"}}, r"train.model: .*'linear', .*'ensemble', got 'magic'"),
    "alias without name": ({"train": {"alias": "champion"}}, r"alias 'champion' without register_as"),
    "pretrained and registered": (
        {"train": {"pretrained": "models:/m@a", "register_as": "m"}},
        r"register_as 'm' with pretrained 'models:/m@a'",
    ),
    "fractions": (
        {"split": {"fractions": {"train": 0.9}}},
        r"fractions add up to 1.2, not 1: train 0.9, validation 0.1",
    ),
    "no validation": (
        {"split": {"fractions": {"train": 0.8, "validation": 0, "test": 0.2}}},
        r"every part needs a share above 0",
    ),
    "buffer eats the block": (
        {"split": {"block": {"lat": 5}, "buffer": {"lat": 5}}},
        r"buffer.lat is 5, not smaller than block.lat 5",
    ),
    "buffer of a random split": ({"split": {"kind": "random", "buffer": {"lon": 1}}}, r"buffer.lon is 1, but a random"),
    "given without truth": ({"split": {"held_out_gaps": {"kind": "given", "gap": "g"}}}, r"needs the names of two"),
    "truth without given": ({"split": {"held_out_gaps": {"kind": "clouds", "truth": "t"}}}, r"takes no 'truth'"),
    "date without given": (
        {"split": {"held_out_gaps": {"kind": "clouds", "date": "2019-06-05"}}},
        r"kind 'clouds' takes no 'truth', 'gap' or 'date', got \{'date': '2019-06-05'\}",
    ),
    "all held out": ({"split": {"held_out_gaps": {"fraction": 1}}}, r"held_out_gaps.fraction: .*less than 1, got 1"),
    "mask variable missing": ({"mask": {"kind": "variable"}}, r"kind 'variable' with variable None"),
    "mask variable unused": ({"mask": {"variable": "lm"}}, r"kind 'globe' with variable 'lm'"),
    "constant missing": ({"preprocess": {"missing": "constant"}}, r"missing 'constant' with constant None"),
    "custom missing": ({"preprocess": {"scaling": "custom"}}, r"scaling 'custom' with custom None"),
    "custom form": ({"preprocess": {"scaling": "custom", "custom": "f"}}, r"'f' is not of the form module:function"),
    "scheduler without address": ({"cluster": {"kind": "scheduler"}}, r"kind 'scheduler' with address None"),
    "no workers": ({"cluster": {"workers": 0}}, r"cluster.workers: .*greater than or equal to 1"),
    "unknown baseline": ({"evaluate": {"baselines": ["luck"]}}, r"evaluate.baselines.0: .*'feature'.*, got 'luck'"),
    "format": ({"predict": {"zarr_format": 4}}, r"predict.zarr_format: .*2 or 3, got 4"),
}

SOURCE_REFUSALS = {
    "no address": ({"uri": ""}, r"source.uri: .*at least 1 character"),
    "target among features": (
        {"target": "a", "features": ["a"]},
        r"target, features and covariates must differ.*\['a', 'a'\]",
    ),
    "feature among covariates": ({"covariates": ["air_temperature_2m"]}, r"must differ from each other"),
    "a date selected": ({"select": {"time": 3}}, r"select names 'time', which source.time cuts: name it there"),
    "a row selected": ({"select": {"lat": 3}}, r"select names 'lat', which source.bbox_deg cuts"),
    "no features": ({"features": []}, r"model 'linear' with source.features \[\]: name at least one"),
    "range upside down": ({"valid_range_k": [300, 200]}, r"valid_range_k must grow, got \[300.0, 200.0\]"),
    "box upside down": ({"bbox_deg": [0, 50, 10, 40]}, r"bbox_deg has south 50.0 >= north 40.0"),
    "box of three": ({"bbox_deg": [0, 50, 10]}, r"source.bbox_deg.*"),
    "password in the address": ({"uri": "https://me:secret@host/cube.zarr"}, r"must not hold a user or password"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refuses(case):
    sections, message = REFUSALS[case]
    with pytest.raises(ConfigError, match=message):
        config(**sections)


@pytest.mark.parametrize("case", SOURCE_REFUSALS)
def test_refuses_a_source(case):
    values, message = SOURCE_REFUSALS[case]
    with pytest.raises(ConfigError, match=message):
        build(Config, {"source": SOURCE | values})


@pytest.mark.parametrize(
    "sections",
    [
        {"source": {"uri": "https://me:hunter2@host/cube.zarr"}},
        {"source": {"uri": "s3://b/c", "endpoint_url": "https://me:hunter2@host"}},
        {"source": {"uri": "s3://b/c"}, "tracking": {"uri": "https://me:hunter2@host/mlflow"}},
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(sections):
    with pytest.raises(ConfigError, match="an address must not hold a user or password") as refused:
        build(Config, sections)
    assert "hunter2" not in str(refused.value)


def test_lists_all_issues_at_once_and_names_the_origin():
    with pytest.raises(ConfigError) as refused:
        build(Config, {"source": SOURCE, "train": {"epochs": 0, "patience": -1}, "nonsense": 1}, origin="my.yaml")
    message = str(refused.value)
    assert message.startswith("my.yaml: 3 issues")
    assert all(key in message for key in ("train.epochs", "train.patience", "'nonsense'"))


def test_a_missing_source_is_named():
    with pytest.raises(ConfigError, match="'source' is required"):
        build(Config, {})


def test_sections_are_immutable():
    with pytest.raises(ValueError, match="frozen"):
        config().train.epochs = 3


def test_empty_texts_and_lists_mean_not_given():
    source = build(Source, SOURCE | {"time": [], "bbox_deg": [], "endpoint_url": ""})
    assert (source.time, source.bbox_deg, source.endpoint_url) == (None, None, None)
    train = build(Train, {"register_as": "", "alias": "", "pretrained": ""})
    assert (train.register_as, train.alias, train.pretrained) == (None, None, None)


def test_whole_floats_are_counts_as_kubeflow_delivers_them():
    split = build(Split, {"block": {"lon": 100.0, "time": 10.0, "lat": 50.0}, "seed": 3.0})
    assert (split.block.time, split.block.lat, split.block.lon, split.seed) == (10, 50, 100, 3)
    assert isinstance(split.seed, int)


@pytest.mark.parametrize(("given_", "expected"), [("2", 2), (3, 3), ("source", "source")])
def test_a_format_may_be_a_text(given_, expected):
    assert build(Predict, {"zarr_format": given_}).zarr_format == expected


def test_extras_carry_what_mask_and_held_out_gaps_need_once():
    wanted = build(
        Config,
        {
            "source": SOURCE | {"extras": ["elevation", "lm"]},
            "mask": {"kind": "variable", "variable": "lm", "exclude": ["lake"]},
            "split": {"held_out_gaps": {"kind": "given", "truth": "t", "gap": "g"}},
        },
    )
    assert wanted.carried_extras() == ["elevation", "lm", "lake", "t", "g"]


def test_variables_of_a_source_come_once_and_target_first():
    source = build(Source, SOURCE | {"target": "t", "features": ["f"], "extras": ["e", "f"]})
    assert source.variables() == ["t", "f", "e"]


def test_covariates_are_variables_of_the_cube_and_no_extras():
    wanted = build(Config, {"source": SOURCE | {"covariates": ["lm"]}, "mask": {"kind": "variable", "variable": "lm"}})
    assert wanted.source.variables() == ["land_surface_temperature", "air_temperature_2m", "lm"]
    assert wanted.carried_extras() == []


@pytest.mark.parametrize("value", [96, 96.0, "96", "2019-06-05"])
def test_a_selection_is_a_number_or_a_text(value):
    assert build(Source, SOURCE | {"select": {"gap_level": value}}).select == {"gap_level": value}


def test_whole_floats_are_counts_in_the_sections_of_models_too():
    train = build(Train, {"tiles": {"side": 64.0, "overlap": 8.0}, "mlp": {"hidden": [32.0, 16.0]}})
    assert (train.tiles.side, train.tiles.overlap, train.mlp.hidden) == (64, 8, [32, 16])
    assert all(isinstance(units, int) for units in train.mlp.hidden)


def test_a_model_without_features_may_fill_a_cube_without_them():
    wanted = {"source": SOURCE | {"features": []}, "train": {"model": "local", "compare": ["harmonic"]}}
    assert build(Config, wanted).train.models() == ["local", "harmonic"]
    with pytest.raises(ConfigError, match=r"model 'linear' with source.features \[\]"):
        build(Config, wanted | {"train": {"model": "local", "compare": ["linear"]}})


def test_mask_names_its_variables():
    assert build(Mask, {"kind": "variable", "variable": "a", "exclude": ["b"]}).variables() == ["a", "b"]
    assert build(Mask, {}).variables() == []


@given(st.fixed_dictionaries({"train": st.integers(1, 98), "validation": st.integers(1, 98)}))
def test_fractions_that_add_up_are_taken_and_others_not(percent):
    rest = 100 - percent["train"] - percent["validation"]
    fractions = {"train": percent["train"] / 100, "validation": percent["validation"] / 100, "test": rest / 100}
    if rest > 0:
        assert build(Split, {"fractions": fractions}).fractions.test == pytest.approx(rest / 100)
    else:
        with pytest.raises(ConfigError):
            build(Split, {"fractions": fractions})


def test_a_configuration_survives_json():
    before = config(preprocess={"missing": "constant", "constant": 280}, train={"register_as": "m", "alias": "a"})
    assert build(Config, json.loads(before.model_dump_json())) == before


def test_every_field_is_described():
    def fields(model):
        for field in model.model_fields.values():
            yield field
            if hasattr(field.annotation, "model_fields"):
                yield from fields(field.annotation)

    assert all(field.description for field in fields(Config))


def test_build_keeps_a_section_as_it_is():
    values = Preprocess(max_samples=5).model_dump()
    assert build(Preprocess, values) == Preprocess(max_samples=5)
