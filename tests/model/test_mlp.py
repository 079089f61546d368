import dataclasses
import pickle
import subprocess
import sys

import numpy as np
import pytest

from lstfill.config import Preprocess, Train
from lstfill.errors import ConfigError, DataError, StoreError
from lstfill.model import Axes, CellModel, Reach, place
from lstfill.model import create as create_model
from lstfill.model.mlp import MlpModel
from lstfill.preprocess import InMemoryShards
from lstfill.train import fit
from tests.model.calibrations import CALIBRATION
from tests.model.views import HISTORY, chunk, samples, view, view_of

SHAPE = 6, 10, 12
TIME = np.arange("2008-01-15", "2008-12-15", 61, "datetime64[D]").astype("datetime64[ns]")
AXES = Axes(TIME, np.linspace(60, 40, 10), np.linspace(0, 22, 12))
EVERYWHERE = {"hidden": [16, 16], "coordinates": True, "season": True}


def placed_view(names=("t2m",), preprocess=None, n=400):
    """Samples at cells of the axes."""
    of = view(n, names or ("t2m",), preprocess)
    cells = [
        np.random.default_rng(seed).integers(0, np.prod(SHAPE), sum(part.sizes))
        for seed, part in enumerate((of.train, of.validation))
    ]
    train, validation = (
        dataclasses.replace(part, cell=cell) for part, cell in zip((of.train, of.validation), cells, strict=True)
    )
    if not names:
        train, validation = (dataclasses.replace(part, x=part.x[:, :0]) for part in (train, validation))
    return dataclasses.replace(of, train=train, validation=validation, features=names, axes=AXES)


def no_fit(network, of, config):
    """A fitter that leaves the initial weights."""
    assert network.input_shape[1] == len(of.features) == of.train.read(0)[0].shape[1]
    return HISTORY


def initial(names=("t2m",), seed=0, preprocess=None, **options):
    model = MlpModel()
    assert model.fit(placed_view(names, preprocess), Train(seed=seed, mlp=options), no_fit) == HISTORY
    return model


def cells(t2m, **options):
    """A chunk of the axes."""
    of = chunk({"t2m": t2m.astype("float32")}, AXES.lat)
    return dataclasses.replace(of, time=AXES.time, lon=AXES.lon, **options)


def weather(seed=0):
    return np.random.default_rng(seed).normal(280, 15, SHAPE)


@pytest.fixture(scope="module")
def model():
    return initial(**EVERYWHERE)


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("t2m",), {"hidden": [8]}),
        (("t2m", "height", "ozone"), {"hidden": [16, 8]}),
        (("t2m",), EVERYWHERE),
        ((), EVERYWHERE),
    ],
)
def test_numpy_and_keras_agree_to_a_millikelvin(names, options):
    model = initial(names, **options)
    columns = model.example(1000)
    from_keras = np.asarray(model.network()(np.stack(list(columns.values()), axis=1)))[:, 0]
    np.testing.assert_allclose(model.predict_columns(columns), from_keras, atol=1e-3)


def test_reach_is_that_of_the_options(model):
    assert model.reach is Reach.PLACE
    assert initial(season=True).reach is Reach.PLACE
    assert initial().reach is Reach.CELL
    assert MlpModel().reach is Reach.PLACE
    assert isinstance(model, CellModel)


def test_options_shape_the_network():
    network = initial(hidden=[7, 5, 3]).network()
    assert [layer.units for layer in network.layers if hasattr(layer, "units")] == [7, 5, 3, 1]
    assert initial(**EVERYWHERE).network().input_shape == (None, 6)


