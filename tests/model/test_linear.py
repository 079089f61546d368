import dataclasses
import pickle
import subprocess
import sys

import numpy as np
import pytest

from lstfill.config import Preprocess, Train
from lstfill.errors import ConfigError, DataError
from lstfill.model import LinearModel
from tests.model.calibrations import CALIBRATION
from tests.model.views import HISTORY, chunk, no_fit, samples, view

NAMES = ("t2m", "height", "ozone")


def unfitted_weights(names=("t2m",), seed=0, **preprocess):
    """A model with its initial weights: fitting is not the matter here."""
    model = LinearModel()
    assert model.fit(view(names=names, preprocess=Preprocess(**preprocess)), Train(seed=seed), no_fit) == HISTORY
    return model


@pytest.fixture(scope="module")
def model():
    return unfitted_weights()


@pytest.fixture(scope="module")
def imputing():
    return unfitted_weights(missing="constant", constant=281.0)


def by_tiny_units(statistics):
    return {name: (of.p50, of.std * 1e-3) for name, of in statistics.variables.items()}


@pytest.mark.parametrize(
    ("names", "preprocess"),
    [
        (("t2m",), {}),
        (NAMES, {}),
        (NAMES, {"scaling": "normalize"}),
        (("t2m",), {"scaling": "none"}),
        (NAMES, {"scaling": "custom", "custom": "tests.model.test_linear:by_tiny_units"}),
    ],
)
def test_numpy_and_keras_agree_to_a_millikelvin(names, preprocess):
    model = unfitted_weights(names, **preprocess)
    x, _ = samples(1000, names, seed=9)
    from_keras = np.asarray(model.network()(x))[:, 0]
    from_numpy = model.predict_columns({name: x[:, i] for i, name in enumerate(names)})
    np.testing.assert_allclose(from_numpy, from_keras, atol=1e-3)


def test_coefficients_are_the_scaled_line_written_out(model):
    """Scaling by hand, value for value, gives what the folded coefficients give."""
    scaling, line = model.card.scaling, model.network().get_layer("line")
    (offset, target_offset), (scale, target_scale) = scaling.arrays(["t2m", "lst"])
    weight, bias = line.get_weights()[0][0, 0], line.get_weights()[1][0]
    by_hand = ((250.0 - offset) / scale * float(weight) + float(bias)) * target_scale + target_offset
    parameters = model.card.parameters
    assert parameters["slope"]["t2m"] * 250.0 + parameters["intercept"] == pytest.approx(by_hand, abs=1e-9)
    assert model.predict_columns({"t2m": np.array([250.0])})[0] == np.float32(by_hand)


def test_takes_kelvin_and_gives_kelvin(model):
    """Scaling is inside: the mean of the features gives about the mean of the target, not 0."""
    _, y = samples(2000)
    assert abs(float(model.predict_columns({"t2m": np.array([280.0])})[0]) - y.mean()) < 20


def test_prediction_has_the_chunks_shape_and_does_not_depend_on_the_window(model):
    t2m = np.random.default_rng(0).normal(280, 20, (3, 5, 7)).astype("float32")
    whole = model.predict(chunk({"t2m": t2m})).value
    assert whole.shape == (3, 5, 7)
    assert whole.dtype == np.float32
    for t, y, x in np.ndindex(3, 5, 7):
        one = model.predict(chunk({"t2m": t2m[t : t + 1, y : y + 1, x : x + 1]})).value
        assert one[0, 0, 0].tobytes() == whole[t, y, x].tobytes()


