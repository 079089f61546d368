"""The configurations that come along, on the real cubes that they name: the steps that need no model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lstfill.configfile import load
from lstfill.errors import DataError
from lstfill.steps import ingest, mask, preprocess, split
from lstfill.storage import stores
from pipelines.parameters import arguments, configuration

CONFIGS = Path(__file__).parents[2] / "pipelines" / "configs"
STORES = {"istra": "istra_2008", "modis": "modis_stpetersburg", "sentinel3": "s3_stpetersburg_2019"}
TARGET = "land_surface_temperature"


@pytest.fixture
def configured(shared_data, monkeypatch):
    """A configuration on its real cube, through the parameters of the pipeline."""

    def of(name, **environment):
        monkeypatch.setenv(f"LSTFILL_{name.upper()}", str(shared_data / f"{STORES[name]}.zarr"))
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        return configuration(arguments(load(CONFIGS / f"{name}.yaml"), "unused"))

    return of


def prepared(config, root):
    """Runs the steps that need no model; the stores' addresses and the facts."""
    at = {name: str(root / f"{name}.zarr") for name in ("cube", "land", "parts", "samples")}
    facts = [ingest.run(config.source, output=at["cube"]).facts]
    facts.append(mask.run(config.mask, cube=at["cube"], output=at["land"]).facts)
    given = {"cube": at["cube"], "land": at["land"]}
    facts.append(split.run(config.split, **given, output=at["parts"]).facts)
    facts.append(preprocess.run(config.preprocess, **given, parts=at["parts"], output=at["samples"]).facts)
    return at, dict(zip(("ingest", "mask", "split", "preprocess"), facts, strict=True))


@pytest.mark.parametrize("name", STORES)
def test_no_part_is_empty_and_gaps_are_held_out(name, configured, tmp_path):
    config = configured(name)
    at, facts = prepared(config, tmp_path)
    reached = facts["split"]["report"]["reached"]
    for part, asked in config.split.fractions.model_dump().items():
        assert reached[part] == pytest.approx(asked, abs=0.05)
        assert facts["preprocess"]["samples"][part] > 1000
    assert facts["split"]["held_out"] > 5000
    assert facts["ingest"]["covariates"] == config.source.covariates
    with stores.open_whole(at["cube"]) as cube:
        assert set(cube.data_vars) == set(config.source.variables())


@pytest.mark.parametrize("level", [4, 96])
def test_gaps_of_a_level_are_on_their_date_alone(level, configured, shared_data, tmp_path):
    at, facts = prepared(configured("modis", LSTFILL_GAP_LEVEL=str(level)), tmp_path)
    with xr.open_zarr(shared_data / "modis_stpetersburg.zarr") as source, xr.open_zarr(at["parts"]) as parts:
        hidden = source["artificial_gap"].sel(gap_level=level) & source["truth"].notnull()
        held_out = parts["held_out"].sel(time="2019-06-05").to_numpy()
        np.testing.assert_array_equal(held_out, hidden)
        assert facts["split"]["held_out"] == int(hidden.sum())


def test_a_level_that_there_is_not_is_refused_with_those_there_are(configured, tmp_path):
    config = configured("modis", LSTFILL_GAP_LEVEL="50")
    with pytest.raises(
        DataError, match=r"source.select.gap_level: '50' is not there; there are 4, 6, 15, 28, 40, 52, 70"
    ):
        prepared(config, tmp_path)


def test_overpasses_of_one_day_stay_apart(configured, tmp_path):
    at, _ = prepared(configured("sentinel3"), tmp_path)
    with xr.open_zarr(at["cube"]) as cube:
        time = cube["time"].to_numpy()
        assert np.unique(time.astype("datetime64[D]")).size < time.size == 52
        assert np.diff(time).min() < np.timedelta64(100, "m")
        assert {cube["biome"].dtype.kind, cube["elevation"].dtype.kind} == {"i", "f"}
