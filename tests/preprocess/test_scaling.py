import json
import math

import numpy as np
import pytest

from lstfill.config import Preprocess
from lstfill.errors import ConfigError, DataError
from lstfill.preprocess import Scaling, collect, fit_scaling, impute_values

X = np.array([[270, 0], [280, 100], [290, 500]], "float32")
Y = np.array([260, 285, 300], "float32")
STATISTICS = collect([(X, Y)], ("t2m", "height"), "lst")


# Functions that a user might name.
def by_quartiles(statistics):
    return {name: (of.p50, of.p75 - of.p25) for name, of in statistics.variables.items()}


def forgets(statistics):
    return {"t2m": (0, 1)}


def zero(statistics):
    return dict.fromkeys(statistics.variables, (0.0, 0.0))


def words(statistics):
    return "standardize"


def fails(statistics):
    return statistics["no such variable"]


NUMBER = 3
HERE = "tests.preprocess.test_scaling"


def test_standardize_is_mean_and_deviation_of_numpy():
    scaling = fit_scaling(STATISTICS, Preprocess(scaling="standardize"))
    offset, scale = scaling.arrays(["t2m", "height", "lst"])
    columns = np.column_stack([X, Y]).astype("float64")
    np.testing.assert_allclose(offset, columns.mean(axis=0))
    np.testing.assert_allclose(scale, columns.std(axis=0))


def test_normalize_maps_the_range_to_zero_and_one():
    offset, scale = fit_scaling(STATISTICS, Preprocess(scaling="normalize")).arrays(["height", "lst"])
    columns = np.column_stack([X[:, 1], Y])
    np.testing.assert_allclose(((columns - offset) / scale).min(axis=0), 0)
    np.testing.assert_allclose(((columns - offset) / scale).max(axis=0), 1)


def test_none_changes_nothing():
    assert fit_scaling(STATISTICS, Preprocess(scaling="none")).factors == dict.fromkeys(
        ["t2m", "height", "lst"], (0.0, 1.0)
    )


def test_custom_function_gets_the_statistics():
    scaling = fit_scaling(STATISTICS, Preprocess(scaling="custom", custom=f"{HERE}:by_quartiles"))
    assert scaling.factors["height"] == (100.0, 250.0)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module:f", "no module 'no_such_module'.*PYTHONPATH"),
        (f"{HERE}:no_such_function", "has no function 'no_such_function'"),
        (f"{HERE}:NUMBER", "is a int, not a function"),
        (f"{HERE}:forgets", r"gives nothing for \['height', 'lst'\], only for \['t2m'\]"),
        (f"{HERE}:zero", "offsets must be finite and scales above 0"),
        (f"{HERE}:words", r"must give \{name: \(offset, scale\)\}, gave 'standardize'"),
        (f"{HERE}:fails", "failed on the statistics: KeyError"),
    ],
)
def test_custom_functions_that_do_not_work(path, message):
    with pytest.raises(ConfigError, match=message):
        fit_scaling(STATISTICS, Preprocess(scaling="custom", custom=path))


@pytest.mark.parametrize(("scaling", "measure"), [("standardize", "deviation"), ("normalize", "range")])
def test_a_constant_variable_is_named(scaling, measure):
    flat = collect([(np.full((5, 2), [280, 7], "float32"), Y[[0, 1, 2, 1, 0]])], ("t2m", "height"), "lst")
    with pytest.raises(DataError, match=f"2 issues\n.*'t2m' is 280 in all 5 .*a {measure} of 0") as raised:
        fit_scaling(flat, Preprocess(scaling=scaling))
    assert "'height' is 7" in str(raised.value)
    assert "'lst'" not in str(raised.value)


def test_a_constant_whose_deviation_rounds_above_zero_is_found_too():
    values = np.full((100_001, 1), 0.1, "float32")
    with pytest.raises(DataError, match=r"'t2m' is 0\.1 in all"):
        fit_scaling(collect([(values, np.arange(100_001, dtype="float32"))], ("t2m",), "lst"), Preprocess())


def test_a_variable_without_values_is_named():
    empty = collect([(np.full((3, 1), np.nan, "float32"), Y)], ("t2m",), "lst")
    with pytest.raises(DataError, match="'t2m' has no value in any sample"):
        fit_scaling(empty, Preprocess(missing="constant", constant=1.0))


def test_json_round_trip():
    scaling = fit_scaling(STATISTICS, Preprocess())
    assert Scaling.from_dict(json.loads(json.dumps(scaling.to_dict()))) == scaling


def test_imputed_values_are_the_train_mean_or_the_constant_and_never_the_targets():
    assert impute_values(STATISTICS, Preprocess()) == {}
    assert impute_values(STATISTICS, Preprocess(missing="mean")) == {"t2m": 280.0, "height": 200.0}
    assert impute_values(STATISTICS, Preprocess(missing="constant", constant=1.5)) == {"t2m": 1.5, "height": 1.5}


def test_scaling_of_train_does_not_change_with_test():
    """The peer's mean was 305.1 over train and test, where train alone has 280.2."""
    train = collect([(X, Y)], ("t2m", "height"), "lst")
    both = collect([(X, Y), (X + 100, Y + 100)], ("t2m", "height"), "lst")
    assert fit_scaling(train, Preprocess()).factors["t2m"][0] == 280.0
    assert math.isclose(fit_scaling(both, Preprocess()).factors["t2m"][0], 330.0)
