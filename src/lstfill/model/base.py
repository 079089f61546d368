"""What every model is to the rest: four verbs, a view to learn from, a prediction with its uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lstfill.config import Train
from lstfill.preprocess import Scaling, ShardSource

if TYPE_CHECKING:
    from lstfill.cube import Chunk
    from lstfill.model.calibration import Calibration
    from lstfill.model.card import Card


Looked = TypeVar("Looked")


class Reach(Enum):
    """What a model must be given of the cube to predict a cell.

    Attributes:
        CELL: its features, wherever it lies.
        PLACE: its features, date and coordinates.
        TILE: all dates of a tile with what is visible around the cell; predictions differ with what is hidden.
    """

    CELL = "cell"
    PLACE = "place"
    TILE = "tile"


@dataclass(frozen=True)
class Tile:
    """A piece of the cube over all dates, with what it sees beyond its edges.

    Attributes:
        chunk: cells of the tile and of its margin; what must not be seen is held out.
        core: rows and columns of the chunk that are the tile itself.
    """

    chunk: Chunk
    core: tuple[slice, slice]


class TileSource(Protocol):
    """Tiles drawn evenly over the land of the cube; held-out gaps and the test part are hidden in each."""

    def __len__(self) -> int:
        """Number of tiles."""

    def map(self, function: Callable[[Tile, int, int], Looked], items: Iterable[tuple[int, int]]) -> list[Looked]:
        """What a function of tile, number and turn tells, in the order of the items, wherever it is worked out.

        Args:
            function: can be pickled, and does not hang on the threads of linear algebra.
            items: number of the tile, and turn; the same number always gives the same tile.
        """


@dataclass(frozen=True)
class Axes:
    """Coordinates of the whole cube, from which the index of a sample's cell gives date and place.

    Attributes:
        time: dates ``(time,)``.
        lat: latitudes ``(lat,)`` in degrees north.
        lon: longitudes ``(lon,)`` in degrees east.
    """

    time: NDArray[np.datetime64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]


@dataclass(frozen=True)
class TrainingView:
    """All that a model may learn from; nothing that is held out, and nothing of the test part.

    Attributes:
        train: samples to fit, in stored units, a missing feature as NaN.
        validation: samples that choose the best epoch.
        target: name of the target.
        features: names of the columns of the samples.
        units: unit of target and features as stored.
        scaling: offset and scale of target and features.
        ranges: smallest and largest value of each feature in the train part.
        impute: what takes the place of a missing feature; a feature not named has none.
        provenance: plain values kept with the model: configuration hash, identity of the cube, mask, split.
        covariates: names of further variables of the tiles.
        axes: coordinates of the cube, for models of reach PLACE.
        tiles: tiles to learn from, for models of reach TILE.
    """

    train: ShardSource
    validation: ShardSource
    target: str
    features: tuple[str, ...]
    units: Mapping[str, str]
    scaling: Scaling
    ranges: Mapping[str, tuple[float, float]]
    impute: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    covariates: tuple[str, ...] = ()
    axes: Axes | None = None
    tiles: TileSource | None = None


@dataclass(frozen=True)
class Prediction:
    """What a model says of a chunk.

    Attributes:
        value: ``(time, lat, lon)`` in K, float32; NaN where a feature is missing.
        spread: the model's own standard deviation ``(time, lat, lon)`` in K, float32, as it is; None where it has none.
        uncertainty: standard uncertainty ``(time, lat, lon)`` in K where calibration was done already, tile by tile
            (``Calibration.calibrated``); else None.
    """

    value: NDArray[np.float32]
    spread: NDArray[np.float32] | None
    uncertainty: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class History:
    """How a fit went, one entry an epoch; epochs count from 1.

    Attributes:
        loss: mean squared error of the train part in K^2, while the weights moved.
        val_loss: mean squared error of the whole validation part in K^2, after the epoch.
        mae: mean absolute error of the train part in K.
        val_mae: mean absolute error of the validation part in K.
        learning_rate: at the end of the epoch.
        best_epoch: the epoch whose weights the model has.
        seconds: duration of the fit.
        samples_seen: training samples over all epochs.
        batch_size: samples a step as it was used; smaller than asked where there are few samples.
        steps: steps an epoch.
    """

    loss: tuple[float, ...]
    val_loss: tuple[float, ...]
    mae: tuple[float, ...]
    val_mae: tuple[float, ...]
    learning_rate: tuple[float, ...]
    best_epoch: int
    seconds: float
    samples_seen: int
    batch_size: int
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what ``to_dict`` wrote."""
        plain: dict[str, Any] = {name: tuple(of) if isinstance(of, list) else of for name, of in values.items()}
        return cls(**plain)


class Fitter(Protocol):
    """Fits the weights of a network; the model says what to fit, the fitter how."""

    def __call__(self, network: Any, view: TrainingView, config: Train) -> History:
        """Leaves the weights of the best epoch in the Keras network."""


class Model(Protocol):
    """A way to fill gaps: fit, predict, save and load; a fitted one can be pickled."""

    name: ClassVar[str]

    @property
    def fits_samples(self) -> bool:
        """Whether its errors on values of the train part say nothing, as it is fitted to them."""

    @property
    def reach(self) -> Reach:
        """What it must be given of the cube; may hang on its options, and so is known for sure once it is fitted."""

    @property
    def card(self) -> Card:
        """All that is known of the fitted model, in plain values."""

    def fit(self, view: TrainingView, config: Train, fitter: Fitter) -> History | None:
        """Learns from the view; tells how it went where there are epochs."""

    def predict(self, chunk: Chunk) -> Prediction:
        """Predicts every cell of a chunk, observed ones too."""

    def extrapolated(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Where a feature lies outside the range trained on, or is imputed ``(time, lat, lon)``."""

    def calibrate(self, calibration: Calibration) -> Model:
        """The same model with that calibration."""

    def save(self, directory: Path) -> None:
        """Writes weight files and ``model.json``."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads what ``save`` wrote."""


@runtime_checkable
class CellModel(Model, Protocol):
    """A model of features alone, which can be asked without a cube."""

    def predict_columns(self, columns: Mapping[str, NDArray[np.floating]]) -> NDArray[np.float32]:
        """Predicts from features, arrays of one shape by name, in K; what a registered model offers."""

    def example(self, rows: int = 5) -> dict[str, NDArray[np.float32]]:
        """Features to try ``predict_columns`` on, by name ``(rows,)``."""
