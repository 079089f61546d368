"""The filled cube: a CF cube like its source, observed values untouched, the rest filled and flagged."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from lstfill import mask as masks
from lstfill.config import Block, Cluster, Evaluate, Mask, Predict, Preprocess, Source, Split, Train
from lstfill.cube import chunk_windows
from lstfill.cube.geometry import latitude_band, season
from lstfill.errors import DataError, StoreError
from lstfill.model import load
from lstfill.steps import evaluate, predict, reader
from lstfill.steps.provenance import origin_of
from lstfill.storage import stores
from tests.steps.chain import (
    CHUNKS,
    FEATURE,
    LAND,
    SHAPE,
    TARGET,
    TRUTH,
    differing,
    land,
    make_cube,
    source_of,
    write_source,
)

FINE = (4, 9, 9)
SOURCE, OBSERVED = f"{TARGET}_source", f"{TARGET}_observed"
UNCERTAINTY, INTERVAL = f"{TARGET}_uncertainty", f"{TARGET}_interval_90"


def opened(chain):
    """The way a user opens it: no options, and no warnings."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xr.open_zarr(chain.at("filled")).load()


def expected(cube, model):
    """Values and flags of the filled cube by the naive expression."""
    card = json.loads(Path(model, "model.json").read_text())
    feature, target = cube[FEATURE].values, cube[TARGET].values
    line = card["parameters"]["slope"][FEATURE] * feature.astype(np.float64) + card["parameters"]["intercept"]
    low, high = card["features"][0]["range"]
    observed = np.isfinite(target)
    fillable = (cube["land_fraction"].values != 0) & np.isfinite(feature) & ~observed
    outside = (feature < low) | (feature > high)
    flag = np.select([observed, fillable & ~outside, fillable], [0, 1, 2], 3)
    value = np.select([observed, fillable], [target, line.astype(np.float32)], np.nan)
    return value.astype(np.float32), flag.astype(np.uint8)


def work_cube(chain):
    return xr.open_zarr(chain.at("cube")).load()


def test_observed_values_are_kept_bit_for_bit(filled):
    target, value = filled.array("cube", TARGET), filled.array("filled", TARGET)
    seen = np.isfinite(target)
    assert value[seen].tobytes() == target[seen].tobytes()
    # Sea ice and held-out values too: they are observed.
    assert (seen & ~land()).any()
    assert (seen & filled.array("parts", "held_out")).any()


def test_gaps_and_flags_are_those_of_the_naive_expression(filled):
    value, flag = expected(work_cube(filled), filled.at("model"))
    found = filled.values("filled")
    np.testing.assert_array_equal(found[SOURCE], flag)
    np.testing.assert_array_equal(found[TARGET], value)
    assert set(np.unique(flag)) == {0, 1, 2, 3}
    assert found[TARGET].dtype == np.float32
    counts = origin_of(filled.at("filled"))["facts"]["flags"]
    assert list(counts) == ["observed", "filled", "extrapolated", "not_fillable"]
    assert list(counts.values()) == np.bincount(flag.ravel()).tolist()


def test_no_land_cell_is_left_and_no_sea_cell_is_filled(filled):
    value, target = filled.array("filled", TARGET), filled.array("cube", TARGET)
    assert np.isfinite(value[:, land()]).all()
    np.testing.assert_array_equal(np.isfinite(value[:, ~land()]), np.isfinite(target[:, ~land()]))


def test_uncertainty_is_the_calibrated_one_of_each_filled_cell_and_only_there(filled):
    calibration = load(Path(filled.at("model"))).card.calibration
    flag = filled.array("filled", SOURCE)
    step, row, _ = cells = np.nonzero((flag == 1) | (flag == 2))
    lat, time = filled.array("cube", "lat"), filled.array("cube", "time")
    classes = {"latitude": latitude_band(lat)[row], "season": season(time, lat)[step, row]}
    multiples = np.asarray(calibration.quantiles)[classes["season"]]
    for name, level in ((UNCERTAINTY, 1), (INTERVAL, 3)):
        found = filled.array("filled", name)
        assert np.isfinite(found).sum() == step.size
        np.testing.assert_allclose(found[cells], calibration.scale(None, classes) * multiples[:, level], rtol=1e-6)


