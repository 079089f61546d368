"""Units of temperature: which spelling means what, and the way to kelvin."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from numpy.typing import NDArray

TemperatureUnit = Literal["K", "degC", "degF"]
FloatT = TypeVar("FloatT", bound=np.floating)

# Without prefixes such as "deg", "degree_", "degrees " and "°", in lower case.
_SCALES: dict[str, TemperatureUnit] = {
    "k": "K",
    "kelvin": "K",
    "kelvins": "K",
    "c": "degC",
    "celsius": "degC",
    "centigrade": "degC",
    "f": "degF",
    "fahrenheit": "degF",
}
_PREFIXES = ("degrees", "degree", "degs", "deg", "°", "º")


def canonical_unit(text: str | None) -> TemperatureUnit | None:
    """Recognises a unit of temperature in any of the spellings that are in use.

    Args:
        text: a ``units`` attribute, like ``K``, ``degrees_kelvin``, ``°C`` or ``degree C``.

    Returns:
        ``K``, ``degC`` or ``degF``; None for nothing, and for everything that is no temperature.
    """
    if not text:
        return None
    # NFKC makes two characters of the single signs for degrees Celsius and Fahrenheit, and a K of the Kelvin sign.
    word = unicodedata.normalize("NFKC", text.replace("º", "°")).casefold()
    word = "".join(c for c in word if not c.isspace() and c not in "_.-")
    for prefix in _PREFIXES:
        if word.startswith(prefix) and len(word) > len(prefix):
            word = word.removeprefix(prefix)
            break
    return _SCALES.get(word)


def declared_unit(name: Hashable, attrs: Mapping[Any, Any], declared: Mapping[str, str]) -> str | None:
    """Unit of a variable as the configuration or, failing that, its attribute says; None where both are silent."""
    text = declared.get(str(name), attrs.get("units"))
    return str(text).strip() or None if text is not None else None


def to_kelvin(values: NDArray[FloatT], unit: TemperatureUnit) -> NDArray[FloatT]:
    """Converts temperatures to K in double precision and gives them back in their own.

    The offset 273.15 K and the ratio 5/9 are exact by definition (BIPM, SI brochure, 9th edition, section 2.3.1).

    Args:
        values: temperatures, any shape; a float type.
        unit: unit of ``values``. Values in K are returned as they are, bit for bit.
    """
    if unit == "K":
        return values
    wide = values.astype(np.float64)
    kelvin = wide + 273.15 if unit == "degC" else (wide - 32.0) * 5.0 / 9.0 + 273.15
    return kelvin.astype(values.dtype)
