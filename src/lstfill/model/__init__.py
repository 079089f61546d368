"""Models behind one interface: fit, predict with spread, save, load."""

from lstfill.model.base import Fitter, History, Model, Prediction, TrainingView
from lstfill.model.card import Card
from lstfill.model.linear import LinearModel
from lstfill.model.registry import create, load, names
from lstfill.model.spread import Spread

__all__ = [
    "Card",
    "Fitter",
    "History",
    "LinearModel",
    "Model",
    "Prediction",
    "Spread",
    "TrainingView",
    "create",
    "load",
    "names",
]
