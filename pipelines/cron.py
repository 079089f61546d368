"""Schedules as Kubeflow reads them: cron with six fields, seconds first."""

from __future__ import annotations

import re

from lstfill.errors import ConfigError

FIELDS = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day of month": (1, 31),
    "month": (1, 12),
    "day of week": (0, 6),
}
_NAMES = {
    "month": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    "day of week": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
_PART = re.compile(r"(?P<first>\*|\?|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>[1-9]\d*))?")


def checked(expression: str) -> str:
    """A cron expression that Kubeflow takes, with single blanks.

    Raises:
        ConfigError: if it does not have six fields, or one of them is out of its range.
    """
    fields = expression.split()
    if len(fields) == len(FIELDS) - 1:
        raise ConfigError(
            f"cron {expression!r} has 5 fields, and Kubeflow takes 6, seconds first: write '0 {' '.join(fields)}'"
        )
    if len(fields) != len(FIELDS):
        raise ConfigError(
            f"cron {expression!r} has {len(fields)} fields, and Kubeflow takes 6: {', '.join(FIELDS)}; "
            "'0 0 3 * * 1' is Mondays at 03:00"
        )
    for text, name in zip(fields, FIELDS, strict=True):
        _check(text, name, expression)
    return " ".join(fields)


def _check(text: str, name: str, expression: str) -> None:
    low, high = FIELDS[name]
    for part in text.split(","):
        found = _PART.fullmatch(part)
        numbers = [_number(end, name) for end in (found["first"], found["last"]) if end] if found else [None]
        values = [number for number in numbers if number is not None]
        if len(values) < len(numbers) or any(not low <= value <= high for value in values) or values != sorted(values):
            names = f", or {_NAMES[name][0]} to {_NAMES[name][-1]}" if name in _NAMES else ""
            raise ConfigError(f"cron {expression!r}: {part!r} is no {name}, which goes from {low} to {high}{names}")


def _number(text: str, name: str) -> int | None:
    if text in ("*", "?"):
        return FIELDS[name][0]
    if text.isdecimal():
        return int(text)
    names = _NAMES.get(name, [])
    return names.index(text.upper()) + FIELDS[name][0] if text.upper() in names else None
