from pathlib import Path

import pytest

from lstfill.configfile import load
from lstfill.errors import ConfigError

CONFIGS = Path(__file__).parents[1] / "pipelines" / "configs"


def written(tmp_path, text):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    return path


def test_reads_sections(tmp_path):
    config = load(written(tmp_path, "source: {uri: a.zarr}\ntrain: {epochs: 3}\n"))
    assert (config.source.uri, config.train.epochs) == ("a.zarr", 3)


def test_takes_named_environment_variables_or_their_defaults(tmp_path, monkeypatch):
    path = written(tmp_path, "source: {uri: '${LSTFILL_HERE:-default}/a.zarr'}\n")
    monkeypatch.delenv("LSTFILL_HERE", raising=False)
    assert load(path).source.uri == "default/a.zarr"
    monkeypatch.setenv("LSTFILL_HERE", "/data")
    assert load(path).source.uri == "/data/a.zarr"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "source: {uri: '${LSTFILL_NOT_SET}'}",
            "the environment variable LSTFILL_NOT_SET is not set and has no default",
        ),
        ("source: {uri: '${LSTFILL_S3_SECRET_ACCESS_KEY}'}", "is not taken from the environment"),
        ("source: {uri: '${HOME}'}", r"\$\{HOME\} is not taken from the environment"),
        ("- source", "holds list, not sections"),
        ("", "holds NoneType, not sections"),
        ("source: {uri: [", "is not YAML"),
        ("source: {uri: a, sceme: b}", r"my.yaml: unknown key 'source.sceme'"),
    ],
)
def test_refuses(tmp_path, monkeypatch, text, message):
    monkeypatch.delenv("LSTFILL_NOT_SET", raising=False)
    monkeypatch.setenv("LSTFILL_S3_SECRET_ACCESS_KEY", "hush")
    with pytest.raises(ConfigError, match=message) as refused:
        load(written(tmp_path, text))
    assert "hush" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*none.yaml: No such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", ["demo", "esdc", "istra", "modis", "sentinel3"])
def test_the_configurations_that_come_along_are_valid(name, monkeypatch):
    monkeypatch.setenv("LSTFILL_DEMO_CUBE", "s3://lstfill/sources/esdc-like.zarr")
    assert load(CONFIGS / f"{name}.yaml").source.uri


@pytest.mark.parametrize("name", ["istra", "modis", "sentinel3"])
def test_the_real_cubes_can_be_elsewhere(name, monkeypatch):
    monkeypatch.setenv(f"LSTFILL_{name.upper()}", "s3://elsewhere/cube.zarr")
    assert load(CONFIGS / f"{name}.yaml").source.uri == "s3://elsewhere/cube.zarr"


def test_the_level_of_the_gaps_can_be_chosen(monkeypatch):
    monkeypatch.delenv("LSTFILL_GAP_LEVEL", raising=False)
    assert load(CONFIGS / "modis.yaml").source.select == {"gap_level": "96"}
    monkeypatch.setenv("LSTFILL_GAP_LEVEL", "4")
    assert load(CONFIGS / "modis.yaml").source.select == {"gap_level": "4"}


def test_the_date_of_the_gaps_can_be_chosen(monkeypatch):
    monkeypatch.delenv("LSTFILL_GAP_DATE", raising=False)
    assert str(load(CONFIGS / "modis.yaml").split.held_out_gaps.date) == "2019-06-05"
    monkeypatch.setenv("LSTFILL_GAP_DATE", "2018-07-12")
    assert str(load(CONFIGS / "modis.yaml").split.held_out_gaps.date) == "2018-07-12"
