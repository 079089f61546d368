"""The check of a source: each way in which one can be unfit, with the text that the user reads."""

import numpy as np
import pytest
import xarray as xr

from lstfill.cube import assert_source, check_source, normalise, select
from lstfill.errors import DataError

TARGET, FEATURE = "land_surface_temperature", "air_temperature_2m"


def only_issue(ds, config):
    issues = check_source(ds, config)
    assert len(issues) == 1, issues
    return issues[0]


# --- fit sources ---


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lat": [-75.0, -45, -15, 15]},
        {"lon": np.arange(15.0, 360, 30)},
        {"lon": [165.0, 195.0]},
        {"lat": [10.0], "lon": [20.0], "time": np.array(["2008-01-01"], "datetime64[ns]")},
        {"dims": ("lon", "lat", "time")},
        {"dtype": np.int16},
        {"time": xr.date_range("2008-02-28", periods=3, calendar="noleap", use_cftime=True).values},
        {"time": xr.date_range("2008-01-28", periods=3, calendar="360_day", use_cftime=True).values},
        {"time": np.array(["2008-01-05", "2008-01-13"], "datetime64[s]")},
    ],
)
def test_nothing_is_amiss(cube, source, changes):
    config = source(extras=["land"])
    ds = cube(**changes)
    assert check_source(ds, config) == []
    assert_source(ds, config)
    normalise(select(ds, config), config)[0].load()


def test_nothing_is_read(cube, source, lazily):
    ds, reads = lazily(cube())
    assert check_source(ds, source(extras=["land"], time=("2008", "2008"), bbox_deg=(100, -50, -100, 50))) == []
    assert reads == []


def test_bounds_and_other_variables_do_no_harm(cube, source):
    ds = cube().assign(words=("bnds", ["a", "b"]), station=("station", [1.0, 2.0, 3.0]))
    assert check_source(ds, source()) == []


# --- variables ---


def test_missing_variables_are_named_with_those_there_are(cube, source):
    issues = check_source(cube(), source(target="LST", features=["t2m"], extras=["mask"]))
    there = "which is not there; there are: air_temperature_2m, crs, land, land_surface_temperature, lat_bnds, unused"
    assert issues == [
        f"source.target names 'LST', {there}",
        f"source.features names 't2m', {there}",
        f"source.extras names 'mask', {there}",
    ]


def test_a_source_of_many_variables_is_not_listed_whole(cube, source):
    ds = cube().assign({f"v{i:02d}": 0 for i in range(40)})
    message = only_issue(ds, source(target="LST"))
    assert "v00" in message
    assert "v39" not in message
    assert message.endswith("in all)")


def test_a_source_without_any_variable(source):
    issues = check_source(xr.Dataset(), source())
    assert "there are: no variables" in issues[0]
    assert sum("is not there: it must be 1-D" in issue for issue in issues) == 3


@pytest.mark.parametrize(
    ("name", "role", "dims", "text"),
    [
        (TARGET, "target", ("lat", "lon"), "(lat, lon), needed are time, lat, lon (missing: time)"),
        (FEATURE, "features", ("time", "lat", "lon", "level"), "level), needed are time, lat, lon (extra: level)"),
        (FEATURE, "features", ("lat", "lon"), "needed are time, lat, lon (missing: time)"),
        ("gap", "extras", ("level", "lat", "lon"), "lat, lon or lat, lon (extra: level)"),
        ("gap", "covariates", ("level", "lat", "lon"), "lat, lon or lat, lon (extra: level)"),
        ("gap", "extras", ("time",), "(time), needed are time, lat, lon or lat, lon (missing: lat, lon)"),
        ("gap", "covariates", ("time", "level", "lon"), "(missing: lat; extra: level)"),
    ],
)  # fmt: skip
def test_dimensions(cube, source, name, role, dims, text):
    ds = cube()
    sizes = {**ds.sizes, "level": 2}
    ds[name] = (dims, np.ones([sizes[dim] for dim in dims], np.float32), {"units": "K"})
    message = only_issue(ds, source(**({role: ["gap"]} if name == "gap" else {})))
    assert message.startswith(f"'{name}' has the dimensions")
    assert text in message
    remedy = "rename or add them in the source" if "missing" in text else "take one in source.select.level"
    assert remedy in message


