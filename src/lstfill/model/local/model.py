"""The model ``local``: each date of a tile from the other dates, fitted where it is filled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lstfill.model.local.fill import fill_tile
from lstfill.model.tiled import TileModel
from lstfill.modelconfig import Local

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.model.base import Prediction


@dataclass
class LocalModel(TileModel):
    """Learns nothing beforehand: what is visible of a tile when it is filled is all that it uses."""

    name: ClassVar[str] = "local"

    def predict(self, chunk: Chunk, dates: NDArray[np.bool_] | None = None) -> Prediction:
        """Predicts the land cells of a tile that are not visible; NaN elsewhere.

        Args:
            chunk: all dates of a tile with its margin.
            dates: those that are asked for ``(time,)``, all if not given; others are NaN.
        """
        known = replace(
            chunk,
            features={name: chunk.features[name] for name in self.card.features},
            covariates={name: chunk.covariates[name] for name in self.card.covariates},
        )
        return fill_tile(known, Local(**self.options()), int(self.card.parameters["seed"]), dates)
