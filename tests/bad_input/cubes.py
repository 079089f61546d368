"""Cubes that do not hold what the job needs."""

from __future__ import annotations

import numpy as np

from lstfill.synthetic import FEATURE, TARGET
from tests.bad_input.given import case, source_cube, with_unit, write


@case(r"source.target names 'lst', which is not there; there are: air_temperature_2m, land_mask")
def target_is_missing(given):
    return given.step("ingest", source={"target": "lst"})


@case(r"source.features names 'wind', which is not there")
def feature_is_missing(given):
    return given.step("ingest", source={"features": ["wind"]})


@case(r"has the dimensions \(lat, lon\), needed are time, lat, lon \(missing: time\)")
def dimension_is_missing(given):
    return given.ingest_of(source_cube().assign({FEATURE: source_cube()[FEATURE][0]}))


def with_height():
    cube = source_cube()
    return cube.assign({FEATURE: cube[FEATURE].expand_dims(height=[2.0])})


@case(r"\(extra: height\): take one in source.select.height; there are 2")
def dimension_too_many(given):
    return given.ingest_of(with_height())


@case(r"source.select.height: 3.0 is not there; there are 2")
def a_height_that_is_not_there(given):
    return given.ingest_of(with_height(), select={"height": 3})


@case(r"source.select names 'level', along which no variable used lies; there are none: leave it out")
def a_selection_for_nothing(given):
    return given.step("ingest", source={"select": {"level": 3}})


@case(r"the coordinate 'lat' is not there")
def coordinate_is_missing(given):
    return given.ingest_of(source_cube().rename(lat="latitude"))


@case(r"time is not sorted: 2002-05-25 follows 2002-06-02.*: sort the source with ds.sortby\('time'\)")
def time_is_not_sorted(given):
    return given.ingest_of(source_cube().isel(time=[1, 2, 0, 3]).assign_coords(time=dates(21, 33, 25, 41)))


def dates(*days):
    return np.datetime64("2002-05-01", "ns") + np.array([day - 1 for day in days]) * np.timedelta64(1, "D")


@case(r"lat holds 1 duplicate values, the first .*: drop them with ds.drop_duplicates\('lat'\)")
def latitude_is_there_twice(given):
    return given.ingest_of(source_cube().isel(lat=[0, 1, 1, 2]))


@case(r"lon has 1 values that are not finite, the first at index 3: correct them")
def longitude_is_not_finite(given):
    lon = source_cube()["lon"].values.copy()
    lon[3] = np.nan
    return given.ingest_of(source_cube().assign_coords(lon=lon))


@case(r"source.time \['1999-01-01', '1999-12-31'\] holds no date of the source: it has 6 from 2002-05-21 to 2002-06-30")
def no_overlap_in_time(given):
    return given.step("ingest", source={"time": ["1999-01-01", "1999-12-31"]})


@case(r"source.time .*write it like 2002-05-21")
def time_is_no_date(given):
    return given.step("ingest", source={"time": ["last summer", "today"]})


@case(r"source.bbox_deg .* holds no cell's centre of the source: it has lat -20..20")
def no_overlap_in_space(given):
    cube = source_cube()
    north = cube.sel(lat=slice(20, -20))
    north = north.assign_coords(lat=np.linspace(20, -20, north.sizes["lat"]))
    return given.ingest_of(north, bbox_deg=[0, 50, 10, 60])


@case(r"'land_surface_temperature' has the unit 'furlong', .*source.units: \{land_surface_temperature: K\}")
def unit_is_unknown(given):
    return given.ingest_of(with_unit("furlong"))


@case(r"'land_surface_temperature' has no units attribute: declare .* source.units: \{land_surface_temperature: K\}")
def unit_is_missing(given):
    return given.ingest_of(with_unit(None))


@case(r"no value of land_surface_temperature in 180..345 K .*\(\d+ are out of it\): check .*source.units")
def celsius_declared_as_kelvin(given):
    cube = source_cube()
    cube[TARGET].values[...] -= np.float32(273.15)
    return given.ingest_of(cube)


@case(r"no value of land_surface_temperature .*\(0 are out of it\)")
def nothing_was_observed(given):
    cube = source_cube()
    cube[TARGET].values[...] = np.nan
    return given.ingest_of(cube)


@case(r"calendar.*'?julian")
def calendar_that_is_no_calendar_of_ours(given):
    cube = source_cube()
    days = (cube["time"].values - np.datetime64("1900-01-01")) / np.timedelta64(1, "D")
    attributes = {"units": "days since 1900-01-01", "calendar": "julian"}
    return given.ingest_of(cube.assign_coords(time=("time", days, attributes)))


@case(r"'air_temperature_2m' holds <?.*, not numbers: store it as float32")
def values_are_text(given):
    cube = source_cube()
    return given.ingest_of(cube.assign({FEATURE: cube[FEATURE].astype("U5")}))


@case(r"source .*: 3 issues\n(  - .*\n){3}")
def three_things_at_once(given):
    cube = with_unit(None).isel(lat=[0, 1, 1, 2])
    return given.ingest_of(cube, features=["wind"])


@case(r"a chunk is damaged .*: write it again|cannot read .*: ")
def chunk_is_damaged(given):
    path = write(source_cube(), given.tmp / "bad.zarr")
    (path / TARGET / "0.0.0").write_bytes(b"garbage" * 10)
    return given.ingest_from(path)