def test_the_fitter_gets_the_sections_learning_rate_and_the_columns_of_each_cell():
    asked, of = [], placed_view()
    MlpModel().fit(
        of,
        Train(mlp={**EVERYWHERE, "learning_rate": 0.02, "batch_size": 99}),
        lambda *call: asked.append(call) or HISTORY,
    )
    ((_, given, config),) = asked
    assert (config.learning_rate, config.batch_size) == (0.02, 99)
    assert given.features == ("t2m", *place.COORDINATES, *place.SEASON)
    x, y = given.train.read(0)
    expected = place.at(AXES, of.train.cell, given.features[1:])
    np.testing.assert_array_equal(x, np.column_stack([of.train.x, *expected.values()]))
    np.testing.assert_array_equal(y, of.train.y)


def test_prediction_does_not_depend_on_the_window(model):
    whole = model.predict(cells(weather())).value
    assert (whole.shape, whole.dtype) == (SHAPE, np.float32)
    rows = slice(2, 5), slice(3, 8), slice(1, 4)
    part = dataclasses.replace(
        cells(weather()),
        features={"t2m": weather()[rows].astype("float32")},
        time=AXES.time[rows[0]],
        lat=AXES.lat[rows[1]],
        lon=AXES.lon[rows[2]],
        land=np.ones((5, 3), bool),
        target=np.zeros((3, 5, 3)),
    )
    assert model.predict(part).value.tobytes() == whole[rows].tobytes()


def test_prediction_is_that_of_the_columns(model):
    value = model.predict(cells(weather())).value
    columns = place.at(AXES, np.arange(value.size), (*place.COORDINATES, *place.SEASON))
    np.testing.assert_array_equal(value.ravel(), model.predict_columns({"t2m": weather().ravel(), **columns}))


def test_sea_is_left_out(model):
    land = np.random.default_rng(0).random(SHAPE[1:]) < 0.5
    value = model.predict(cells(weather(), land=land)).value
    np.testing.assert_array_equal(np.isfinite(value), np.broadcast_to(land, SHAPE))


def test_a_missing_feature_is_nan_or_imputed_as_in_training(model):
    t2m = weather()
    t2m[0, 0, :2] = np.nan, 281.0
    assert np.argwhere(np.isnan(model.predict(cells(t2m)).value)).tolist() == [[0, 0, 0]]
    assert not model.extrapolated(cells(t2m))[0, 0, 0]
    imputing = initial(preprocess=Preprocess(missing="constant", constant=281.0))
    value = imputing.predict(cells(t2m)).value
    assert value[0, 0, 0] == value[0, 0, 1]
    assert imputing.extrapolated(cells(t2m))[0, 0].tolist()[:2] == [True, False]


def test_extrapolated_is_a_feature_a_place_or_a_season_outside(model):
    t2m = np.full(SHAPE, 280.0)
    assert not model.extrapolated(cells(t2m)).any()
    t2m[1, 2, 3] = 400.0
    assert np.argwhere(model.extrapolated(cells(t2m))).tolist() == [[1, 2, 3]]
    inside = cells(np.full(SHAPE, 280.0))
    north = dataclasses.replace(inside, lat=AXES.lat + 1)
    assert model.extrapolated(north).any(axis=(0, 2)).tolist() == [True] + [False] * 9
    east = dataclasses.replace(inside, lon=AXES.lon + 2)
    assert model.extrapolated(east).any(axis=(0, 1)).tolist() == [False] * 11 + [True]
    january = dataclasses.replace(inside, time=AXES.time - np.timedelta64(14, "D"))
    assert model.extrapolated(january).any(axis=(1, 2)).tolist()[0]


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(ConfigError, match=r"nothing to learn from: name a feature .* or set train.mlp.coordinates"):
        initial(())


def test_a_view_without_axes_has_no_places():
    with pytest.raises(ValueError, match="no axes"):
        MlpModel().fit(view(50), Train(mlp={"season": True}), no_fit)


def test_a_chunk_without_a_feature_names_it(model):
    with pytest.raises(DataError, match="'t2m' is missing"):
        model.predict(dataclasses.replace(cells(weather()), features={}))


