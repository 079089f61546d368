"""Where the values of a filled cube come from: part of the contract, because cube, scores and maps share it."""

from __future__ import annotations

from enum import IntEnum


class SourceFlag(IntEnum):
    """Source of each value; every cell of a filled cube has exactly one."""

    OBSERVED = 0
    FILLED = 1
    EXTRAPOLATED = 2
    NOT_FILLABLE = 3

    @classmethod
    def meanings(cls) -> tuple[str, ...]:
        """Names in the order of the codes, as CF's ``flag_meanings`` has them."""
        return tuple(flag.name.lower() for flag in cls)
