"""The model ``local``: each date of a tile from the other dates, fitted where it is filled."""

from lstfill.model.local.model import LocalModel

__all__ = ["LocalModel"]