def test_doubles_and_singles_give_the_same_bits(model):
    single = np.random.default_rng(0).normal(280, 20, (1, 5, 7)).astype("float32")
    double = single.astype("float64") + 1e-9
    assert (
        model.predict(chunk({"t2m": single})).value.tobytes() == model.predict(chunk({"t2m": double})).value.tobytes()
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_feature_is_nan_and_not_extrapolated(model, value):
    cells = chunk({"t2m": np.array([[[value, 280]]], "float32")})
    assert np.isnan(model.predict(cells).value).tolist() == [[[True, False]]]
    assert not model.extrapolated(cells).any()


def test_imputed_feature_is_predicted_as_in_training_and_flagged(imputing):
    cells = chunk({"t2m": np.array([[[np.nan, 281, 280]]], "float32")})
    value = imputing.predict(cells).value[0, 0]
    assert value[0] == value[1] != value[2]
    assert imputing.extrapolated(cells)[0, 0].tolist() == [True, False, False]


def test_extrapolated_is_outside_the_range_trained_on(model):
    low, high = model.card.ranges["t2m"]
    x, _ = samples(2000)
    assert (low, high) == (x.min(), x.max())
    beyond = [np.nextafter(np.float32(low), np.float32(0)), np.nextafter(np.float32(high), np.float32(999))]
    cells = chunk({"t2m": np.array([[[low, high, *beyond]]], "float32")})
    assert model.extrapolated(cells)[0, 0].tolist() == [False, False, True, True]


def test_any_feature_outside_counts():
    model = unfitted_weights(("t2m", "height"))
    inside = {"t2m": np.full((1, 1, 3), 280.0, "float32"), "height": np.array([[[800, 9000, np.nan]]], "float32")}
    assert model.extrapolated(chunk(inside))[0, 0].tolist() == [False, True, False]


def test_features_are_taken_by_name_not_by_order():
    model = unfitted_weights(("t2m", "height"))
    t2m, height = np.full((1, 1, 2), 275.0), np.full((1, 1, 2), 640.0)
    one = model.predict(chunk({"t2m": t2m, "height": height})).value
    other = model.predict(chunk({"unused": t2m * 0, "height": height, "t2m": t2m})).value
    np.testing.assert_array_equal(one, other)


def test_a_chunk_without_a_feature_names_it(model):
    with pytest.raises(DataError, match=r"'t2m' is missing, there is only \['tas'\].*trained on \['t2m'\]"):
        model.predict(chunk({"tas": np.zeros((1, 2, 2))}))


def test_a_line_has_no_spread_of_its_own_and_calibration_changes_no_value(model):
    cells = chunk({"t2m": np.full((2, 3, 4), 280, "float32")}, np.array([75.0, 45.0, -45.0]))
    calibrated = model.calibrate(CALIBRATION)
    assert calibrated.predict(cells).spread is None
    np.testing.assert_array_equal(calibrated.predict(cells).value, model.predict(cells).value)
    assert (calibrated.card.calibration, model.card.calibration) == (CALIBRATION, None)


def test_saved_and_loaded_is_the_same_model(model, tmp_path):
    calibrated = model.calibrate(CALIBRATION)
    calibrated.save(tmp_path / "new" / "model")
    loaded = LinearModel.load(tmp_path / "new" / "model")
    assert loaded == calibrated
    cells = chunk({"t2m": np.random.default_rng(1).normal(280, 20, (2, 3, 4)).astype("float32")})
    assert loaded.predict(cells).value.tobytes() == model.predict(cells).value.tobytes()
    loaded.save(tmp_path / "again")
    for name in ("model.json", "model.keras"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "new" / "model" / name).read_bytes()


def test_seed_chooses_the_initial_weights():
    one, same, other = (unfitted_weights(seed=seed).card.parameters for seed in (1, 1, 2))
    assert one == same != other


def test_a_fitted_model_travels_to_other_processes(model):
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert again == model


def test_predicts_without_keras_and_plain_keras_loads_the_file(model, tmp_path):
    model.save(tmp_path)
    expected = float(model.predict_columns({"t2m": np.array([270.0])})[0])
    program = f"""
import os, pathlib, sys
os.environ["KERAS_BACKEND"] = "tensorflow"
import numpy as np
import lstfill.model, lstfill.train, lstfill.preprocess
loaded = lstfill.model.load(pathlib.Path({str(tmp_path)!r}))
assert float(loaded.predict_columns({{"t2m": np.array([270.0])}})[0]) == {expected!r}
heavy = {{"keras", "tensorflow", "matplotlib", "xarray", "zarr", "mlflow"}} & set(sys.modules)
assert not heavy, heavy
for name in [name for name in sys.modules if name.startswith("lstfill")]:
    del sys.modules[name]
import keras
value = keras.saving.load_model({str(tmp_path / "model.keras")!r})(np.array([[270.0]], "float32"))
assert abs(float(value[0, 0]) - {expected!r}) < 1e-3, float(value[0, 0])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_example_lies_in_the_range_trained_on(model):
    example = model.example()
    low, high = model.card.ranges["t2m"]
    assert list(example) == ["t2m"]
    assert example["t2m"].tolist() == pytest.approx(np.linspace(low, high, 5).tolist())
    assert np.isfinite(model.predict_columns(example)).all()


def test_an_unfitted_model_says_so():
    with pytest.raises(RuntimeError, match="not fitted"):
        LinearModel().predict(chunk({"t2m": np.zeros((1, 1, 1))}))


def test_provenance_of_the_view_is_kept(model):
    assert model.card.provenance == {"config_hash": "abc", "cube": {"identity": "xyz"}}
    assert dataclasses.asdict(model.card)["units"] == {"lst": "K", "t2m": "K"}


def test_a_line_needs_something_to_lie_over():
    without = dataclasses.replace(view(50), features=())
    with pytest.raises(ConfigError, match=r"needs a feature: name at least one in source\.features"):
        LinearModel().fit(without, Train(), no_fit)


@pytest.mark.parametrize(
    ("n", "section", "epochs"),
    [
        (2000, {}, 10),  # a few batches an epoch
        (8192 * 500, {}, 4),
        (8192 * 500 + 1, {"epochs": 3}, 3),
        (8192 * 2000, {}, 1),
        (8192 * 500, {"learning_rate": 0.05}, 8),
        (8192 * 500, {"learning_rate": 1e-12}, 10),
        (4096 * 500, {"batch_size": 4096, "epochs": 50}, 4),
    ],
)
def test_a_line_of_many_samples_needs_fewer_epochs(n, section, epochs):
    class Counted:
        sizes = (n - 1, 1)

    few = dataclasses.replace(view(), train=Counted())
    asked = []
    LinearModel().fit(
        few, Train(**section), lambda network, _, config: asked.append(config) or no_fit(network, few, config)
    )
    assert asked == [Train(**{**section, "epochs": epochs})]
