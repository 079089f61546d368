"""Options and data that a step cannot work with."""

from __future__ import annotations

import numpy as np

from lstfill.compute import kinds
from lstfill.config import Split
from lstfill.steps import split
from lstfill.synthetic import FEATURE, TARGET
from tests.bad_input.given import BLOCK, case, closed_port, masked, source_cube, work_cube


@case(r"no variable 'ice' to make the mask from; there are .*: add it to source.extras")
def mask_variable_is_missing(given):
    return given.step("mask", mask={"variable": "ice"})


@case(r"mask.kind 'variable' leaves none of 288 cells: check mask and box")
def mask_is_empty(given):
    cube = source_cube()
    cube["land_mask"][...] = 0
    return given.but(cube=work_cube(given, cube)).step("mask")


@case(r"1 blocks for 3 parts .*: make split.block smaller")
def fewer_blocks_than_parts(given):
    return given.step("split", split={"block": {"time": 10, "lat": 100, "lon": 100}})


@case(r"no usable cell for (train|validation|test).*\(usable cells: train \d+")
def a_part_is_empty(given):
    cube = source_cube()
    seen = cube[TARGET].values
    seen[:, :, 4:] = np.nan  # only one column of blocks is left with values
    seen[3:] = np.nan
    at = masked(given, cube)
    return given.but(**at).step("split", split={"block": {"time": 6, "lat": 12, "lon": 4}})


@case(r"1 dates?\b")
def clouds_of_one_date(given):
    at = masked(given, source_cube().isel(time=[0]))
    gaps = {"kind": "clouds", "fraction": 0.1}
    return given.but(**at).step("split", split={"block": {"time": 1, "lat": 4, "lon": 4}, "held_out_gaps": gaps})


@case(r"no land cell with 'gap' set and a finite 'truth', so 0 values are held out: check both variables")
def given_gaps_hide_nothing(given):
    cube = source_cube()
    cube["truth"] = cube[TARGET].copy()
    cube["gap"] = cube[TARGET] * 0
    gaps = {"kind": "given", "truth": "truth", "gap": "gap"}
    return given.but(**masked(given, cube)).step("split", split={"held_out_gaps": gaps})


def given_on_one_date(given, **date):
    cube = source_cube()
    cube["truth"], cube["gap"] = cube[TARGET][0], cube[TARGET][0] > 0
    gaps = {"kind": "given", "truth": "truth", "gap": "gap", **date}
    return given.but(**masked(given, cube)).step("split", split={"held_out_gaps": gaps})


@case(r"split: 'truth' and 'gap' without time: set split.held_out_gaps.date to the date of the cube")
def given_gaps_of_no_date(given):
    return given_on_one_date(given)


@case(r"split.held_out_gaps.date: '1999-12-31' is no date of the cube; the nearest is \d{4}-\d\d-\d\d")
def given_gaps_of_another_date(given):
    return given_on_one_date(given, date="1999-12-31")


@case(r"2 issues\n  - no variable 'truth' for split.held_out_gaps; .*add it to source.extras")
def given_gaps_are_not_there(given):
    return given.step("split", split={"held_out_gaps": {"kind": "given", "truth": "truth", "gap": "gap"}})


# Samples and model


@case(r"'air_temperature_2m' is 280 in all \d+ samples: scaling 'standardize' would divide by a deviation of 0")
def feature_is_constant(given):
    cube = source_cube()
    cube[FEATURE].values[...] = 280
    at = masked(given, cube)
    at["parts"] = str(given.tmp / "other-parts.zarr")
    split.run(Split(block=BLOCK), **{key: at[key] for key in ("cube", "land")}, output=at["parts"])
    return given.but(**at).step("preprocess")


def custom(given, function):
    return given.step("preprocess", preprocess={"scaling": "custom", "custom": function})


@case(r"preprocess.custom 'nowhere:scale': no module 'nowhere' .*PYTHONPATH")
def custom_scaling_cannot_be_imported(given):
    return custom(given, "nowhere:scale")


@case(r"preprocess.custom 'math:scale': module 'math' has no function 'scale'")
def custom_scaling_is_not_there(given):
    return custom(given, "math:scale")


@case(r"preprocess.custom 'math:floor' failed on the statistics")
def custom_scaling_fails(given):
    return custom(given, "math:floor")


@case(r"the fit diverged: .*lower train.learning_rate")
def learning_rate_is_far_too_large(given):
    return given.step("train", train={"learning_rate": 1e30, "epochs": 3})


@case(r"no model models:/nope@x at .*: no model is registered as 'nope'")
def registered_model_is_missing(given):
    return given.but(model="models:/nope@x").step("predict")


@case(r"'nope@x@y'|models:/a/b/c.*give models:/NAME@ALIAS or models:/NAME/VERSION")
def registered_model_is_no_address(given):
    return given.but(model="models:/a/b/c").step("predict")


@case(r"there is no store at .*/no-model|cannot read .*/no-model")
def model_is_missing(given):
    return given.but(model=str(given.tmp / "no-model")).step("predict")


@case(r"/no-model")
def pretrained_model_is_missing(given):
    return given.step("train", train={"pretrained": str(given.tmp / "no-model")})


@case(r"evaluate: map_date '1999-01-01' lies outside the cube, 2002-05-21 to 2002-06-30")
def date_of_the_maps_is_outside(given):
    model = given.request.getfixturevalue("model")
    return given.but(model=model).step("evaluate", evaluate={"map_date": "1999-01-01"})


@case(r"no tracking server answers at http://127.0.0.1:\d+ .*start it, correct tracking.uri")
def tracking_server_is_dead(given):
    return given.step("train", tracking={"uri": f"http://127.0.0.1:{closed_port()}"})


@case(r"tracking at sqlite:.*cannot be used .*make it writable, or name another place")
def tracking_database_is_no_database(given):
    (given.tmp / "mlflow.db").write_text("this is no database, but a text that is long enough to be taken for one" * 20)
    return given.step("train", tracking={"uri": f"sqlite:///{given.tmp / 'mlflow.db'}"})


@case(r"no Dask scheduler answers at tcp://127.0.0.1:\d+")
def scheduler_is_dead(given):
    given.patch.setattr(kinds, "CONNECT_TIMEOUT_S", 1)
    return given.step("ingest", cluster={"kind": "scheduler", "address": f"tcp://127.0.0.1:{closed_port()}"})