def test_it_is_a_cf_cube(filled, cube):
    with opened(filled) as ds:
        assert set(ds.data_vars) == {TARGET, SOURCE, UNCERTAINTY, INTERVAL}
        assert ds[TARGET].attrs["units"] == "K"
        assert ds[TARGET].attrs["standard_name"] == "surface_temperature"
        assert ds[TARGET].attrs["project_name"] == cube[TARGET].attrs["project_name"]
        assert ds[TARGET].attrs["ancillary_variables"].split() == [SOURCE, UNCERTAINTY, INTERVAL]
        assert "clear-sky" in ds[TARGET].attrs["comment"]
        assert list(ds[SOURCE].attrs["flag_values"]) == [0, 1, 2, 3]
        assert ds[SOURCE].attrs["flag_meanings"] == "observed filled extrapolated not_fillable"
        assert ds[SOURCE].dtype == np.uint8
        assert ds[UNCERTAINTY].attrs["units"] == ds[INTERVAL].attrs["units"] == "K"
        assert "lstfill: gaps of land_surface_temperature filled" in ds.attrs["history"]
        assert ds.attrs["Conventions"].startswith("CF-")
        assert ds.attrs["title"] == cube.attrs["title"]
        for dim in ds.dims:
            np.testing.assert_array_equal(ds[dim].values, cube[dim].values)
            assert ds[dim].attrs["standard_name"] == cube[dim].attrs["standard_name"]


def test_it_says_how_it_was_made(filled):
    origin = origin_of(filled.at("filled"))
    assert set(origin["configuration"]) == {
        "source", "mask", "split", "preprocess", "train", "predict",
    }  # fmt: skip
    assert origin["lineage"]["model"] == origin_of(filled.at("model"))["identity"]


GRIDS = {
    "v2-descending": (2, True, False, CHUNKS),
    "v3-descending": (3, True, False, (4, 36, 24)),
    "v3-ascending": (3, False, False, CHUNKS),
    "v2-0-to-360": (2, True, True, (12, 18, 36)),
    "v2-ascending-0-to-360": (2, False, True, CHUNKS),
}


@pytest.mark.parametrize("grid", GRIDS)
def test_grid_direction_chunks_and_format_are_those_of_the_source(filled, tmp_path, grid):
    zarr_format, descending, east, stored = GRIDS[grid]
    cube = make_cube().sortby("lat", ascending=not descending)
    if east:
        cube = cube.assign_coords(lon=cube["lon"] % 360).sortby("lon")
    uri = write_source(cube, tmp_path / "source.zarr", stored, zarr_format)
    other = filled.but(root=tmp_path, source=source_of(uri))
    other.ingested()
    other.masked()
    other.filled(**filled.inputs("model"))
    value, flag = expected(work_cube(other), filled.at("model"))
    with opened(other) as ds, opened(filled) as reference:
        for dim in ("time", "lat", "lon"):
            np.testing.assert_array_equal(ds[dim].values, cube[dim].values)
        assert ds[TARGET].encoding["chunks"] == stored == ds[SOURCE].encoding["chunks"]
        np.testing.assert_array_equal(ds[TARGET].values, value)
        np.testing.assert_array_equal(ds[SOURCE].values, flag)
        # The same place has the same value on every grid: nothing is upside down.
        lon = [place - 360 if place > 180 else place for place in ds["lon"].values]
        there = reference[TARGET].sel(lat=ds["lat"]).sel(lon=lon, method="nearest")
        np.testing.assert_array_equal(ds[TARGET].values, there.values)
    assert zarr.open_group(other.at("filled"), mode="r").metadata.zarr_format == zarr_format


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_format_can_be_chosen(filled, tmp_path, zarr_format):
    other = filled.but(root=tmp_path, predict=Predict(zarr_format=zarr_format))
    other.filled(**filled.inputs("cube", "land", "model"))
    assert zarr.open_group(other.at("filled"), mode="r").metadata.zarr_format == zarr_format
    with opened(other) as ds:
        assert ds[TARGET].values.tobytes() == filled.array("filled", TARGET).tobytes()


