"""Units of temperature: the spellings in use, and the way to kelvin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstfill.cube.units import canonical_unit, declared_unit, to_kelvin

KELVIN = [
    "K",
    "k",
    "kelvin",
    "Kelvin",
    "kelvins",
    "degK",
    "deg_K",
    "degrees_kelvin",
    "degree_Kelvin",
    "°K",
    "\u212a",
    " K ",
]
CELSIUS = [
    "C", "°C", "º C", "℃", "degC", "deg C", "deg_C", "degree C", "degree_C", "degrees C", "celsius", "Celsius",
    "degree_Celsius", "degrees_celsius", "Degrees Celsius", "degree celsius", "deg-C", "centigrade",
]  # fmt: skip
FAHRENHEIT = ["F", "°F", "℉", "degF", "deg_F", "degree_Fahrenheit", "degrees fahrenheit"]
OTHERS = [
    "m", "1", "m s-1", "K m-1", "mK", "deg", "degrees", "degrees_north", "degree", "°", "kg", "cm", "percent", "", " ",
    None,
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "unit"),
    [(t, "K") for t in KELVIN] + [(t, "degC") for t in CELSIUS] + [(t, "degF") for t in FAHRENHEIT],
)
def test_spellings_are_recognised(text, unit):
    assert canonical_unit(text) == unit


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_temperature_is_not_taken_for_one(text):
    assert canonical_unit(text) is None


@given(st.text(max_size=12))
def test_any_text_gets_an_answer(text):
    assert canonical_unit(text) in ("K", "degC", "degF", None)


def test_kelvin_is_returned_as_it_is():
    values = np.array([280.0, np.nan], np.float32)
    assert to_kelvin(values, "K") is values


@pytest.mark.parametrize(
    ("value", "unit", "kelvin"),
    [
        (0.0, "degC", 273.15),
        (100.0, "degC", 373.15),
        (-273.15, "degC", 0.0),
        (-40.0, "degC", 233.15),
        (-40.0, "degF", 233.15),  # the two scales meet at -40
        (32.0, "degF", 273.15),
        (212.0, "degF", 373.15),
    ],
)
def test_fixed_points(value, unit, kelvin):
    assert to_kelvin(np.array([value]), unit)[0] == pytest.approx(kelvin, abs=1e-10)


@given(st.floats(-90, 60, width=32), st.sampled_from(["degC", "degF"]))
def test_single_precision_loses_no_more_than_its_last_bit(value, unit):
    single = to_kelvin(np.array([value], np.float32), unit)
    double = to_kelvin(np.array([value], np.float64), unit)
    assert single.dtype == np.float32
    assert single[0] == np.float32(double[0])


def test_missing_stays_missing_and_the_input_unchanged():
    values = np.array([np.nan, 1.0])
    kelvin = to_kelvin(values, "degC")
    assert np.isnan(kelvin[0])
    assert values[1] == 1.0


@pytest.mark.parametrize(
    ("attrs", "declared", "unit"),
    [
        ({"units": "K"}, {}, "K"),
        ({"units": " degC "}, {}, "degC"),
        ({"units": "K"}, {"lst": "degC"}, "degC"),
        ({}, {"lst": "degC"}, "degC"),
        ({}, {"other": "degC"}, None),
        ({"units": ""}, {}, None),
        ({"units": 1}, {}, "1"),
        ({}, {}, None),
    ],
)
def test_the_configuration_comes_before_the_attribute(attrs, declared, unit):
    assert declared_unit("lst", attrs, declared) == unit
