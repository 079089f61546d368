import dataclasses
import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from lstfill.config import Train
from lstfill.errors import StoreError
from lstfill.model import Prediction, Reach
from lstfill.model.tiled import TileModel
from tests.model.calibrations import CALIBRATION
from tests.model.views import chunk, view


@dataclass
class Level(TileModel):
    """The mean of what is visible, wherever."""

    name: ClassVar[str] = "harmonic"
    fits_samples: ClassVar[bool] = False

    def predict(self, chunk):
        level = np.float32(chunk.target[chunk.visible()].mean())
        return Prediction(np.full(chunk.target.shape, level), None)


def fitted(**options):
    model, of = Level(), dataclasses.replace(view(), covariates=("elevation",))
    assert model.fit(of, Train(seed=3, tiles={"side": 64, "overlap": 8}, harmonic=options), None) is None
    return model


@pytest.fixture
def model():
    return fitted(harmonics=3)


@pytest.fixture
def tile():
    """Four dates of a tile, all visible, features in the middle of the range."""
    of = chunk({"t2m": np.full((4, 3, 5), 280.0, "float32")})
    return dataclasses.replace(of, target=np.full((4, 3, 5), 290.0, "float32"))


def test_the_card_keeps_options_seed_tiles_and_covariates(model):
    assert model.card.model == "harmonic"
    assert model.card.parameters["options"]["harmonics"] == 3
    assert model.card.parameters["seed"] == 3
    assert model.card.tiles == {"side": 64, "overlap": 8}
    assert model.card.covariates == ("elevation",)
    assert model.options() == Train(harmonic={"harmonics": 3}).harmonic.model_dump()


def test_a_model_of_tiles_reaches_for_tiles(model):
    assert model.reach is Reach.TILE


def test_all_of_a_visible_tile_is_safe(model, tile):
    assert not model.extrapolated(tile).any()


def test_a_cell_that_is_visible_on_no_date_is_extrapolated(model, tile):
    hidden = np.zeros(tile.target.shape, bool)
    hidden[:, 1, 2] = True
    expected = hidden.copy()
    np.testing.assert_array_equal(model.extrapolated(tile.hiding(hidden)), expected)
    hidden[2, 1, 2] = False
    assert not model.extrapolated(tile.hiding(hidden)).any()


def test_a_date_that_shows_nothing_is_extrapolated(model, tile):
    tile.target[3] = np.nan
    assert model.extrapolated(tile).all(axis=(1, 2)).tolist() == [False, False, False, True]
    assert not model.extrapolated(tile)[:3].any()


def test_a_feature_outside_the_range_trained_on_is_extrapolated(model, tile):
    tile.features["t2m"][1, 0, 4] = 400
    tile.features["t2m"][2, 0, 4] = np.nan
    assert np.argwhere(model.extrapolated(tile)).tolist() == [[1, 0, 4]]


def test_saved_and_loaded_is_the_same_model(model, tmp_path):
    calibrated = dataclasses.replace(model, weights={"trees.skops": b"trees"}).calibrate(CALIBRATION)
    calibrated.save(tmp_path)
    loaded = Level.load(tmp_path)
    assert loaded == calibrated
    assert loaded.card.calibration == CALIBRATION
    assert loaded.weights == {"trees.skops": b"trees"}
    assert pickle.loads(pickle.dumps(loaded)) == loaded  # noqa: S301


def test_weights_of_another_model_are_noticed(model, tmp_path):
    dataclasses.replace(model, weights={"trees.skops": b"trees"}).save(tmp_path)
    (tmp_path / "trees.skops").write_bytes(b"others")
    with pytest.raises(StoreError, match="damaged or exchanged"):
        Level.load(tmp_path)


def test_an_unfitted_model_says_so(tile):
    with pytest.raises(RuntimeError, match="not fitted"):
        Level().extrapolated(tile)
    with pytest.raises(NotImplementedError):
        TileModel().predict(tile)