def test_a_further_dimension_shows_what_there_is_to_take(cube, source):
    ds = cube().expand_dims(gap_level=[4, 96])
    extra, *others = check_source(ds.assign(gap=ds["land"]), source(extras=["gap"]))[-1:]
    assert others == []
    assert extra.endswith("(extra: gap_level): take one in source.select.gap_level; there are 4, 96")


def test_a_selected_dimension_is_no_issue(cube, source):
    ds = cube().expand_dims(gap_level=[4, 96])
    assert check_source(ds, source(select={"gap_level": 96}, extras=["land"])) == []


def test_a_selection_is_listed_with_all_else(cube, source):
    ds = cube().assign(gap=cube()["land"].expand_dims(gap_level=[4, 96])).drop_vars(FEATURE)
    issues = check_source(ds, source(extras=["gap"], select={"gap_level": 95, "band": 1}))
    assert issues[1:] == [
        "source.select.gap_level: 95.0 is not there; there are 4, 96",
        "source.select names 'band', along which no variable used lies; there are gap_level: leave it out",
    ]
    assert "source.features names" in issues[0]


@pytest.mark.parametrize("dtype", ["U3", "datetime64[ns]", "timedelta64[ns]", bool, complex])
def test_a_target_that_holds_no_numbers(cube, source, dtype):
    ds = cube()
    ds[TARGET] = (ds[TARGET].dims, np.zeros(ds[TARGET].shape, dtype), {"units": "K"})
    assert f"holds {np.dtype(dtype)}, not numbers" in only_issue(ds, source())


@pytest.mark.parametrize("role", ["extras", "covariates"])
def test_an_extra_or_a_covariate_may_hold_flags_but_no_text(cube, source, role):
    ds = cube()
    ds["words"] = ds["land"].astype(str)
    assert "'words' holds" in only_issue(ds, source(**{role: ["words", "land"]}))


def test_a_missing_covariate_is_named_as_such(cube, source):
    assert only_issue(cube(), source(covariates=["elevation"])).startswith("source.covariates names 'elevation', which")


def test_a_covariate_needs_no_unit_and_no_time(cube, source):
    ds = cube()
    ds["biome"] = ds["land"].astype(np.int16)
    assert check_source(ds, source(covariates=["biome", "unused"], features=[])) == []


# --- units ---


@pytest.mark.parametrize("units", [None, "", "  "])
def test_no_unit_names_the_key_to_declare_it(cube, source, units):
    ds = cube()
    for name in (TARGET, FEATURE):
        ds[name].attrs = {} if units is None else {"units": units}
    of_target, of_feature = check_source(ds, source())
    text = "has no units attribute: declare its unit in the configuration, source.units:"
    assert of_target == f"'{TARGET}' {text} {{{TARGET}: K}}"
    assert of_feature == f"'{FEATURE}' {text} {{{FEATURE}: K}} (or '1' for what has none)"
    assert check_source(ds, source(units={TARGET: "K", FEATURE: "degC"})) == []


def test_an_unknown_unit_of_the_target(cube, source):
    ds = cube()
    ds[TARGET].attrs["units"] = "Réaumur"
    assert "has the unit 'Réaumur', which is no known unit of temperature (K, degC, degF)" in only_issue(ds, source())


def test_a_declared_unit_is_checked_like_an_attribute(cube, source):
    assert "has the unit 'furlong'" in only_issue(cube(), source(units={TARGET: "furlong"}))


def test_features_may_have_any_unit_and_extras_none(cube, source):
    ds = cube().rename({FEATURE: "elevation"})
    ds["elevation"].attrs = {"units": "m"}
    assert check_source(ds, source(features=["elevation"], extras=["land"])) == []


