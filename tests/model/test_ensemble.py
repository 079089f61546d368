"""The ensemble: weights that are found, by the share that is missing, and members that come along."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstfill.gaps import LABELS, PARTS
from lstfill.model import ensemble, registry
from lstfill.model.base import Prediction
from lstfill.model.ensemble import EnsembleModel, Errors, collect, share_missing, weigh
from lstfill.model.tiled import TileModel
from tests.model import tiles

CLASSES = LABELS["missing"]


@dataclass
class Off(TileModel):
    """Says 300 K and what it is off by, on every cell it does not see."""

    name: ClassVar[str] = "local"
    fits_samples: ClassVar[bool] = False
    by: float = 0.0
    width: float | None = 1.0

    def predict(self, chunk, dates=None):  # noqa: ARG002 - of the base
        value = np.where(chunk.visible(), np.nan, 300 + self.by).astype("float32")
        spread = None if self.width is None else np.full(chunk.shape, self.width, "float32")
        return Prediction(value, spread)


def made(weights, *members):
    """A fitted ensemble of those members, weights alike in all classes."""
    names = [f"m{number}" for number in range(len(members))]
    named = dict(zip(names, weights, strict=True))
    model = tiles.fitted(EnsembleModel(), tiles.whole(flat()), ensemble={"members": ["harmonic"]})
    parameters = {**model.card.parameters, "member_weights_by_missing": dict.fromkeys(CLASSES, named)}
    card = replace(model.card, parameters=parameters)
    return EnsembleModel(card, {}, fitted_members=dict(zip(names, members, strict=True)))


def flat(shape=(4, 10, 10), missing=0.3):
    return tiles.chunk(np.full(shape, 300, "float32"), missing)


def errors(error, share=None, date=None):
    error = np.asarray(error, float)
    share = np.zeros(len(error), "int8") if share is None else np.asarray(share, "int8")
    return Errors(error, share, np.arange(len(error)) if date is None else np.asarray(date))


def test_opposite_errors_are_weighed_to_cancel_out():
    rng = np.random.default_rng(0)
    one = rng.normal(0, 1, 2000)
    overall, by_class = weigh(errors(np.stack([one, -3 * one], axis=1)))
    np.testing.assert_allclose(overall, [0.75, 0.25], atol=0.01)
    np.testing.assert_allclose(by_class, np.tile(overall, (len(CLASSES), 1)), atol=0.01)


def test_independent_errors_are_weighed_by_their_precision():
    error = np.random.default_rng(0).normal(0, [1.0, 2.0], (20_000, 2))
    overall, _ = weigh(errors(error))
    np.testing.assert_allclose(overall, [0.8, 0.2], atol=0.02)


def test_a_member_that_adds_nothing_has_no_weight():
    rng = np.random.default_rng(0)
    one = rng.normal(0, 1, 2000)
    overall, _ = weigh(errors(np.stack([one, 2 * one + 1], axis=1)))
    np.testing.assert_allclose(overall, [1, 0], atol=1e-6)


def test_a_few_far_outliers_do_not_rule():
    error = np.random.default_rng(0).normal(0, [1.0, 2.0], (20_000, 2))
    error[:20, 0] += 300
    overall, _ = weigh(errors(error))
    assert overall[0] > 0.7


def test_a_class_of_many_dates_has_weights_of_its_own_and_one_of_few_those_over_all():
    rng = np.random.default_rng(0)
    scale = np.repeat([[1.0, 3.0], [3.0, 1.0], [3.0, 1.0]], [6000, 3000, 50], axis=0)
    share = np.repeat([0, 3, 5], [6000, 3000, 50])
    date = np.concatenate([np.arange(6000) // 10, 1000 + np.arange(3000) // 10, np.full(50, 9999)])
    overall, by_class = weigh(errors(rng.normal(0, scale), share, date))
    assert by_class[0][0] > 0.85
    assert by_class[3][0] < 0.2
    np.testing.assert_allclose(by_class[5], overall, atol=0.15)
    np.testing.assert_allclose(by_class[1], overall, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(2, 5), st.integers(0, 1000))
def test_weights_are_never_negative_and_add_up_to_one(n, members, seed):
    rng = np.random.default_rng(seed)
    error = rng.normal(0, 1, (n, members)) * rng.choice([0, 1e-6, 1, 50], members)
    overall, by_class = weigh(errors(error, rng.integers(0, len(CLASSES), n)))
    for weights in (overall, *by_class):
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1)


def test_value_and_spread_are_those_of_the_mixture():
    said = made([0.75, 0.25], Off(by=1.0, width=2.0), Off(by=-3.0, width=1.0)).predict(flat())
    gap = ~flat().visible()
    np.testing.assert_allclose(said.value[gap], 300)
    variance = 0.75 * (2.0**2 + 1.0**2) + 0.25 * (1.0**2 + 3.0**2)
    np.testing.assert_allclose(said.spread[gap], np.sqrt(variance), rtol=1e-6)
    assert np.isnan(said.value[~gap]).all()


def test_a_member_without_a_spread_adds_its_disagreement():
    said = made([0.5, 0.5], Off(by=1.0, width=None), Off(by=-1.0, width=None)).predict(flat())
    np.testing.assert_allclose(said.spread[~flat().visible()], 1)


def test_a_member_without_a_value_leaves_its_weight_to_the_others():
    said = made([0.5, 0.3, 0.2], Off(by=np.nan), Off(by=1.0), Off(by=-1.0)).predict(flat())
    gap = ~flat().visible()
    np.testing.assert_allclose(said.value[gap], 300 + (0.3 - 0.2) / 0.5, rtol=1e-6)
    nothing = made([1.0, 0.0], Off(by=np.nan), Off(by=np.nan)).predict(flat())
    assert np.isnan(nothing.value).all()


def test_each_date_has_the_weights_of_its_share():
    chunk = flat((2, 10, 10), missing=0.0)
    hidden = np.zeros(chunk.shape, bool)
    hidden[0, :1, :5], hidden[1, :, :8] = True, True
    model = made([1.0, 0.0], Off(by=1.0), Off(by=2.0))
    by_class = {**model.card.parameters["member_weights_by_missing"], "75-90 %": {"m0": 0.0, "m1": 1.0}}
    card = replace(model.card, parameters={**model.card.parameters, "member_weights_by_missing": by_class})
    said = replace(model, fitted=card).predict(chunk.hiding(hidden))
    assert set(said.value[0][hidden[0]]) == {301}
    assert set(said.value[1][hidden[1]]) == {302}


def test_the_share_that_is_missing_is_that_of_the_date():
    chunk = flat((3, 10, 10), missing=0.0)
    hidden = np.zeros(chunk.shape, bool)
    hidden[1, :6], hidden[2] = True, True
    assert [CLASSES[of] for of in share_missing(chunk.hiding(hidden), np.array([0, 150, 299]))] == [
        "<10 %",
        "50-75 %",
        ">=90 %",
    ]


def test_errors_come_from_hidden_core_cells_of_validation_where_a_member_was_fitted_to_train(monkeypatch):
    chunk = flat((8, 30, 30))
    part = np.zeros(chunk.shape, "int8")
    part[:, :, 12:20], part[:, :, 20:] = 1, 2
    chunk = replace(chunk, part=part)
    tile = replace(tiles.whole(chunk), core=(slice(0, 15), slice(0, 30)))
    source = tiles.ListOfTiles([tile])
    free = collect(source, {"a": Off(by=1.0), "b": Off(by=2.0)}, 0)
    np.testing.assert_allclose(free.error, np.tile([1, 2], (len(free.error), 1)), atol=1e-4)
    monkeypatch.setattr(Off, "fits_samples", True)
    monkeypatch.setattr(ensemble, "FEW", 20)
    bound = collect(source, {"a": Off(by=1.0), "b": Off(by=2.0)}, 0)
    assert 20 <= len(bound.error) < len(free.error)
    assert len(free.error) <= (chunk.visible() & (part < 2))[:, :15].sum()
    assert len(bound.error) <= (chunk.visible() & (part == 1))[:, :15].sum()


def test_nothing_to_weigh_on_gives_even_weights():
    chunk = flat()
    blind = tiles.whole(chunk.hiding(np.ones(chunk.shape, bool)))
    model = tiles.fitted(EnsembleModel(), blind, ensemble={"members": ["harmonic", "harmonic"]})
    assert model.card.parameters["member_weights"] == {"harmonic": 1.0}


@pytest.fixture(scope="module")
def filled():
    """The truth, what is hidden, the tile without it, and an ensemble learned from it."""
    values = tiles.truth((16, 30, 30))
    chunk = tiles.with_parts(tiles.chunk(values, features=("t2m",)))
    away = tiles.hidden(chunk)
    shown = chunk.hiding(away)
    options = {"boosting": {"max_samples": 4000, "max_iter": 20, "min_samples_leaf": 50}}
    members = {"members": ["boosting", "harmonic"]}
    return values, away, shown, tiles.fitted(EnsembleModel(), tiles.whole(shown), ensemble=members, **options)


def test_it_is_no_worse_than_its_best_member(filled):
    values, away, shown, model = filled
    own = [tiles.mae(of.predict(shown).value, values, away) for of in model.members().values()]
    assert tiles.mae(model.predict(shown).value, values, away) < 1.03 * min(own)
    told = model.card.parameters["mae_k"]
    assert told["ensemble"] <= 1.001 * min(told["boosting"], told["harmonic"])


def test_it_comes_back_with_its_members(filled, tmp_path):
    _, _, shown, model = filled
    model.save(tmp_path)
    assert {path.name for path in (tmp_path / "members").iterdir()} == {"boosting", "harmonic"}
    copy = registry.load(tmp_path)
    assert list(copy.members()) == ["boosting", "harmonic"]
    np.testing.assert_array_equal(copy.predict(shown).value, model.predict(shown).value)
    np.testing.assert_array_equal(copy.predict(shown).spread, model.predict(shown).spread)


def test_one_member_alone_is_that_member():
    chunk = flat((4, 10, 10))
    model = tiles.fitted(EnsembleModel(), tiles.whole(chunk), ensemble={"members": ["harmonic"]})
    member = model.members()["harmonic"].predict(chunk)
    np.testing.assert_array_equal(model.predict(chunk).value, member.value)
    np.testing.assert_array_equal(model.predict(chunk).spread, member.spread)


def test_members_are_asked_for_some_dates_alone():
    class Counting(Off):
        def predict(self, chunk, dates=None):
            self.asked = dates
            return super().predict(chunk, dates)

    members = Counting(), Counting(by=2.0)
    asked = np.array([True, False, False, True])
    assert np.isfinite(made([0.5, 0.5], *members).predict(flat(), asked).value).any()
    for member in members:
        np.testing.assert_array_equal(member.asked, asked)
    collect(tiles.ListOfTiles([tiles.whole(flat())]), dict(zip("ab", members, strict=True)), 0)
    assert all(member.asked.sum() == 1 for member in members)


def test_folds_are_of_members_that_have_not_learned_from_their_dates(filled):
    _, _, shown, model = filled
    assert len(model.folds) == PARTS
    assert not model.fits_samples
    for part, fold in enumerate(model.folds):
        assert fold.members()["boosting"] is model.members()["boosting"].folds[part]
        assert fold.members()["harmonic"] is model.members()["harmonic"]
        assert fold.card is model.card
    assert not np.array_equal(model.folds[1].predict(shown).value, model.predict(shown).value, equal_nan=True)


def test_one_fitted_to_samples_makes_the_train_part_say_nothing():
    assert not made([1.0], Off()).fits_samples
    assert made([0.5, 0.5], Off(), registry.create("mlp")).fits_samples
