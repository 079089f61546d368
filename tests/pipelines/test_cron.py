"""Schedules with six fields, seconds first."""

from __future__ import annotations

import pytest

from lstfill.errors import ConfigError
from pipelines.cron import checked


@pytest.mark.parametrize(
    "expression",
    ["0 0 3 * * 1", "*/10 * * * * *", "0 30 6,18 1-7 JAN-MAR ?", "0 0 0 31 12 SUN", "59 59 23 */2 * mon-fri/2"],
)
def test_what_kubeflow_takes(expression):
    assert checked(expression) == expression


def test_blanks_do_not_count():
    assert checked("  0 0   3 * * 1 ") == "0 0 3 * * 1"


def test_five_fields_get_their_six():
    with pytest.raises(ConfigError, match=r"has 5 fields, and Kubeflow takes 6, seconds first: write '0 30 3 \* \* 1'"):
        checked("30 3 * * 1")


@pytest.mark.parametrize("expression", ["", "@daily", "0 0 3 * * 1 2026"])
def test_other_numbers_of_fields(expression):
    with pytest.raises(ConfigError, match=r"has \d fields, and Kubeflow takes 6: second, minute, .*Mondays at 03:00"):
        checked(expression)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("60 0 3 * * 1", "'60' is no second, which goes from 0 to 59"),
        ("0 0 24 * * 1", "'24' is no hour, which goes from 0 to 23"),
        ("0 0 3 0 * 1", "'0' is no day of month, which goes from 1 to 31"),
        ("0 0 3 * 13 1", "'13' is no month, which goes from 1 to 12, or JAN to DEC"),
        ("0 0 3 * * 7", "'7' is no day of week, which goes from 0 to 6, or SUN to SAT"),
        ("0 0 3 * * MONDAY", "'MONDAY' is no day of week"),
        ("0 0 18-6 * * *", "'18-6' is no hour"),
        ("0 */0 * * * *", r"'\*/0' is no minute"),
        ("0 1,, * * * *", "'' is no minute"),
        ("0 -1 * * * *", "'-1' is no minute"),
    ],
)
def test_fields_out_of_their_range(expression, message):
    with pytest.raises(ConfigError, match=message):
        checked(expression)