@pytest.mark.parametrize("named", ["name", "standard_name"])
def test_a_temperature_in_an_unknown_spelling_does_not_pass_as_kelvin(cube, source, named):
    name = FEATURE if named == "name" else "tas"
    ds = cube().rename({FEATURE: name})
    ds[name].attrs = {"units": "grd C"} | ({} if named == "name" else {named: "air_temperature"})
    issue = only_issue(ds, source(features=[name]))
    assert f"{name!r} has the unit 'grd C', which is no known unit of temperature" in issue
    assert f"source.units: {{{name}: K}} (or '1' for what is none)" in issue
    assert check_source(ds, source(features=[name], units={name: "1"})) == []


def test_a_unit_for_a_variable_that_is_not_used(cube, source):
    message = only_issue(cube(), source(units={"lst": "K"}))
    assert message == f"source.units names 'lst', which is none of the variables used: {TARGET}, {FEATURE}"


# --- coordinates ---


@pytest.mark.parametrize("dim", ["time", "lat", "lon"])
def test_a_dimension_without_coordinate(cube, source, dim):
    message = only_issue(cube().drop_vars(dim), source())
    assert f"the coordinate '{dim}' is not there: it must be 1-D, along the dimension '{dim}'" in message


def test_dimensions_of_other_names(cube, source):
    ds = cube().rename(lat="latitude")
    issues = check_source(ds, source())
    assert any("(missing: lat; extra: latitude)" in issue for issue in issues)
    assert any("the coordinate 'lat' is not there" in issue and "latitude 6" in issue for issue in issues)


def test_coordinates_of_two_dimensions(source):
    ds = xr.Dataset(
        {name: (("time", "y", "x"), np.zeros((1, 2, 2)), {"units": "K"}) for name in (TARGET, FEATURE)},
        {"lat": (("y", "x"), np.eye(2)), "lon": (("y", "x"), np.eye(2)), "time": np.array(["2008"], "datetime64[ns]")},
    )
    assert any("the coordinate 'lat' has the dimensions ('y', 'x')" in issue for issue in check_source(ds, source()))


def test_an_empty_dimension(cube, source):
    assert only_issue(cube().isel(time=slice(0)), source()) == "the dimension 'time' is empty"


@pytest.mark.parametrize(
    ("lat", "text"),
    [
        (
            [10.0, 30.0, 20.0, 40.0],
            "lat is not sorted: 20 follows 30 at index 2: sort the source with ds.sortby('lat')",
        ),
        ([40.0, 10.0, 30.0, 5.0], "lat is not sorted: 30 follows 10 at index 2"),
        ([10.0, 20.0, 20.0], "lat holds 1 duplicate values, the first 20: drop them with ds.drop_duplicates('lat')"),
        ([10.0, np.nan, 20.0], "lat has 1 values that are not finite, the first at index 1"),
        ([10.0, np.inf], "lat has 1 values that are not finite"),
        ([80.0, 100.0], "lat reaches from 80 to 100, not within -90..90 degrees"),
        ([1e5, 2e5], "lat reaches from 100000 to 200000"),
    ],
)
def test_latitudes(cube, source, lat, text):
    assert text in only_issue(cube(lat=lat), source())


@pytest.mark.parametrize(
    ("lon", "text"),
    [
        ([20.0, 10.0], "lon is not sorted: 10 follows 20 at index 1: sort the source with ds.sortby('lon')"),
        ([170.0, 180.0, -170.0], "lon is not sorted: -170 follows 180 at index 2"),
        ([10.0, 10.0], "lon holds 1 duplicate values"),
        ([np.nan, 10.0], "lon has 1 values that are not finite, the first at index 0"),
        ([0.0, 4e5], "lon reaches from 0 to 400000, not within -360..360 degrees"),
        (np.arange(0.0, 361, 30), "lon spans 360 degrees, 0..360: drop the columns that are there twice"),
    ],
)
def test_longitudes(cube, source, lon, text):
    assert text in only_issue(cube(lon=lon), source())


