import dataclasses
import time

import numpy as np
import pytest

from lstfill import model as models
from lstfill.config import Preprocess, Train
from lstfill.errors import DataError, LstfillError
from lstfill.model.linear import build
from lstfill.preprocess import InMemoryShards
from lstfill.train import KerasFitter, fit
from tests.model.views import samples, view, view_of


def fitted(of, log_dir=None, on_epoch=None, **options):
    model = models.create("linear")
    return model, fit(model, of, Train(**options), log_dir, on_epoch)


def predict(model, x):
    return model.predict_columns({name: x[:, i] for i, name in enumerate(model.card.features)}).astype("float64")


def mse(model, x, y):
    return float(np.mean((predict(model, x) - y) ** 2))


def least_squares_mse(x, y):
    """Of the best line there is, from the normal equations of centred features."""
    x = x.astype("float64")
    columns = np.column_stack([(x - x.mean(axis=0)) / x.std(axis=0), np.ones(len(y))])
    coefficients, *_ = np.linalg.lstsq(columns, y, rcond=None)
    return float(np.mean((columns @ coefficients - y) ** 2))


@pytest.fixture(scope="module")
def large():
    """200 000 samples with the defaults, in shards that batches do not fit into."""
    train, validation = samples(200_000), samples(50_000, seed=1)
    of = view_of(train, validation, shard_size=30_011)
    epochs = []
    model, history = fitted(of, on_epoch=lambda epoch, row: epochs.append((epoch, row)))
    return train, validation, of, model, history, epochs


def test_reaches_least_squares_within_a_permille(large):
    (x, y), _, _, model, _, _ = large
    assert mse(model, x, y) < 1.001 * least_squares_mse(x, y)
    assert model.card.parameters["slope"]["t2m"] == pytest.approx(1.12, abs=0.005)


def test_reaches_least_squares_with_several_features_of_unlike_size():
    names = ("t2m", "height", "ozone")
    train, validation = samples(100_000, names), samples(20_000, names, seed=1)
    model, _ = fitted(view_of(train, validation, names))
    assert mse(model, *train) < 1.001 * least_squares_mse(*train)


def test_validation_loss_is_that_of_the_whole_validation_part(large):
    """The peer validated on the first 1/32 of an unshuffled part."""
    _, (x, y), _, model, history, _ = large
    best = history.best_epoch - 1
    assert history.val_loss[best] == min(history.val_loss)
    assert mse(model, x, y) == pytest.approx(history.val_loss[best], rel=1e-5)
    assert float(np.abs(predict(model, x) - y).mean()) == pytest.approx(history.val_mae[best], rel=1e-5)


def test_a_rerun_gives_the_same_weights(large):
    _, _, of, model, _, _ = large
    again, _ = fitted(of)
    one, other = model.card.parameters, again.card.parameters
    assert other["slope"]["t2m"] == pytest.approx(one["slope"]["t2m"], abs=1e-6)
    assert other["intercept"] == pytest.approx(one["intercept"], abs=1e-6 * 280)


def test_every_epoch_is_reported_as_it_ends(large):
    *_, history, epochs = large
    assert [epoch for epoch, _ in epochs] == list(range(1, len(history.loss) + 1))
    for name in ("loss", "val_loss", "mae", "val_mae", "learning_rate"):
        assert tuple(row[name] for _, row in epochs) == getattr(history, name)
        assert all(type(row[name]) is float for _, row in epochs)


def test_the_fit_leaves_the_samples_as_they_are(large):
    _, _, of, *_ = large
    for source, (x, y) in ((of.train, samples(200_000)), (of.validation, samples(50_000, seed=1))):
        np.testing.assert_array_equal(source.x, x)
        np.testing.assert_array_equal(source.y, y)


def test_history_counts_what_was_seen(large):
    *_, history, _ = large
    assert history.samples_seen == 200_000 * len(history.loss)
    assert (history.batch_size, history.steps) == (4000, 50)
    assert history.seconds > 0
    assert type(history).from_dict(history.to_dict()) == history


def test_every_sample_counts_in_every_epoch():
    """With weights that do not move, the loss of an epoch is that of all samples; the peer saw 1/batch_size of them."""
    of = view_of(samples(10_007), samples(1003, seed=1), shard_size=997)
    _, history = fitted(of, learning_rate=1e-12, epochs=3, batch_size=64)
    model, _ = fitted(of, learning_rate=1e-12, epochs=1)
    np.testing.assert_allclose(history.loss, mse(model, of.train.x, of.train.y), rtol=1e-5)
    np.testing.assert_allclose(history.val_loss, mse(model, of.validation.x, of.validation.y), rtol=1e-5)
    assert history.steps == 157


