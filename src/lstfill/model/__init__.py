"""Models behind one interface: fit, predict with uncertainty, save, load."""

from lstfill.model.base import (
    Axes,
    CellModel,
    Fitter,
    History,
    Model,
    Prediction,
    Reach,
    Tile,
    TileSource,
    TrainingView,
)
from lstfill.model.calibration import Calibration
from lstfill.model.card import Card
from lstfill.model.conformal import fit_calibration
from lstfill.model.linear import LinearModel
from lstfill.model.registry import create, load, names
from lstfill.model.residuals import Residuals, calibration_gaps, residuals_of
from lstfill.model.tiled import TileModel, predict_dates, without_part

__all__ = [
    "Axes",
    "Calibration",
    "Card",
    "CellModel",
    "Fitter",
    "History",
    "LinearModel",
    "Model",
    "Prediction",
    "Reach",
    "Residuals",
    "Tile",
    "TileModel",
    "TileSource",
    "TrainingView",
    "calibration_gaps",
    "create",
    "fit_calibration",
    "load",
    "names",
    "predict_dates",
    "residuals_of",
    "without_part",
]
