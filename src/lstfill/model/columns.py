"""Features as columns of one shape: as a model was trained on them, and where they lie outside of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lstfill.errors import DataError

if TYPE_CHECKING:
    from lstfill.model.card import Card

Columns = Mapping[str, NDArray[np.floating]]


def column(columns: Columns, name: str, card: Card) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A feature, imputed as in training and NaN where it cannot be, and where it is missing.

    Args:
        columns: arrays of one shape by name.
        name: of the feature.
        card: of the model.

    Raises:
        DataError: there is no such column.
    """
    if name not in columns:
        raise DataError(
            "the features",
            [f"{name!r} is missing, there is only {list(columns)}: the model was trained on {list(card.features)}"],
        )
    feature = np.asarray(columns[name], np.float32)
    missing = ~np.isfinite(feature)
    return np.where(missing, np.float32(card.impute.get(name, np.nan)), feature), missing


def outside(columns: Columns, card: Card, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where a feature lies outside the range trained on, or is imputed; not where one is missing for good.

    Args:
        columns: arrays of that shape by name.
        card: of the model.
        shape: of the columns, for a model without features.
    """
    beyond, lost = np.zeros(shape, bool), np.zeros(shape, bool)
    for name in card.features:
        feature, missing = column(columns, name, card)
        low, high = card.ranges[name]
        beyond |= missing | (feature < low) | (feature > high)
        lost |= np.isnan(feature)
    return beyond & ~lost