def test_observed_values_and_features_are_written_on_demand(filled, tmp_path):
    for write, more in {"filled+observed": {OBSERVED}, "filled+observed+features": {OBSERVED, FEATURE}}.items():
        other = filled.but(root=tmp_path / write, predict=Predict(write=write))
        other.filled(**filled.inputs("cube", "land", "model"))
        with opened(other) as ds:
            assert set(ds.data_vars) == {TARGET, SOURCE, UNCERTAINTY, INTERVAL, *more}
            assert ds[OBSERVED].values.tobytes() == filled.array("cube", TARGET).tobytes()
            if FEATURE in more:
                assert ds[FEATURE].values.tobytes() == filled.array("cube", FEATURE).tobytes()
                assert ds[FEATURE].attrs["standard_name"] == "air_temperature"


def holey(cube):
    missing = np.random.default_rng(0).random(SHAPE) < 0.2
    return cube.assign({FEATURE: cube[FEATURE].where(~missing)})


def test_a_missing_feature_is_not_fillable(scored, cube, tmp_path):
    uri = write_source(holey(cube), tmp_path / "source.zarr")
    other = scored.but(root=tmp_path, source=source_of(uri))
    other.ingested()
    other.masked()
    other.filled(**scored.inputs("model"))
    value, flag = expected(work_cube(other), scored.at("model"))
    found = other.values("filled")
    np.testing.assert_array_equal(found[SOURCE], flag)
    np.testing.assert_array_equal(found[TARGET], value)
    assert (flag[:, land()] == 3).any()


def test_an_imputed_feature_is_filled_and_flagged_as_extrapolated(chain, cube, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "_report", lambda *_: ("", {}))
    uri = write_source(holey(cube), tmp_path / "source.zarr")
    imputing = chain.but(source=source_of(uri), preprocess=Preprocess(missing="mean"))
    imputing.prepared()
    imputing.trained()
    scores = imputing.scored().facts["scores"]
    imputing.filled()
    found, work = imputing.values("filled"), work_cube(imputing)
    lost = np.isnan(work[FEATURE].values) & np.isnan(work[TARGET].values) & land()
    assert (found[SOURCE][lost] == 2).all()
    assert np.unique(found[TARGET][lost]).size == 1
    assert np.isfinite(found[TARGET][:, land()]).all()
    assert scores["held_out_gaps"]["n"] == imputing.array("parts", "held_out").sum()


def test_a_registered_model_fills_the_same(filled, tmp_path):
    other = filled.but(root=tmp_path)
    version = origin_of(filled.at("model"))["facts"]["version"]
    other.filled(**filled.inputs("cube", "land"), model=version)
    assert differing(other.values("filled"), filled.values("filled")) == []
    assert origin_of(other.at("filled"))["facts"]["model"] == version


def test_plain_pyfunc_predicts_what_the_filled_cube_holds(filled):
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(filled.tracking.uri)
    try:
        model = mlflow.pyfunc.load_model(origin_of(filled.at("model"))["facts"]["version"])
    finally:
        mlflow.set_tracking_uri(None)
    gaps = filled.array("filled", SOURCE) == 1
    feature = filled.array("cube", FEATURE)[gaps]
    said = np.asarray(model.predict(pd.DataFrame({FEATURE: feature}))).ravel()
    np.testing.assert_allclose(said, filled.array("filled", TARGET)[gaps], atol=1e-3)


def test_a_rerun_gives_the_same_and_appends_nothing(filled, tmp_path):
    other = filled.but(root=tmp_path)
    for _ in range(2):
        other.filled(**filled.inputs("cube", "land", "model"))
        assert differing(other.values("filled"), filled.values("filled")) == []
    assert opened(other).attrs["history"].count("lstfill: gaps of") == 1


def test_a_killed_step_leaves_no_filled_cube(filled, tmp_path, monkeypatch):
    other, real, calls = filled.but(root=tmp_path), stores.write, []
    inputs = filled.inputs("cube", "land", "model")

    def fail_later(*args, **options):
        calls.append(args)
        if len(calls) > 10:
            raise KeyboardInterrupt
        real(*args, **options)

    with monkeypatch.context() as killed:
        killed.setattr(stores, "write", fail_later)
        with pytest.raises(KeyboardInterrupt):
            other.filled(**inputs)
    with pytest.raises(StoreError, match=r"filled\.zarr is not whole"):
        stores.open_whole(other.at("filled"))
    other.filled(**inputs)
    assert differing(other.values("filled"), filled.values("filled")) == []


