"""Filling: what is observed stays bit for bit, what is filled is flagged, and the cube says so in CF's words."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstfill.config import Predict
from lstfill.cube import Chunk, Window
from lstfill.model import Prediction
from lstfill.predict import (
    SourceFlag,
    fill,
    filled_attributes,
    filled_names,
    filled_template,
    global_attributes,
    source_flags,
)
from tests.model.calibrations import CALIBRATION

LST, T2M = "land_surface_temperature", "air_temperature_2m"
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
STANDARD = (6.0, 5.0, 4.0, 3.0, 2.0, 1.0)
BY_BAND = dataclasses.replace(
    CALIBRATION, factors={"latitude": tuple(np.log(STANDARD).tolist())}, quantiles=((0.7, 1.0, 1.3, 1.7, 2.1),) * 4
)
"""Standard uncertainties of 1 K in the north to 6 K in the south; the 90 % interval is 1.7 times as wide."""


class Line:
    """A model of one line, trained between 220 and 320 K."""

    def __init__(self, dtype=np.float32, calibration=BY_BAND, fails=None, uncertainty=None):
        self.dtype, self.fails, self.uncertainty = dtype, fails, uncertainty
        self.card = SimpleNamespace(calibration=calibration)

    def predict(self, chunk):
        value = (1.1 * chunk.features[T2M].astype(float) - 25).astype(self.dtype)
        if self.fails is not None:
            value[self.fails] = np.inf
        return Prediction(value, None, self.uncertainty)

    def extrapolated(self, chunk):
        return (chunk.features[T2M] < 220) | (chunk.features[T2M] > 320)


def chunk_of(target, feature, land) -> Chunk:
    nt, ny, nx = target.shape
    time = np.datetime64("2002-05-21", "ns") + 8 * np.arange(nt) * np.timedelta64(1, "D")
    lat, lon = np.linspace(80, -80, ny), np.linspace(0, 10, nx)
    return Chunk(Window((0, 0, 0), target.shape), target.shape, time, lat, lon, target, {T2M: feature}, land)


def example(seed: int = 0, shape=(3, 4, 5)) -> Chunk:
    rng = np.random.default_rng(seed)
    target = rng.uniform(230, 330, shape).astype(np.float32)
    target[rng.random(shape) < 0.5] = np.nan
    feature = rng.uniform(200, 340, shape).astype(np.float32)
    feature[rng.random(shape) < 0.1] = np.nan
    return chunk_of(target, feature, rng.random(shape[1:]) < 0.7)


@st.composite
def chunks(draw):
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    width = 32 if dtype is np.float32 else 64
    observed = st.floats(180, 345, width=width) | st.sampled_from([np.nan, -0.0, 0.0, -np.inf])
    feature = st.floats(150, 400, width=32) | st.just(np.nan)
    return chunk_of(
        draw(arrays(dtype, shape, elements=observed)),
        draw(arrays(np.float32, shape, elements=feature)),
        draw(arrays(bool, shape[1:])),
    )


def bits(values):
    return values.view(f"u{values.dtype.itemsize}")


@settings(max_examples=150, deadline=None)
@given(chunks(), st.sampled_from([np.float32, np.float64]))
def test_observed_bits_stay_and_every_cell_that_can_be_filled_is(chunk, model_dtype):
    filled = fill(chunk, Line(model_dtype))
    observed = np.isfinite(chunk.target)
    assert filled.value.dtype == chunk.target.dtype
    np.testing.assert_array_equal(bits(filled.value)[observed], bits(chunk.target)[observed])
    fillable = chunk.land[None] & np.isfinite(chunk.features[T2M]) & ~observed
    assert np.isfinite(filled.value[fillable]).all()
    assert np.isnan(filled.value[~fillable & ~observed]).all()


@settings(max_examples=150, deadline=None)
@given(chunks())
def test_flags_partition_the_cells_and_tell_value_and_uncertainty(chunk):
    filled = fill(chunk, Line())
    assert filled.flag.dtype == np.uint8
    assert filled.uncertainty.dtype == filled.interval_90.dtype == np.float32
    is_filled = np.isin(filled.flag, [SourceFlag.FILLED, SourceFlag.EXTRAPOLATED])
    assert set(np.unique(filled.flag)) <= set(SourceFlag)
    np.testing.assert_array_equal(filled.flag == SourceFlag.OBSERVED, np.isfinite(chunk.target))
    np.testing.assert_array_equal(filled.flag == SourceFlag.NOT_FILLABLE, np.isnan(filled.value))
    for of in (filled.uncertainty, filled.interval_90):
        np.testing.assert_array_equal(is_filled, np.isfinite(of))


def test_fill_equals_a_loop_over_cells():
    chunk = example()
    filled = fill(chunk, Line())
    for cell in np.ndindex(chunk.target.shape):
        t2m, lst = chunk.features[T2M][cell], chunk.target[cell]
        if not np.isnan(lst):
            expected = (lst, SourceFlag.OBSERVED, np.nan)
        elif not chunk.land[cell[1:]] or np.isnan(t2m):
            expected = (np.nan, SourceFlag.NOT_FILLABLE, np.nan)
        else:
            outside = not 220 <= t2m <= 320
            # Rows at 80, 27, -27 and -80 degrees north.
            standard = {0: 1.0, 1: 3.0, 2: 4.0, 3: 6.0}[cell[1]]
            expected = (np.float32(1.1 * float(t2m) - 25), SourceFlag(1 + outside), standard)
        got = (filled.value[cell], filled.flag[cell], filled.uncertainty[cell])
        np.testing.assert_allclose(got, expected, rtol=1e-6, err_msg=f"cell {cell}")
        np.testing.assert_allclose(filled.interval_90[cell], 1.7 * expected[2], rtol=1e-6)
    assert set(np.unique(filled.flag)) == {0, 1, 2, 3}


def test_sea_ice_that_was_observed_stays_and_is_flagged_observed():
    chunk = dataclasses.replace(example(1), land=np.zeros((4, 5), bool))
    filled = fill(chunk, Line())
    np.testing.assert_array_equal(filled.value, chunk.target)
    assert set(np.unique(filled.flag)) == {SourceFlag.OBSERVED, SourceFlag.NOT_FILLABLE}


def test_held_out_values_are_observed_in_the_product():
    chunk = example(2)
    hidden = dataclasses.replace(chunk, held_out=np.isfinite(chunk.target), part=np.ones(chunk.target.shape, np.int8))
    for a, b in zip(vars(fill(chunk, Line())).values(), vars(fill(hidden, Line())).values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_fill_changes_nothing_it_was_given():
    chunk = example(3)
    target, feature = chunk.target.copy(), chunk.features[T2M].copy()
    filled = fill(chunk, Line())
    filled.value[:] = 0
    np.testing.assert_array_equal(chunk.target, target)
    np.testing.assert_array_equal(chunk.features[T2M], feature)


def test_fill_does_not_depend_on_windows():
    whole = example(4, (4, 6, 5))
    filled = fill(whole, Line())
    for t, y in ((slice(0, 2), slice(0, 1)), (slice(2, 4), slice(1, 6))):
        part = dataclasses.replace(
            whole,
            time=whole.time[t],
            lat=whole.lat[y],
            target=whole.target[t, y],
            features={T2M: whole.features[T2M][t, y]},
            land=whole.land[y],
        )
        for a, b in zip(vars(fill(part, Line())).values(), vars(filled).values(), strict=True):
            np.testing.assert_array_equal(a, b[t, y])


def test_an_uncertainty_that_came_with_the_tiles_counts_and_without_calibration_there_is_none():
    chunk = example(5)
    tiles = np.full(chunk.target.shape, 0.25, np.float32)
    filled = fill(chunk, Line(uncertainty=tiles))
    is_filled = np.isin(filled.flag, [1, 2])
    assert set(filled.uncertainty[is_filled]) == {np.float32(0.25)}
    np.testing.assert_allclose(filled.interval_90[is_filled], 1.7 * 0.25)
    bare = fill(chunk, Line(calibration=None))
    assert np.isnan(bare.uncertainty).all()
    assert np.isnan(bare.interval_90).all()
    np.testing.assert_array_equal(bare.value, filled.value)


def test_a_cell_that_the_model_has_no_finite_value_for_is_not_fillable():
    chunk = dataclasses.replace(example(6), target=np.full((3, 4, 5), np.nan, np.float32))
    filled = fill(chunk, Line(fails=(1, 2, 3)))
    assert filled.flag[1, 2, 3] == SourceFlag.NOT_FILLABLE
    huge = np.full((3, 4, 5), 1e300)  # finite as a double, not as the target's float32
    assert set(np.unique(source_flags(chunk, huge, np.zeros((3, 4, 5), bool)))) == {SourceFlag.NOT_FILLABLE}


ESDC = {
    "long_name": "Land Surface Temperature",
    "units": "K",
    "project_name": "GlobTemperature",
    "cell_methods": "time: mean",
    "actual_range": [223.0, 339.3],
    "valid_max": 345.0,
    "ancillary_variables": "lst_count lst_error",
    "comment": "Clear sky only.",
}


def test_attributes_of_the_source_are_kept_and_completed():
    attrs = filled_attributes(ESDC, LST, "a line", CALIBRATION, present=["lst_error"])[LST]
    for key in ("long_name", "units", "project_name", "cell_methods"):
        assert attrs[key] == ESDC[key]
    assert attrs["standard_name"] == "surface_temperature"
    assert attrs["comment"].startswith("Clear sky only. Gaps are filled with a line.")
    assert "clear-sky equivalents" in attrs["comment"]
    assert attrs["ancillary_variables"] == f"lst_error {LST}_source {LST}_uncertainty {LST}_interval_90"
    assert not {"actual_range", "valid_max"} & set(attrs)


def test_attributes_that_the_source_lacks_are_made():
    attrs = filled_attributes({}, LST, "a line", CALIBRATION)[LST]
    assert attrs["long_name"] == "land surface temperature"
    assert attrs["units"] == "K"
    assert attrs["comment"].startswith("Gaps are filled")
    named = filled_attributes({"standard_name": "sea_surface_temperature"}, LST, "a line", CALIBRATION)
    assert named[LST]["standard_name"] == "sea_surface_temperature"
    assert named[f"{LST}_uncertainty"]["standard_name"] == "sea_surface_temperature standard_error"


def test_the_flag_is_described_as_cf_wants_it():
    attrs = filled_attributes(ESDC, LST, "a line", CALIBRATION)[f"{LST}_source"]
    assert attrs["flag_values"].dtype == np.uint8
    assert attrs["flag_values"].tolist() == [0, 1, 2, 3]
    assert attrs["flag_meanings"].split() == ["observed", "filled", "extrapolated", "not_fillable"]
    assert attrs["standard_name"] == "status_flag"
    assert "units" not in attrs


def test_uncertainty_and_interval_say_what_they_mean_and_leave_out():
    attrs = filled_attributes(ESDC, LST, "a line", CALIBRATION)
    standard, interval = attrs[f"{LST}_uncertainty"], attrs[f"{LST}_interval_90"]
    assert standard["standard_name"] == "surface_temperature standard_error"
    assert "standard_name" not in interval
    assert "683 of 1000" in standard["comment"]
    assert "9 of 10" in interval["comment"]
    for of in (standard, interval):
        assert of["units"] == "K"
        assert "1000 errors at values of the validation part, of 40 dates and regions, by latitude" in of["comment"]
        assert "Missing for observed values" in of["comment"]
        assert "clear and cloudy sky" in of["comment"]


def test_without_calibration_the_attributes_say_so():
    attrs = filled_attributes(ESDC, LST, "a line", None)
    assert attrs[f"{LST}_uncertainty"]["comment"].endswith("Missing: the model was not calibrated.")


@pytest.mark.parametrize("before", [{}, {"history": "2018 made"}, {"history": "2018 made\n", "Conventions": "CF-1.11"}])
def test_history_grows_by_one_line_and_conventions_are_kept_or_added(before):
    attrs = global_attributes({"title": "Earth System Data Cube", **before}, LST, "a line", NOW)
    lines = attrs["history"].split("\n")
    assert lines[-1] == f"2026-03-04T05:06:07+00:00 lstfill: gaps of {LST} filled with a line"
    assert lines[:-1] == (["2018 made"] if "history" in before else [])
    assert attrs["Conventions"] == before.get("Conventions", "CF-1.9")
    assert attrs["title"] == "Earth System Data Cube"


def test_the_mark_of_a_whole_store_is_not_inherited():
    assert "lstfill" not in global_attributes({"lstfill": {"step": "ingest"}}, LST, "a line", NOW)


def work_cube(shape=(2, 3, 4)) -> xr.Dataset:
    time = np.array(["2002-05-21", "2002-05-29"], "datetime64[ns]")
    coords = {
        "time": ("time", time, {"standard_name": "time"}),
        "lat": ("lat", np.linspace(60, 40, shape[1]), {"units": "degrees_north"}),
        "lon": ("lon", np.linspace(0, 3, shape[2]), {"units": "degrees_east"}),
    }
    dims = ("time", "lat", "lon")
    lst, t2m = (dims, np.zeros(shape, np.float32), ESDC), (dims, np.zeros(shape), {"units": "K", "source": "ERA5"})
    return xr.Dataset({LST: lst, T2M: t2m}, coords, {"title": "cube"})


def template(write="filled", cube=None) -> xr.Dataset:
    return filled_template(
        work_cube() if cube is None else cube,
        LST,
        Predict(write=write),
        features=[T2M],
        model="a line",
        calibration=CALIBRATION,
        now=NOW,
    )


@pytest.mark.parametrize(
    ("write", "beyond"),
    [("filled", []), ("filled+observed", [f"{LST}_observed"]), ("filled+observed+features", [f"{LST}_observed", T2M])],
)
def test_the_template_has_the_cube_s_grid_and_what_is_asked_for(write, beyond):
    made, cube = template(write), work_cube()
    assert list(made.data_vars) == [LST, f"{LST}_source", f"{LST}_uncertainty", f"{LST}_interval_90", *beyond]
    for name in ("time", "lat", "lon"):
        xr.testing.assert_identical(made[name], cube[name])
    dtypes = {name: made[name].dtype for name in made.data_vars}
    assert dtypes[LST] == np.float32
    assert dtypes[f"{LST}_source"] == np.uint8
    assert dtypes[f"{LST}_uncertainty"] == dtypes[f"{LST}_interval_90"] == np.float32
    assert all(made[name].dims == ("time", "lat", "lon") for name in made.data_vars)
    if T2M in beyond:
        assert (dtypes[T2M], made[T2M].attrs) == (np.float64, cube[T2M].attrs)
    assert "a line" in made.attrs["history"]


def test_the_observed_target_keeps_its_attributes_but_not_its_name():
    attrs = template("filled+observed")[f"{LST}_observed"].attrs
    assert attrs["project_name"] == "GlobTemperature"
    assert attrs["comment"] == "Clear sky only. As in the source, with its gaps."
    assert "ancillary_variables" not in attrs


def test_the_template_costs_no_memory():
    # 80 years of the ESDC's grid: 137 GB if it were allocated.
    shape = (3680, 2160, 4320)
    lazy = xr.Variable(("time", "lat", "lon"), np.broadcast_to(np.float32(0), shape))
    made = template("filled+observed", xr.Dataset({LST: lazy, T2M: lazy}))
    assert made[LST].shape == shape
    assert made[LST].variable.values.strides == (0, 0, 0)


def test_the_template_survives_a_zarr_store(tmp_path):
    path = tmp_path / "filled.zarr"
    template().to_zarr(path, zarr_format=2, consolidated=True)
    read = xr.open_zarr(path)
    assert read[f"{LST}_source"].dtype == np.uint8
    assert read[f"{LST}_source"].attrs["flag_values"] == [0, 1, 2, 3]
    json.dumps([read.attrs, *(variable.attrs for variable in read.variables.values())], allow_nan=False)


def test_names_follow_the_target():
    assert filled_names("lst") == {
        "filled": "lst", "source": "lst_source", "uncertainty": "lst_uncertainty", "interval_90": "lst_interval_90",
        "observed": "lst_observed",
    }  # fmt: skip
