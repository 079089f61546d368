"""Models as MLflow serves them, on a real store: what comes back is what the filled cube has."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lstfill import serving, tracking
from lstfill.config import Tracking, Train
from lstfill.cube import Chunk, Window
from lstfill.errors import DataError
from lstfill.model import LinearModel, create
from lstfill.predict import SourceFlag, fill
from tests.model.calibrations import CALIBRATION
from tests.model.test_mlp import initial
from tests.model.views import no_fit, view

SHAPE = 8, 6, 7


@pytest.fixture(scope="module")
def chunk():
    """Dates of a tile with waves in time and space, gaps, and a covariate that stays and one that changes."""
    rng = np.random.default_rng(0)
    lat, lon = np.linspace(46.0, 45.5, 6), np.linspace(13.0, 13.6, 7)
    time = np.arange("2008-01-01", "2008-12-20", 45, "datetime64[D]").astype("datetime64[ns]")[:8]
    t2m = 280 - 10 * np.cos(2 * np.pi * np.arange(8) / 8)[:, None, None] + rng.normal(0, 1, SHAPE)
    target = np.where(rng.random(SHAPE) < 0.3, np.nan, 1.1 * t2m - 25 + 3 * (lat[:, None] - 45.7))
    return Chunk(
        window=Window((0, 0, 0), SHAPE),
        shape=SHAPE,
        time=time,
        lat=lat,
        lon=lon,
        target=target.astype("float32"),
        features={"t2m": t2m.astype("float32")},
        land=np.ones(SHAPE[1:], bool),
        covariates={"cover": rng.integers(0, 3, SHAPE[1:]), "snow": rng.random(SHAPE).astype("float32")},
    )


@pytest.fixture(scope="module")
def table(chunk):
    """The same as a long table, by xarray's own way."""
    dims = ("time", "lat", "lon")
    variables = {"lst": chunk.target, **chunk.features, **chunk.covariates}
    cube = xr.Dataset(
        {name: (dims[-values.ndim :], values) for name, values in variables.items()},
        {"time": chunk.time, "lat": chunk.lat, "lon": chunk.lon},
    )
    return cube.to_dataframe(dim_order=dims).reset_index()


def fitted(covariates=("cover", "snow")):
    model, of = create("harmonic"), dataclasses.replace(view(), covariates=covariates)
    model.fit(of, Train(), None)
    return model.calibrate(CALIBRATION)


@pytest.fixture(scope="module")
def model():
    return fitted()


def assert_same(chunk, other):
    for name in ("time", "lat", "lon", "target", "land"):
        np.testing.assert_array_equal(getattr(chunk, name), getattr(other, name), err_msg=name)
    for of, others in ((chunk.features, other.features), (chunk.covariates, other.covariates)):
        assert of.keys() == others.keys()
        for name, values in of.items():
            np.testing.assert_array_equal(values, others[name], err_msg=name)
            assert others[name].dtype.kind == values.dtype.kind


class TestTable:
    def test_a_cube_comes_back(self, chunk, table, model):
        found, cells = serving.chunk_of(table, model.card)
        assert_same(chunk, found)
        np.testing.assert_array_equal(cells, np.arange(len(table)))

    def test_rows_may_come_in_any_order(self, chunk, table, model):
        mixed = table.sample(frac=1, random_state=0)
        found, cells = serving.chunk_of(mixed, model.card)
        np.testing.assert_array_equal(np.sort(found.lat), np.sort(chunk.lat))
        np.testing.assert_array_equal(found.target.ravel()[cells], mixed["lst"].to_numpy())
        np.testing.assert_array_equal(found.features["t2m"].ravel()[cells], mixed["t2m"].to_numpy())

    def test_cells_that_are_not_named_are_sea_and_dates_of_others_missing(self, table, model):
        sea = (table["lat"] == table["lat"].iloc[0]) & (table["lon"] == table["lon"].iloc[0])
        found, cells = serving.chunk_of(table[~sea].drop(index=50), model.card)
        assert np.argwhere(~found.land).tolist() == [[0, 0]]
        step, row, column = np.unravel_index(50, SHAPE)
        assert np.isnan(found.target[step, row, column])
        assert np.isnan(found.features["t2m"][step, row, column])
        assert len(cells) == len(table) - sea.sum() - 1
        assert found.covariates["cover"].shape == SHAPE[1:]

    def test_all_that_is_missing_is_named_at_once(self, table, model):
        with pytest.raises(DataError) as caught:
            serving.chunk_of(table.drop(columns=["lat", "snow"]), model.card)
        assert "no column 'lat', there are: time, lon, lst" in str(caught.value)
        assert "no column 'snow'" in str(caught.value)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda of: of.iloc[:0], "no row"),
            (lambda of: pd.concat([of, of.iloc[:2]]), "2 rows have the time, lat and lon of another"),
            (lambda of: of.assign(lat=of["lat"].where(of.index != 3)), "'lat' is missing in 1 rows"),
            (
                lambda of: of.assign(lat=np.linspace(0, 1, len(of)), lon=np.linspace(5, 6, len(of))),
                "336 rows lie in a grid of 8 x 336 x 336: give the cells of a regular grid",
            ),
        ],
    )
    def test_a_table_that_is_no_cube(self, table, model, spoil, message):
        with pytest.raises(DataError, match=message):
            serving.chunk_of(spoil(table), model.card)


