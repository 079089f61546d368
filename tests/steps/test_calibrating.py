"""Calibration in the train step: errors of the right cells, and no others, the same whatever the workers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from lstfill import compute
from lstfill.config import Calibration, Cluster
from lstfill.cube.tiles import Tiling
from lstfill.errors import DataError
from lstfill.gaps import LABELS
from lstfill.model import Prediction, calibration_gaps
from lstfill.model.residuals import MOST
from lstfill.model.tiled import TileModel
from lstfill.split import Part
from lstfill.steps import calibrating
from lstfill.steps.learning import StoredTiles, WorkedTiles
from lstfill.steps.reader import Reader
from tests.steps.chain import SHAPE, TARGET, parts_of

PLAN = Tiling.of(SHAPE, 16, 4)
GUESS_K = 280.0
OPTIONS = Calibration(rounds=3, seed=5)


@dataclass
class Guess(TileModel):
    """Says the same of every cell, and has the part of the mean of what it sees as its spread."""

    def predict(self, chunk, dates=None):  # noqa: ARG002 - of the base
        value = np.full(chunk.target.shape, GUESS_K, np.float32)
        visible = chunk.visible()
        seen = chunk.target[visible].mean() if visible.any() else np.nan
        return Prediction(value, np.full_like(value, seen / 100))


class Fitted(Guess):
    """Has seen the samples."""

    fits_samples = True


class Unfitted(Guess):
    """Has seen none."""

    fits_samples = False


class Silent(Unfitted):
    """Has no value."""

    def predict(self, chunk, dates=None):  # noqa: ARG002 - of the base
        nothing = np.full(chunk.target.shape, np.nan, np.float32)
        return Prediction(nothing, nothing)


@pytest.fixture
def tiles(prepared):
    reader = Reader.open(*(prepared.at(name) for name in ("cube", "land", "parts")))
    return StoredTiles(reader, PLAN, (1, 6, 7))


@pytest.fixture
def collected(monkeypatch):
    """The errors that a calibration was fitted to, and what was said of them."""
    found = {}

    def fit(pieces, reach, source):
        found.update(pieces=list(pieces), reach=reach, source=source)
        return fit_calibration(found["pieces"], reach, source)

    fit_calibration = calibrating.fit_calibration
    monkeypatch.setattr(calibrating, "fit_calibration", fit)
    return found


def calibrated(model, tiles, options=OPTIONS, workers=2):
    with compute.cluster(Cluster(workers=workers)) as engine:
        return calibrating.on_tiles(model, WorkedTiles(tiles, engine), options)


@pytest.mark.parametrize(
    ("model", "parts", "words"),
    [
        (Fitted(), {Part.VALIDATION}, "artificial gaps in the validation part"),
        (Unfitted(), {Part.TRAIN, Part.VALIDATION}, "artificial gaps in the train and validation parts"),
    ],
    ids=["fitted", "unfitted"],
)
def test_errors_are_those_of_gaps_in_the_core_in_parts_that_the_model_has_not_seen(
    collected, tiles, prepared, model, parts, words
):
    calibration = calibrated(model, tiles)
    assert (collected["source"], collected["reach"]) == (words, model.reach)
    assert calibration.source == words
    assert len(collected["pieces"]) == len(tiles) * OPTIONS.rounds
    target, part = prepared.array("cube", TARGET), parts_of(prepared)
    for piece, (number, turn) in zip(
        collected["pieces"], ((n, t) for n in range(len(tiles)) for t in range(OPTIONS.rounds)), strict=True
    ):
        tile = tiles.read(number)
        gaps = calibration_gaps(tile.chunk, OPTIONS.seed, tiles.numbers[number], turn)
        core = np.zeros(gaps.shape, bool)
        core[:, *tile.core] = True
        here = tile.chunk.window.slices
        wanted = gaps & core & np.isin(part[here], list(parts))
        assert wanted.sum() <= MOST
        np.testing.assert_allclose(np.sort(piece.residual), np.sort(GUESS_K - target[here][wanted]), atol=1e-4)
        if wanted.any():
            seen = target[here][tile.chunk.visible() & ~gaps].mean()
            np.testing.assert_allclose(piece.spread, seen / 100, rtol=1e-4)


def test_no_held_out_and_no_test_value_comes_in(collected, tiles, prepared):
    calibrated(Unfitted(), tiles)
    target, part = prepared.array("cube", TARGET), parts_of(prepared)
    secret = (part == Part.TEST) | prepared.array("parts", "held_out")
    errors = np.concatenate([piece.residual for piece in collected["pieces"]])
    open_to_see = (GUESS_K - target[~secret]).astype(np.float32)
    assert np.isin(errors, open_to_see).all()
    assert errors.size > 500


def test_workers_change_nothing(tiles):
    assert calibrated(Unfitted(), tiles, workers=1) == calibrated(Unfitted(), tiles, workers=4)


def test_seed_and_rounds_are_those_of_the_options(collected, tiles):
    calibrated(Unfitted(), tiles)
    first = [piece.residual.size for piece in collected["pieces"]]
    calibrated(Unfitted(), tiles, Calibration(rounds=3, seed=6))
    assert [piece.residual.size for piece in collected["pieces"]] != first
    calibrated(Unfitted(), tiles, Calibration(rounds=1, seed=5))
    assert [piece.residual.size for piece in collected["pieces"]] == first[::3]


def test_a_model_without_any_value_cannot_be_calibrated(tiles):
    with pytest.raises(DataError, match="no error of artificial gaps in the train and validation parts is finite"):
        calibrated(Silent(), tiles)


def test_classes_are_of_what_is_seen_around_the_gaps(collected, tiles):
    calibrated(Unfitted(), tiles)
    named = {name: set() for name in LABELS}
    for piece in collected["pieces"]:
        for name, codes in piece.named().items():
            named[name] |= set(codes.tolist())
    assert len(named["gap_size"]) > 1
    assert len(named["distance"]) > 1
    assert max(named["latitude"]) < len(LABELS["latitude"])
