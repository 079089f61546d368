"""Configurations that cannot be meant."""

from __future__ import annotations

from tests.bad_input.given import case


@case(r"cannot read the configuration .*/nowhere.yaml: No such file or directory")
def config_is_missing(given):
    return ["ingest", "--config", str(given.tmp / "nowhere.yaml"), "--output", given.output]


@case(r"cannot read the configuration .*: Is a directory")
def config_is_a_directory(given):
    return ["ingest", "--config", str(given.tmp), "--output", given.output]


def with_text(given, text):
    path = given.tmp / "c.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return ["ingest", "--config", str(path), "--output", given.output]


@case(r"(?s)c.yaml is not YAML: .*line 2")
def config_is_no_yaml(given):
    return with_text(given, "source:\n  uri: [a, b\ntrain: }")


@case(r"c.yaml is not YAML")
def config_is_binary(given):
    return with_text(given, b"\xff\xfe\x00\x01")


@case(r"c.yaml holds str, not sections: start with 'source:'")
def config_is_a_sentence(given):
    return with_text(given, "please fill my cube")


@case(r"'source' is required")
def config_without_a_source(given):
    return with_text(given, "train: {epochs: 3}")


@case(r"unknown key 'train.epoch'; known there: model, compare, pretrained")
def unknown_key(given):
    return given.step("ingest", train={"epoch": 3})


@case(r"train.epochs: .*integer.*, got 'many'")
def wrong_type(given):
    return given.step("ingest", train={"epochs": "many"})


@case(r"bbox_deg has south 50.0 >= north 40.0: give \[west, south, east, north\]")
def contradiction(given):
    return given.step("ingest", source={"bbox_deg": [0, 50, 10, 40]})


@case(r"2 issues\n  - train.epochs: .*\n  - unknown key 'nonsense'")
def two_mistakes_at_once(given):
    return given.step("ingest", train={"epochs": 0}, nonsense={"a": 1})


@case(r"the environment variable LSTFILL_CUBE is not set and has no default: set it")
def variable_not_set(given):
    return given.ingest_from("${LSTFILL_CUBE}")
