"""Models behind one interface: fit, predict with spread, save, load."""

from lstfill.model.base import Axes, Fitter, History, Model, Prediction, Reach, Tile, TileSource, TrainingView
from lstfill.model.card import Card
from lstfill.model.linear import LinearModel
from lstfill.model.registry import create, load, names
from lstfill.model.spread import Spread

__all__ = [
    "Axes",
    "Card",
    "Fitter",
    "History",
    "LinearModel",
    "Model",
    "Prediction",
    "Reach",
    "Spread",
    "Tile",
    "TileSource",
    "TrainingView",
    "create",
    "load",
    "names",
]