def test_learning_rate_decays_to_a_hundredth_by_a_cosine():
    _, history = fitted(view(2000), learning_rate=0.2, epochs=4, patience=9)
    expected = [0.2 * (0.01 + 0.99 * (1 + np.cos(np.pi * k / 4)) / 2) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(history.learning_rate, expected, rtol=1e-4)
    assert history.learning_rate[-1] == pytest.approx(0.002)


SLOW = {"learning_rate": 0.003, "epochs": 4}


@pytest.fixture(scope="module")
def worsening():
    """Validation that the weights after the first epoch fit exactly, and each later epoch worse."""
    of = view_of(samples(5000), samples(1000, seed=1))
    network, weights = build(of, 0), []
    KerasFitter(on_epoch=lambda *_: weights.append(network.get_weights()))(network, of, Train(**SLOW))
    network.set_weights(weights[0])
    y = np.asarray(network(of.validation.x))[:, 0]
    return dataclasses.replace(of, validation=InMemoryShards(of.validation.x, y))


@pytest.mark.parametrize(("patience", "epochs_run"), [(99, 4), (2, 3), (1, 2), (0, 2)])
def test_the_best_weights_are_kept_in_every_ending(worsening, patience, epochs_run):
    model, history = fitted(worsening, patience=patience, **SLOW)
    assert len(history.loss) == epochs_run
    assert history.best_epoch == 1
    assert history.val_loss[1] > 0.1 > 1e-4 > history.val_loss[0]
    assert mse(model, worsening.validation.x, worsening.validation.y) < 1e-4


@pytest.mark.parametrize(("n", "bound"), [(60, 1.15), (300, 1.05), (3000, 1.02)])
def test_small_data_are_fitted_too(n, bound):
    """Fewer samples than a batch: without smaller batches there would be ten steps in all, and no fit."""
    train, validation = samples(n), samples(200, seed=1)
    model, history = fitted(view_of(train, validation))
    assert history.batch_size < n
    assert mse(model, *train) < bound * least_squares_mse(*train)


def test_event_files_hold_the_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    _, history = fitted(view(1000), log_dir=tmp_path / "logs", epochs=2)
    for part, expected in {"train": history.loss, "validation": history.val_loss}.items():
        events = EventAccumulator(str(tmp_path / "logs" / part)).Reload()
        found = [float(tensor_util.make_ndarray(event.tensor_proto)) for event in events.Tensors("epoch_loss")]
        assert found == pytest.approx(expected)


def test_without_a_directory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitted(view(500), epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_a_diverging_fit_says_what_to_change():
    message = r"the fit diverged: .*'loss': (nan|inf).* in epoch 1 with learning_rate 1e\+30; lower train.learning_rate"
    with pytest.raises(LstfillError, match=message):
        fitted(view(2000), learning_rate=1e30)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_part_without_samples_is_refused_with_the_numbers(part):
    empty = InMemoryShards(np.empty((0, 1), "float32"), np.empty(0, "float32"))
    of = dataclasses.replace(view(500), **{part: empty})
    sizes = {"train": 500, "validation": 100, part: 0}
    message = rf"the {part} part has 0 usable samples \(train {sizes['train']}, validation {sizes['validation']}\)"
    with pytest.raises(DataError, match=message):
        fitted(of)


def test_missing_features_are_imputed_in_both_parts_as_in_prediction():
    train, validation = samples(2000), samples(500, seed=1)
    train[0][::10] = np.nan
    validation[0][::7] = np.nan
    preprocess = Preprocess(missing="mean")
    model, history = fitted(view_of(train, validation, preprocess=preprocess), epochs=2)
    mean = model.card.impute["t2m"]
    assert mean == pytest.approx(np.nanmean(train[0].astype("float64")), rel=1e-9)
    assert mse(model, *validation) == pytest.approx(history.val_loss[history.best_epoch - 1], rel=1e-4)
    filled = np.where(np.isnan(validation[0]), np.float32(mean), validation[0])
    assert mse(model, filled, validation[1]) == mse(model, *validation)


def test_the_test_part_is_not_in_the_view():
    """Nothing but train and validation can reach a fit: the view has no room for more."""
    assert {f.name for f in dataclasses.fields(view(10))} >= {"train", "validation"}
    assert not {"test", "held_out", "truth"} & {f.name for f in dataclasses.fields(view(10))}


def test_an_epoch_over_two_million_samples_takes_seconds():
    """The bound is generous for a busy machine; sample by sample in Python it would take a minute."""
    of = view_of(samples(2_000_000), samples(100_000, seed=1))
    ends = []
    fitted(of, epochs=2, on_epoch=lambda *_: ends.append(time.perf_counter()))
    assert ends[1] - ends[0] < 15