def test_a_mask_of_another_grid_is_refused(filled, chain):
    smaller = chain.but(source=chain.source.model_copy(update={"bbox_deg": (-180, -90, 180, 60)}))
    smaller.ingested()
    with pytest.raises(DataError, match=r"land\.zarr: made for another grid"):
        smaller.filled(**filled.inputs("land", "model"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "evaluation"}, r"evaluation was written by step evaluate, not train: .* of the model"),
        ({"land": "parts"}, r"parts\.zarr was written by step split, not mask: .* of the land mask"),
        ({"cube": "filled"}, r"filled\.zarr was written by step predict, not ingest: .* of the work cube"),
    ],
)
def test_mixed_up_addresses_are_refused(filled, tmp_path, given, message):
    inputs = filled.inputs("cube", "land", "model")
    inputs |= {name: filled.at(other) for name, other in given.items()}
    with pytest.raises(StoreError, match=message):
        predict.run(filled.predict, filled.tracking, **inputs, output=f"{tmp_path}/filled.zarr")
    assert not (tmp_path / "filled.zarr").exists()


def test_defaults_alone_run_from_source_to_filled_cube(chain, cube, tmp_path, monkeypatch):
    monkeypatch.setattr(masks, "land", lambda *_: land())
    monkeypatch.setattr(evaluate, "_report", lambda *_: ("", {}))
    plain = chain.but(
        source=Source(uri=chain.source.uri),
        mask=Mask(),
        # A small cube needs small blocks; all else is as nobody has configured it.
        split=Split(block=Block(time=4, lat=6, lon=9)),
        train=Train(),
        evaluate=Evaluate(),
    )
    plain.prepared()
    plain.trained()
    assert plain.scored().facts["scores"]["test"]["mae_k"] < 2.7
    assert plain.filled().facts["flags"]["filled"] > 0


def test_the_score_says_how_wrong_the_fill_is(scored, tmp_path):
    inputs = scored.inputs("cube", "land", "model")
    there = scored.but(root=tmp_path)
    there.filled(**inputs)
    found, truth = there.values("filled"), scored.array("cube", TRUTH)
    gaps = (found[f"{TARGET}_source"] == 1) | (found[f"{TARGET}_source"] == 2)
    error = np.abs(found[TARGET] - truth)[gaps].mean()
    scores = origin_of(scored.at("evaluation"))["facts"]["scores"]
    # The truth behind real gaps is known for a made-up planet alone: the scores must foretell it.
    assert scores["held_out_gaps"]["mae_k"] == pytest.approx(error, abs=0.25)
    assert scores["test"]["mae_k"] == pytest.approx(error, abs=0.25)


def test_cells_colder_than_all_that_was_trained_on_are_flagged(chain, scored, cube, tmp_path):
    frozen = cube.copy(deep=True)
    frozen[FEATURE].to_numpy()[:, -2:] -= 60
    polar = chain.but(source=source_of(write_source(frozen, tmp_path / "source.zarr")))
    polar.ingested()
    polar.masked()
    polar.filled(**scored.inputs("model"))
    flag, value = polar.array("filled", f"{TARGET}_source")[:, -2:], polar.array("filled", TARGET)[:, -2:]
    assert set(np.unique(flag[np.isnan(polar.array("cube", TARGET)[:, -2:])])) == {2}
    assert value[flag == 2].min() < 200


def test_a_source_with_units_alone_is_enough(chain, cube, scored, tmp_path):
    bare = xr.Dataset(
        {
            name: (cube[name].dims, cube[name].to_numpy(), {"units": "K"} if name in (TARGET, FEATURE) else {})
            for name in (TARGET, FEATURE, LAND)
        },
        {name: cube[name].to_numpy() for name in ("time", "lat", "lon")},
    )
    plain = chain.but(source=source_of(write_source(bare, tmp_path / "source.zarr"), extras=[LAND]))
    plain.ingested()
    plain.masked()
    plain.filled(**scored.inputs("model"))
    with xr.open_zarr(plain.at("filled")) as ds:
        assert ds[TARGET].attrs["long_name"] == "land surface temperature"
        assert ds["lat"].attrs["units"] == "degrees_north"
        assert np.isfinite(ds[TARGET].to_numpy()[:, land()]).all()


