"""Options of the models, one section each: a model reads its own and no other."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lstfill.section import Count, Positive, Section

ModelName = Literal["linear", "mlp", "harmonic", "boosting", "local", "ensemble"]

NEEDS_FEATURES: tuple[ModelName, ...] = ("linear",)
"""Models that have nothing to learn from without a feature."""


class Tiles(Section):
    """Pieces of the cube over all dates, which models of neighbours are asked for one by one."""

    side: Annotated[int, Field(ge=16)] = Field(96, description="rows and columns a tile")
    overlap: Count = Field(
        16, description="cells that a tile sees beyond each edge; its values fade into its neighbours' there"
    )

    @model_validator(mode="after")
    def _overlap_fits(self) -> Self:
        if 2 * self.overlap > self.side:
            raise ValueError(
                f"overlap {self.overlap} is more than half of side {self.side}: "
                "a cell would lie in more than two tiles a direction; lower overlap"
            )
        return self


class Calibration(Section):
    """Artificial gaps in what is visible, on whose errors the uncertainty rests; not the ones that scores rest on."""

    tiles: Positive = Field(48, description="most tiles that gaps are cut into, drawn evenly over latitude bands")
    rounds: Positive = Field(
        4, description="times a tile is filled, each with gaps on another quarter of its dates; 16 suit a small cube"
    )
    seed: Count = Field(0, description="seed of the draw of tiles and gaps")


class Mlp(Section):
    """A multilayer perceptron on features, position and season."""

    hidden: list[Positive] = Field([64, 64], min_length=1, description="units of each hidden layer")
    coordinates: bool = Field(False, description="latitude and longitude as features, the latter as sine and cosine")
    season: bool = Field(False, description="day of the year as features, as sine and cosine")
    batch_size: Positive = Field(512, description="samples a step, instead of train.batch_size, which suits a line")
    learning_rate: Annotated[float, Field(gt=0)] = Field(
        0.005, description="of Adam at the start, instead of train.learning_rate, at which a line is fitted"
    )


class Harmonic(Section):
    """Annual harmonics and features for each cell."""

    harmonics: Count = Field(2, description="pairs of sine and cosine: 1 a year, 2 a year, and so on")
    shrinkage: Annotated[float, Field(gt=0)] = Field(
        10.0, description="observations of its own at which a cell counts as much as its neighbours do for it"
    )


class Boosting(Section):
    """One gradient boosting for all cells, on what a cell's neighbours in time and space show."""

    max_samples: Positive = Field(200_000, description="most samples of artificial gaps to learn from")
    max_iter: Positive = Field(300, description="most trees; a validation part stops the fit early")
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(0.06, description="weight of each tree")
    max_leaf_nodes: Annotated[int, Field(ge=2)] = Field(15, description="leaves of a tree")
    min_samples_leaf: Positive = Field(200, description="samples a leaf")


class Local(Section):
    """Models of their own for each tile and date, on the other dates."""

    dates: Positive = Field(60, description="most other dates that a date is predicted from, the most related ones")
    neighbours: Annotated[int, Field(ge=4)] = Field(24, description="nearest residuals that a cell is kriged from")
    folds: Annotated[int, Field(ge=2)] = Field(4, description="spatial blocks that models are weighed on")
    robust: bool = Field(True, description="values far from all others of their date are moved nearer before the fits")


class Ensemble(Section):
    """A weighted mean of other models, weights from artificial gaps."""

    members: list[Literal["linear", "mlp", "harmonic", "boosting", "local"]] = Field(
        ["local", "boosting"], min_length=1, description="models that are weighed against each other"
    )
