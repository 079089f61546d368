"""The mask: from the globe, a variable or everywhere; once a grid, whatever the chunks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lstfill import mask as masks
from lstfill.config import Mask
from lstfill.errors import DataError
from lstfill.storage import stores
from tests.steps.chain import GAP, LAND, SHAPE, TARGET, land, source_of


def masked(chain, **section):
    return chain.but(mask=Mask(**section)).masked()


@pytest.fixture
def ingested(chain):
    chain.ingested()
    return chain


def test_a_variable_is_land_where_it_is_not_zero(prepared):
    with xr.open_zarr(prepared.at("land")) as ds:
        np.testing.assert_array_equal(ds["land"].values, land())
        assert ds["land"].dims == ("lat", "lon")
        assert ds["land"].dtype == bool


def test_facts_count_and_name_the_mask(prepared):
    facts = stores.provenance(prepared.at("land"))["facts"]
    assert (facts["land_cells"], facts["cells"]) == (int(land().sum()), land().size)
    assert facts["digest"] == masks.digest(land())


def test_a_variable_with_dates_counts_on_any_date(ingested, cube):
    masked(ingested, kind="variable", variable=GAP)
    np.testing.assert_array_equal(ingested.array("land", "land"), (cube[GAP].values != 0).any(axis=0))


def test_every_cell(ingested):
    masked(ingested, kind="none")
    assert ingested.array("land", "land").all()


def test_what_is_excluded_is_taken_out(ingested, cube):
    masked(ingested, kind="none", exclude=[LAND])
    np.testing.assert_array_equal(ingested.array("land", "land"), cube[LAND].values == 0)


def test_the_globe_is_asked_with_the_coordinates_of_the_cube(ingested, cube, monkeypatch):
    asked = {}

    def fake(lat, lon):
        asked.update(lat=lat, lon=lon)
        return land()

    monkeypatch.setattr(masks, "land", fake)
    masked(ingested, kind="globe")
    np.testing.assert_array_equal(asked["lat"], cube["lat"].values)
    np.testing.assert_array_equal(asked["lon"], cube["lon"].values)
    np.testing.assert_array_equal(ingested.array("land", "land"), land())


def test_chunks_do_not_change_a_bit_of_it(prepared, chain):
    other = chain.but(source=source_of(chain.source.uri, chunks=(1, 36, 7)))
    other.ingested()
    pointer = other.masked()
    np.testing.assert_array_equal(other.array("land", "land"), prepared.array("land", "land"))
    assert pointer.facts["digest"] == stores.provenance(prepared.at("land"))["facts"]["digest"]


def test_a_variable_that_is_not_there_is_named_with_those_that_are(ingested):
    for section in ({"kind": "variable", "variable": "lakes"}, {"kind": "none", "exclude": ["lakes"]}):
        with pytest.raises(DataError, match=rf"no variable 'lakes' .* there are .*{TARGET}.*: add it to source.extras"):
            masked(ingested, **section)


def test_a_mask_without_a_cell_is_refused(ingested):
    cells = SHAPE[1] * SHAPE[2]
    with pytest.raises(DataError, match=rf"mask.kind 'variable' leaves none of {cells} cells: check mask and box"):
        masked(ingested, kind="variable", variable=LAND, exclude=[LAND])


def test_a_window_of_the_mask_is_a_chunk_of_its_own(prepared):
    with xr.open_zarr(prepared.at("land")) as mask, xr.open_zarr(prepared.at("cube")) as cube:
        assert mask["land"].encoding["chunks"] == cube[TARGET].encoding["chunks"][1:]
