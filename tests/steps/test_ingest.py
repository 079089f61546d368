"""Ingest: the work cube is the source, cut, checked and normalised, whatever it looks like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from lstfill.config import Source
from lstfill.cube import select
from lstfill.errors import DataError, StoreError
from lstfill.steps import ingest
from lstfill.storage import objects, stores
from tests.steps.chain import (
    CHUNKS,
    FEATURE,
    GAP,
    LAND,
    OUT_OF_RANGE,
    SHAPE,
    TARGET,
    differing,
    source_of,
    write_source,
)


def ingested(place, cube, *, stored=CHUNKS, zarr_format=2, **source):
    """Writes a source, ingests it, and gives pointer and work cube."""
    uri = write_source(cube, place / "source.zarr", stored, zarr_format)
    pointer = ingest.run(source_of(uri, **source), output=f"{place}/cube.zarr")
    return pointer, xr.open_zarr(pointer.uri).load()


def expected(cube):
    """The target as the work cube has it, by the naive expression."""
    target = cube[TARGET]
    return target.where((target >= 180) & (target <= 345))


def test_values_in_kelvin_are_kept_bit_for_bit_and_the_rest_becomes_missing(prepared, cube):
    with xr.open_zarr(prepared.at("cube")) as work:
        assert work[TARGET].values.tobytes() == expected(cube).values.tobytes()
        assert work[FEATURE].values.tobytes() == cube[FEATURE].values.tobytes()
        assert work[LAND].values.tobytes() == cube[LAND].values.tobytes()
        assert work[TARGET].dims == ("time", "lat", "lon")
        for dim in work.dims:
            np.testing.assert_array_equal(work[dim].values, cube[dim].values)


def test_facts_count_what_is_there(prepared, cube):
    facts = stores.provenance(prepared.at("cube"))["facts"]
    assert facts["out_of_range"] == OUT_OF_RANGE
    assert facts["observed"] == int(expected(cube).notnull().sum())
    assert (facts["shape"], facts["chunks"], facts["zarr_format"]) == (list(SHAPE), list(CHUNKS), 2)
    assert facts["time"] == ["2002-05-21", "2002-08-17"]


def test_values_out_of_range_are_told(chain, caplog):
    chain.ingested()
    assert f"{OUT_OF_RANGE} values of {TARGET} were out of (180.0, 345.0) K and are missing now" in caplog.text


def test_bounds_and_variables_nobody_asked_for_stay_behind(tmp_path, cube):
    more = cube.assign(population=(("city",), np.arange(3.0)), burnt_area=cube[FEATURE] * 0)
    _, work = ingested(tmp_path, more)
    assert set(work.variables) == {TARGET, FEATURE, LAND, "truth", "gap", "time", "lat", "lon"}
    assert not any("bounds" in work[dim].attrs for dim in work.dims)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("stored", [CHUNKS, None, (1, 36, 72)])
def test_format_and_chunks_of_the_source_make_no_difference(tmp_path, cube, zarr_format, stored):
    pointer, work = ingested(tmp_path, cube, stored=stored, zarr_format=zarr_format)
    assert work[TARGET].values.tobytes() == expected(cube).values.tobytes()
    assert zarr.open_group(pointer.uri, mode="r").metadata.zarr_format == zarr_format
    if stored:
        assert work[TARGET].encoding["chunks"] == stored


def test_asked_chunks_come_before_stored_ones(tmp_path, cube):
    pointer, work = ingested(tmp_path, cube, chunks=(4, 0, 24))
    assert work[TARGET].encoding["chunks"] == (4, CHUNKS[1], 24) == tuple(pointer.facts["chunks"])
    assert work[LAND].encoding["chunks"] == (CHUNKS[1], 24)


def test_order_of_dimensions_is_put_right(tmp_path, cube):
    turned = cube.transpose("lon", "lat", "time", ...)
    _, work = ingested(tmp_path, turned, stored=None)
    assert work[TARGET].dims == ("time", "lat", "lon")
    assert work[TARGET].values.tobytes() == expected(cube).values.tobytes()


def test_covariates_are_carried_and_named(tmp_path, cube):
    """A class without time, an amount without time, an amount with time."""
    cover = (np.arange(SHAPE[1] * SHAPE[2]) % 5).reshape(SHAPE[1:]).astype(np.int16)
    more = cube.assign(cover=(("lat", "lon"), cover), wetness=cube[FEATURE] / 300)
    pointer, work = ingested(tmp_path, more, covariates=["cover", "wetness", LAND], features=[], extras=[])
    assert pointer.facts["covariates"] == ["cover", "wetness", LAND]
    assert set(work.data_vars) == {TARGET, "cover", "wetness", LAND}
    for name in ("cover", "wetness", LAND):
        assert (work[name].dims, work[name].dtype) == (more[name].dims, more[name].dtype)
        assert work[name].to_numpy().tobytes() == more[name].to_numpy().tobytes()


def test_without_covariates_the_facts_say_so(prepared):
    assert stores.provenance(prepared.at("cube"))["facts"]["covariates"] == []


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_one_coordinate_of_a_further_dimension_is_taken(tmp_path, cube, zarr_format):
    levels = [4, 52, 96]
    gap = xr.concat([cube[GAP].isel(time=k, drop=True) for k in range(3)], dim="gap_level")
    more = cube.assign({GAP: gap}).assign_coords(gap_level=levels)
    box = {"bbox_deg": (160, -30, -150, 40), "time": ("2002-06-01", "2002-07-31")}
    for position, level in enumerate(levels):
        _, work = ingested(tmp_path, more, zarr_format=zarr_format, select={"gap_level": level}, **box)
        assert set(work.variables) == {TARGET, FEATURE, LAND, "truth", GAP, "time", "lat", "lon"}
        there = select(
            cube[[GAP, TARGET, FEATURE]].isel(time=[position]), source_of("a", extras=[GAP], **box | {"time": None})
        )
        np.testing.assert_array_equal(work[GAP], there[GAP][0])


def test_a_further_dimension_that_is_not_taken_names_the_remedy(tmp_path, cube):
    deep = cube.assign({GAP: cube[GAP].expand_dims(gap_level=[4, 96])})
    with pytest.raises(DataError, match=r"extra: gap_level\): take one in source.select.gap_level; there are 4, 96"):
        ingested(tmp_path, deep)
    with pytest.raises(DataError, match=r"source.select.gap_level: 5.0 is not there; there are 4, 96"):
        ingested(tmp_path, deep, select={"gap_level": 5})


def test_a_selection_from_an_object_store(s3, cube, tmp_path):
    deep = cube.assign({GAP: cube[GAP].expand_dims(gap_level=[4, 96])})
    objects.put_tree(Path(write_source(deep, tmp_path / "source.zarr")), s3 + "/source.zarr")
    pointer = ingest.run(source_of(s3 + "/source.zarr", select={"gap_level": "96"}), output=s3 + "/cube.zarr")
    with stores.open_whole(pointer.uri) as work:
        np.testing.assert_array_equal(work[GAP], cube[GAP])


def test_degrees_celsius_become_kelvin(tmp_path, cube):
    celsius = cube.copy()
    for name in (TARGET, FEATURE):
        celsius[name] = (cube[name] - 273.15).assign_attrs(cube[name].attrs | {"units": "degC"})
    _, work = ingested(tmp_path, celsius)
    assert (work[TARGET].attrs["units"], work[FEATURE].attrs["units"]) == ("K", "K")
    np.testing.assert_allclose(work[TARGET], expected(cube), atol=1e-4)
    np.testing.assert_allclose(work[FEATURE], cube[FEATURE], atol=1e-4)


@pytest.mark.parametrize("ascending", [False, True])
def test_latitude_keeps_its_direction(tmp_path, cube, ascending):
    turned = cube.sortby("lat", ascending=ascending)
    _, work = ingested(tmp_path, turned)
    np.testing.assert_array_equal(work["lat"].values, turned["lat"].values)
    np.testing.assert_array_equal(work[TARGET].values, expected(turned).values)


def test_a_box_over_the_date_line_and_a_period(tmp_path, cube):
    _, work = ingested(tmp_path, cube, bbox_deg=(160, -30, -150, 40), time=("2002-06-01", "2002-07-31"))
    assert work["lon"].values.min() > 160
    assert work["lon"].values.max() < 210
    assert (np.diff(work["lon"].values) > 0).all()
    assert work["time"].values.min() >= np.datetime64("2002-06-01")
    part = expected(cube).sel(time=work["time"], lat=work["lat"])
    for lon in work["lon"].values:
        there = part.sel(lon=lon if lon < 180 else lon - 360, method="nearest")
        np.testing.assert_array_equal(work[TARGET].sel(lon=lon).values, there.values)


def test_only_the_chunks_that_are_needed_are_read(tmp_path, cube):
    uri = Path(write_source(cube, tmp_path / "source.zarr"))
    for chunk in (uri / TARGET).glob("2.*.*"):
        chunk.write_bytes(b"not to be read")
    pointer = ingest.run(Source(uri=str(uri), time=("2002-05-01", "2002-07-15")), output=f"{tmp_path}/cube.zarr")
    assert pointer.facts["shape"][0] <= 10
    with pytest.raises(StoreError, match="a chunk is damaged"):
        ingest.run(Source(uri=str(uri)), output=f"{tmp_path}/cube.zarr")


def test_all_that_is_wrong_is_listed_and_nothing_is_written(tmp_path, cube):
    bad = cube.drop_vars(FEATURE).isel(lat=np.r_[3, 2, 5:36])
    del bad[TARGET].attrs["units"]
    with pytest.raises(DataError) as caught:
        ingested(tmp_path, bad)
    for part in (FEATURE, "lat", f"source.units: {{{TARGET}: K}}"):
        assert part in str(caught.value)
    assert not (tmp_path / "cube.zarr").exists()


def test_a_cube_without_a_value_in_range_is_refused_and_not_whole(tmp_path, cube):
    with pytest.raises(DataError, match=rf"no value of {TARGET} in 10..20 K in the asked part \(\d+ are out of it\)"):
        ingested(tmp_path, cube, valid_range_k=(10, 20))
    with pytest.raises(StoreError, match="not whole"):
        stores.provenance(f"{tmp_path}/cube.zarr")


def test_identity_follows_values_grid_and_configuration_alone(tmp_path, cube):
    def identity(changed, **source):
        return ingested(tmp_path, changed, **source)[0].identity

    first = identity(cube)
    assert identity(cube) == first
    changed = cube.copy(deep=True)
    changed[FEATURE].values[3, 4, 5] += np.float32(0.01)
    moved = cube.assign_coords(time=cube["time"] + np.timedelta64(1, "D"))
    others = [identity(changed), identity(moved), identity(cube, valid_range_k=(180, 344))]
    assert len({first, *others}) == 4


def test_workers_do_not_change_the_identity(chain):
    identities = {
        chain.but(cluster=chain.cluster.model_copy(update={"workers": n})).ingested().identity for n in (1, 4)
    }
    assert len(identities) == 1


def test_a_source_that_was_mended_is_opened_anew(tmp_path, cube):
    # In one process, with the same configuration: what a notebook does.
    _, before = ingested(tmp_path, cube.isel(time=slice(0, 6)))
    _, after = ingested(tmp_path, cube)
    assert (before.sizes["time"], after.sizes["time"]) == (6, SHAPE[0])


def test_a_killed_step_leaves_nothing_whole_and_a_rerun_overwrites(chain, prepared, monkeypatch):
    real, calls = stores.write_block, []

    def fail_later(*args, **options):
        calls.append(args)
        if len(calls) > 20:
            raise KeyboardInterrupt
        real(*args, **options)

    with monkeypatch.context() as killed:
        killed.setattr(stores, "write_block", fail_later)
        with pytest.raises(KeyboardInterrupt):
            chain.ingested()
    with pytest.raises(StoreError, match=r"the store at .*cube\.zarr is not whole: .* Run that step again"):
        chain.masked()
    chain.ingested()
    assert differing(chain.values("cube"), prepared.values("cube")) == []
    chain.ingested()
    assert differing(chain.values("cube"), prepared.values("cube")) == []