@pytest.fixture(scope="module")
def smoothed(around, prepared, tmp_path_factory):
    """The cube filled by a model of neighbours."""
    there = prepared.but(root=tmp_path_factory.mktemp("smoothed"))
    there.filled(**prepared.inputs("cube", "land"), model=around.uri)
    return there


def test_a_model_of_neighbours_fills_every_gap_on_land_and_nothing_else(smoothed, filled):
    found, target = smoothed.values("filled"), filled.array("cube", TARGET)
    seen, gap = np.isfinite(target), np.isnan(target) & land()
    assert found[TARGET][seen].tobytes() == target[seen].tobytes()
    np.testing.assert_array_equal(np.isfinite(found[TARGET]), seen | gap)
    np.testing.assert_array_equal(np.isin(found[SOURCE], [1, 2]), gap)
    for name in (UNCERTAINTY, INTERVAL):
        np.testing.assert_array_equal(np.isfinite(found[name]), gap)


def test_each_date_of_which_nothing_is_seen_is_extrapolated(smoothed, filled):
    flag, target = smoothed.array("filled", SOURCE), filled.array("cube", TARGET)
    never = land() & np.isnan(target).all(axis=0)
    assert never.any()
    assert (flag[:, never] == 2).all()
    assert (flag == 1).any()


def test_its_tiles_leave_nothing_behind(around, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    there = prepared.but(root=tmp_path / "run")
    there.filled(**prepared.inputs("cube", "land"), model=around.uri)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["filled.zarr"]


def test_features_are_read_for_its_tiles_and_not_again_for_chunks(around, prepared, tmp_path, monkeypatch):
    real, reads = stores.read, []

    def counted(uri, window, names, **options):
        reads.extend(window for name in names if name == FEATURE)
        return real(uri, window, names, **options)

    monkeypatch.setattr(stores, "read", counted)
    prepared.but(root=tmp_path).filled(**prepared.inputs("cube", "land"), model=around.uri)
    assert reads
    assert {(window.start[0], window.stop[0]) for window in reads} == {(0, SHAPE[0])}


@pytest.fixture
def finely(filled, tmp_path):
    """The same cube in chunks so small that some have nothing to fill."""
    other = filled.but(root=tmp_path, source=source_of(filled.source.uri, chunks=FINE))
    other.ingested()
    other.masked()
    return other


@pytest.mark.parametrize("masks", [["land"], []])
def test_features_are_read_only_where_a_gap_on_land_needs_them(filled, finely, monkeypatch, masks):
    real, reads = stores.read, []
    if masks:
        monkeypatch.setattr(reader, "KEPT_LAND_CELLS", 0)  # a mask too large to keep

    def counted(uri, window, names, **options):
        reads.extend((name, window.start) for name in names)
        return real(uri, window, names, **options)

    monkeypatch.setattr(stores, "read", counted)
    finely.filled(**filled.inputs("model"))
    gap = np.isnan(filled.array("cube", TARGET)) & land()
    windows = chunk_windows(SHAPE, FINE)
    needed = [window for window in windows if gap[window.slices].any()]
    assert 0 < len(needed) < len(windows)
    wanted = [(name, window.start) for name in (TARGET, *masks) for window in windows]
    assert sorted(reads) == sorted(wanted + [(FEATURE, window.start) for window in needed])
    assert differing(finely.values("filled"), filled.values("filled")) == []


def test_a_store_is_opened_once_and_not_for_every_chunk(filled, finely, monkeypatch):
    opens = []
    for name in ("open_group", "open_array"):
        real = getattr(zarr, name)
        monkeypatch.setattr(zarr, name, lambda *given, of=real, **options: opens.append(given) or of(*given, **options))
    finely.but(cluster=Cluster(workers=1)).filled(**filled.inputs("model"))
    assert len(opens) < 20 < len(chunk_windows(SHAPE, FINE))