def test_saved_and_loaded_is_the_same_model(model, tmp_path):
    calibrated = model.calibrate(CALIBRATION)
    calibrated.save(tmp_path / "model")
    loaded = MlpModel.load(tmp_path / "model")
    assert loaded == calibrated
    assert loaded.card.calibration == CALIBRATION
    assert loaded.predict(cells(weather())).value.tobytes() == model.predict(cells(weather())).value.tobytes()
    loaded.save(tmp_path / "again")
    for file in ("layers.npz", "model.json", "model.keras"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "model" / file).read_bytes()


def test_layers_of_another_model_are_noticed(model, tmp_path):
    for seed in (0, 1):
        initial(seed=seed, **EVERYWHERE).save(tmp_path / str(seed))
    (tmp_path / "0" / "layers.npz").write_bytes((tmp_path / "1" / "layers.npz").read_bytes())
    with pytest.raises(StoreError, match="damaged or exchanged"):
        MlpModel.load(tmp_path / "0")


def test_the_card_tells_one_fit_from_another():
    one, same, other = (initial(seed=seed).card.parameters for seed in (1, 1, 2))
    assert one == same
    assert one["layers_sha256"] != other["layers_sha256"]


def test_a_fitted_model_travels_to_other_processes(model):
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert again == model
    assert again.predict(cells(weather())).value.tobytes() == model.predict(cells(weather())).value.tobytes()


def test_predicts_without_keras(model, tmp_path):
    model.save(tmp_path)
    program = f"""
import pathlib, sys
import lstfill.model
loaded = lstfill.model.load(pathlib.Path({str(tmp_path)!r}))
loaded.predict_columns(loaded.example())
heavy = {{"keras", "tensorflow", "sklearn", "xarray", "mlflow"}} & set(sys.modules)
assert not heavy, heavy
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_an_unfitted_model_says_so():
    with pytest.raises(RuntimeError, match="not fitted"):
        MlpModel().predict(cells(weather()))


def test_it_learns_what_a_line_cannot():
    """A target that bends with the feature and swings with season and latitude, without noise."""
    rng = np.random.default_rng(0)
    every = np.arange(np.prod(SHAPE)).repeat(20)
    rng.shuffle(every)
    x, _ = samples(len(every))
    where = place.at(AXES, every, ("lat", "day_cosine"))
    y = 280 + 0.02 * (x[:, 0] - 280) ** 2 - 8 * where["day_cosine"] - 0.3 * (where["lat"] - 50)
    half = len(every) // 2
    of = view_of((x[:half], y[:half].astype("float32")), (x[half:], y[half:].astype("float32")))
    parts = [
        InMemoryShards(x[rows], y[rows].astype("float32"), cell=every[rows])
        for rows in (slice(half), slice(half, None))
    ]
    of = dataclasses.replace(of, train=parts[0], validation=parts[1], axes=AXES)
    errors = {}
    for name in ("linear", "mlp"):
        history = fit(create_model(name), of, Train(epochs=8, batch_size=64, mlp={**EVERYWHERE, "batch_size": 64}))
        errors[name] = history.val_loss[history.best_epoch - 1] ** 0.5
    assert errors["linear"] > 5
    assert errors["mlp"] < errors["linear"] / 3


def test_a_network_of_features_needs_no_coordinates():
    """Cells side by side, as they are scored, have no common longitude."""
    model, whole = initial(), cells(weather())
    series = whole.features["t2m"].reshape(SHAPE[0], -1, 1)
    beside = dataclasses.replace(
        whole,
        features={"t2m": series},
        target=np.zeros(series.shape),
        land=np.ones(series.shape[1:], bool),
        lat=np.repeat(AXES.lat, SHAPE[2]),
        lon=np.full(1, np.nan),
    )
    np.testing.assert_array_equal(model.predict(beside).value.ravel(), model.predict(whole).value.ravel())
    assert not (model.extrapolated(beside) ^ model.extrapolated(whole).reshape(series.shape)).any()