def test_degrees_as_text(cube, source):
    assert "lat holds <U5, not degrees" in only_issue(cube().assign_coords(lat=list("abcdef")).pipe(
        lambda ds: ds.assign_coords(lat=ds["lat"].astype("U5"))), source())  # fmt: skip


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (["2008-02-01", "2008-01-01"], "time is not sorted: 2008-01-01 follows 2008-02-01 at index 1"),
        (["2008-01-01T06", "2008-01-01T06"], "time holds 1 duplicate values, the first 2008-01-01T06:00:00"),
        (["2008-01-01", "NaT"], "time has 1 missing dates, the first at index 1"),
    ],
)
def test_dates(cube, source, time, text):
    assert text in only_issue(cube(time=np.array(time, "datetime64[ns]")), source())


def test_dates_that_were_not_decoded(cube, source):
    message = only_issue(cube(time=np.array([0, 8, 16])), source())
    assert "time holds int64 and no dates: give it units like 'days since 1970-01-01'" in message


def test_dates_that_nanoseconds_do_not_reach(cube, source):
    time = np.array(["0850-01-01", "2008-01-01"], "datetime64[s]")
    assert "time reaches from year 850 to 2008; only 1678 to 2261" in only_issue(cube(time=time), source())


def test_a_calendar_with_a_30_february(cube, source):
    time = xr.date_range("2008-02-28", periods=3, calendar="360_day", use_cftime=True).values
    message = only_issue(cube(time=time), source())
    assert "calendar '360_day' and the date 2008-02-30, which the standard calendar does not have" in message
    assert "ds.convert_calendar('standard'" in message


def test_a_calendar_whose_dates_are_other_days(cube, source):
    time = xr.date_range("2008-02-28", periods=3, calendar="julian", use_cftime=True).values
    assert "time has calendar 'julian'" in only_issue(cube(time=time), source())


# --- what is asked for ---


def test_no_overlap_of_time_tells_the_range_there_is(cube, source):
    assert only_issue(cube(), source(time=("1999-01-01", "2001"))) == (
        "source.time ['1999-01-01', '2001'] holds no date of the source: it has 3 from 2008-01-05 to 2008-12-30"
    )


@pytest.mark.parametrize("period", [("2009", "2007"), ("2008-02-01", "2008-03-01")])
def test_a_period_that_runs_backwards_or_falls_between_dates(cube, source, period):
    assert "holds no date of the source" in only_issue(cube(), source(time=period))


@pytest.mark.parametrize(
    "text", ["yesterday", "now", "NaT", "2008-13-01", "2008-02-30", "31.12.2008", "1/2/2008", "08"]
)
def test_a_period_that_is_no_two_dates(cube, source, text):
    message = f"'{text}' is no date; write it like 2002-05-21, 2002-05 or 2002"
    assert only_issue(cube(), source(time=(text, "2009"))).endswith(message)
    assert only_issue(cube(), source(time=("2007", text))).endswith(message)


def test_no_overlap_of_the_box_tells_the_range_there_is(cube, source):
    ds = cube(lat=[40.0, 50.0], lon=[10.0, 20.0])
    for box in [(100, 40, 120, 50), (10, -20, 20, 0), (11, 40, 19, 50)]:
        assert only_issue(ds, source(bbox_deg=box)).endswith("it has lat 40..50, lon 10..20")


# --- all at once ---


def test_all_issues_are_raised_at_once(cube, source):
    ds = cube(lat=[10.0, 10.0])
    ds[TARGET].attrs = {}
    with pytest.raises(DataError, match="4 issues") as caught:
        assert_source(ds, source(features=["t2m"], time=("1999", "1999")))
    assert len(caught.value.issues) == 4
    assert str(caught.value).startswith("source cube.zarr: ")
    assert all(issue in str(caught.value) for issue in caught.value.issues)


@pytest.mark.parametrize("name", ["istra_2008", "modis_stpetersburg", "s3_stpetersburg_2019", "era5_t2m_uk_201903"])
def test_real_cubes(shared_data, source, name):
    ds = xr.open_zarr(shared_data / f"{name}.zarr", chunks=None)
    variables = [v for v in (TARGET, FEATURE) if v in ds]
    assert check_source(ds, source(target=variables[0], features=variables[1:])) == []
