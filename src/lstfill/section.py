"""What every section of the configuration is made of: one frozen model, and the types that its fields share."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

CREDENTIALS = "credentials"
"""Type of the error of an address that holds a password; what was given must not be repeated then."""


def _none_if_empty(value: Any) -> Any:
    return None if value in ("", [], ()) else value


def _without_credentials(address: str) -> str:
    # Parameters, logs and artifacts repeat an address; the library that is called with it needs no password there.
    if "@" in urlsplit(address).netloc:
        raise PydanticCustomError(
            CREDENTIALS, "an address must not hold a user or password: they come from the environment"
        )
    return address


T = TypeVar("T")
Maybe = Annotated[T | None, BeforeValidator(_none_if_empty)]
Address = Annotated[str, AfterValidator(_without_credentials)]
Degrees = Annotated[float, Field(ge=-360, le=360)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of the configuration: immutable, with no room for a misspelled key."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