class TestFiller:
    def test_it_is_the_filled_cube(self, chunk, table, model):
        answer = serving.TableFiller(model).predict(table)
        filled = fill(chunk, model)
        np.testing.assert_array_equal(answer["lst"].to_numpy(), filled.value.ravel())
        np.testing.assert_array_equal(answer["lst_uncertainty"].to_numpy(), filled.uncertainty.ravel())
        np.testing.assert_array_equal(answer["lst_interval_90"].to_numpy(), filled.interval_90.ravel())
        np.testing.assert_array_equal(answer["lst_source"].to_numpy(), filled.flag.ravel())

    def test_observed_values_stay_and_gaps_have_values_and_uncertainties(self, table, model):
        answer = serving.TableFiller(model).predict(table)
        observed = table["lst"].notna()
        assert (answer["lst"][observed] == table["lst"][observed]).all()
        assert (answer["lst_source"] == SourceFlag.OBSERVED)[observed].all()
        assert answer["lst"].notna().all()
        assert (answer["lst_uncertainty"][~observed] > 0).all()
        assert (answer["lst_interval_90"][~observed] > answer["lst_uncertainty"][~observed]).all()
        assert answer["lst_uncertainty"][observed].isna().all()

    def test_rows_keep_their_order_and_index(self, table, model):
        mixed = table.sample(frac=1, random_state=0)
        answer, straight = (serving.TableFiller(model).predict(of) for of in (mixed, table))
        assert answer.index.tolist() == mixed.index.tolist()
        pd.testing.assert_frame_equal(answer.sort_index(), straight, atol=1e-3)


class TestServing:
    def test_models_of_columns_are_networks(self):
        line = LinearModel()
        line.fit(view(), Train(), no_fit)
        assert serving.serving_of(line).loader is None
        assert list(serving.serving_of(line).inputs.items()) == [("t2m", "double")]
        of = serving.serving_of(initial(coordinates=True))
        assert list(of.inputs) == list(of.example) == ["t2m", "lat", "lon_sine", "lon_cosine"]

    def test_models_of_tiles_take_a_table(self, model):
        of = serving.serving_of(model)
        assert of.loader == "lstfill.serving"
        assert dict(of.inputs) == {
            "time": "datetime",
            **dict.fromkeys(("lat", "lon", "lst", "t2m"), "double"),
            **dict.fromkeys(("cover", "snow"), "any"),
        }

    def test_the_example_can_be_filled(self, model):
        example = pd.DataFrame(serving.serving_of(model).example)
        answer = serving.TableFiller(model).predict(example)
        assert example["lst"].isna().any()
        assert answer["lst"].notna().all()
        assert list(answer) == list(serving.serving_of(model).outputs)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_REGISTRY_URI"):
            patch.delenv(name, raising=False)
        yield tracking.resolve_uri(Tracking(), tmp_path_factory.mktemp("store"))


def logged(store, model, directory, name):
    model.save(directory)
    with tracking.open_run(store, "serving", "r") as run:
        return run.log_model(directory, name, serving.serving_of(model), register_as=name)


@pytest.fixture(scope="module")
def harmonic(store, model, tmp_path_factory):
    return logged(store, model, tmp_path_factory.mktemp("harmonic"), "harmonic")


class TestMlflow:
    def test_plain_pyfunc_fills_a_table(self, store, harmonic, model, table, tmp_path):
        """In a process that has this package from the model alone."""
        table.to_pickle(tmp_path / "table")
        program = f"""
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path = [place for place in sys.path if not place.endswith("/src")]
import mlflow, pandas as pd
mlflow.set_tracking_uri({store!r})
loaded = mlflow.pyfunc.load_model({harmonic.uri!r})
loaded.predict(pd.read_pickle("table")).to_pickle("answer")
import lstfill
assert lstfill.__file__.endswith("/code/lstfill/__init__.py"), lstfill.__file__
"""
        result = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        pd.testing.assert_frame_equal(pd.read_pickle(tmp_path / "answer"), serving.TableFiller(model).predict(table))  # noqa: S301

    def test_the_signature_and_the_card_are_shown(self, store, harmonic):
        import mlflow

        mlflow.set_tracking_uri(store)
        info = mlflow.models.get_model_info(harmonic.uri)
        mlflow.set_tracking_uri(None)
        assert info.signature.inputs.input_names() == ["time", "lat", "lon", "lst", "t2m", "cover", "snow"]
        assert info.signature.outputs.input_names() == ["lst", "lst_uncertainty", "lst_interval_90", "lst_source"]
        assert info.metadata["lstfill"]["model"] == "harmonic"

    def test_the_whole_directory_comes_back(self, store, harmonic, model, tmp_path):
        found = tracking.fetch_model(harmonic.uri, store, tmp_path)
        assert type(model).load(found) == model

    def test_an_mlp_is_a_network(self, store, tmp_path):
        import mlflow

        of = initial(coordinates=True, season=True)
        uri = logged(store, of, tmp_path, "mlp").uri
        mlflow.set_tracking_uri(store)
        columns = of.example(20)
        answer = mlflow.pyfunc.load_model(uri).predict(pd.DataFrame(columns).astype("float64"))
        mlflow.set_tracking_uri(None)
        np.testing.assert_allclose(np.ravel(answer), of.predict_columns(columns), atol=2e-3)
        assert json.loads((tracking.fetch_model(uri, store, tmp_path / "into") / "model.json").read_text())
