"""The demo's source: the synthetic planet as a store that the steps take."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
import zarr

from lstfill import synthetic as planet
from lstfill.config import Source
from lstfill.steps import ingest, synthetic
from lstfill.storage import stores
from tests.steps.chain import FEATURE, SHAPE, TARGET, land


@pytest.fixture
def written(tmp_path, monkeypatch):
    # The Earth's land takes 0.9 GB of memory and seconds to import.
    monkeypatch.setattr(planet, "_earth", lambda *_: land())
    return synthetic.run(output=f"{tmp_path}/esdc.zarr", shape=SHAPE, seed=3)


def test_the_store_holds_the_planet_of_the_seed(written):
    expected, _ = planet.esdc_like(SHAPE, seed=3, land=land())
    with xr.open_zarr(written.uri) as ds:
        for name in (TARGET, FEATURE):
            assert ds[name].values.tobytes() == expected[name].values.tobytes()
            assert ds[name].attrs == expected[name].attrs
        for name in ("time", "lat", "lon", "lat_bnds"):
            np.testing.assert_array_equal(ds[name].values, expected[name].values)


def test_format_and_facts(written):
    assert zarr.open_group(written.uri, mode="r").metadata.zarr_format == 2
    assert written.step == "synthetic"
    assert written.facts == {"shape": list(SHAPE), "seed": 3}


def test_another_seed_is_another_identity(written, tmp_path):
    other = synthetic.run(output=f"{tmp_path}/other.zarr", shape=SHAPE, seed=4)
    again = synthetic.run(output=f"{tmp_path}/again.zarr", shape=SHAPE, seed=3)
    assert other.identity != written.identity == again.identity


def test_it_can_be_ingested_and_its_provenance_stays_behind(written, tmp_path):
    pointer = ingest.run(Source(uri=written.uri), output=f"{tmp_path}/cube.zarr")
    assert stores.provenance(pointer.uri)["step"] == "ingest"
    assert pointer.facts["shape"] == list(SHAPE)
