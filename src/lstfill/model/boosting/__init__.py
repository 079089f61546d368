"""One gradient boosting for all cells, on what a cell's neighbours in time and space show."""

from lstfill.model.boosting.model import BoostingModel

__all__ = ["BoostingModel"]
