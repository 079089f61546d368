"""Fits a Keras network to streamed samples and leaves the weights of the best epoch in it."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstfill.config import Train
from lstfill.errors import DataError, LstfillError
from lstfill.model.base import History, Model, TrainingView
from lstfill.model.network import import_keras
from lstfill.preprocess import Imputed, ShardSource
from lstfill.train.stream import Batch, BatchStream, batch_size_for

logger = logging.getLogger(__name__)

OnEpoch = Callable[[int, dict[str, float]], None]
_NAMES = ("loss", "val_loss", "mae", "val_mae", "learning_rate")
_FINAL_RATE = 0.01
_STEPS_A_CALL = 64
"""Steps that Keras takes before it comes back to Python."""


@dataclass(frozen=True)
class KerasFitter:
    """How networks are fitted here; a model calls it with what to fit.

    Attributes:
        log_dir: directory for TensorBoard's event files; None writes none.
        on_epoch: called after each epoch with its number from 1 and the metrics by name, for a tracker or progress.
    """

    log_dir: Path | None = None
    on_epoch: OnEpoch | None = None

    def __call__(self, network: Any, view: TrainingView, config: Train) -> History:
        """Streams the samples of the view, imputed where it says so, into ``fit_keras``.

        Raises:
            DataError: a part has no samples.
            LstfillError: the loss is not finite.
        """
        _assert_samples(view)
        size = batch_size_for(sum(view.train.sizes), config.batch_size)
        train = BatchStream(_imputed(view.train, view), size, config.seed)
        # Validation weighs all samples alike whatever the batch: the largest is the fastest.
        validation = BatchStream(_imputed(view.validation, view), config.batch_size, shuffle=False)
        return fit_keras(network, train, validation, config, self.log_dir, self.on_epoch)


def fit(
    model: Model, view: TrainingView, config: Train, log_dir: Path | None = None, on_epoch: OnEpoch | None = None
) -> History | None:
    """Fits a model to a view.

    Args:
        model: what to fit, from ``lstfill.model.create``.
        view: what to learn from.
        config: epochs, batch size, learning rate, patience and seed.
        log_dir: directory for TensorBoard's event files; None writes none.
        on_epoch: called after each epoch with its number from 1 and the metrics by name.

    Raises:
        DataError: a part has no samples.
        LstfillError: the loss is not finite.
    """
    return model.fit(view, config, KerasFitter(log_dir, on_epoch))


def fit_keras(
    network: Any,
    train: BatchStream,
    validation: BatchStream,
    config: Train,
    log_dir: Path | None = None,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Minimises the mean squared error with Adam; the learning rate decays to 1 % by a cosine over all steps.

    It stops when ``patience`` epochs have brought no better validation loss. However it ends, the network has the
    weights of the epoch with the best one.

    Args:
        network: a Keras model from features ``(n, f)`` to the target ``(n, 1)``; compiled here.
        train: batches to fit.
        validation: batches of the whole validation part.
        config: epochs, learning rate, patience and seed.
        log_dir: directory for TensorBoard's event files; None writes none.
        on_epoch: called after each epoch with its number from 1 and the metrics by name.

    Raises:
        LstfillError: the loss is not finite.
    """
    keras = import_keras()
    keras.utils.set_random_seed(config.seed % 2**32)
    _compile(keras, network, config, train.steps)
    recorder = _recorder(keras, config, on_epoch)
    n_features, started = network.input_shape[1], time.perf_counter()
    network.fit(
        _dataset(train, n_features),
        epochs=config.epochs,
        validation_data=_dataset(validation, n_features),
        callbacks=[*_callbacks(keras, config, log_dir), recorder],
        shuffle=False,  # the stream has done it
        verbose=0,
    )
    return _history(recorder.rows, train, time.perf_counter() - started)


def _compile(keras: Any, network: Any, config: Train, steps: int) -> None:
    rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, config.epochs * steps, alpha=_FINAL_RATE)
    network.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="mse",
        metrics=[keras.metrics.MeanAbsoluteError(name="mae")],
        jit_compile=False,  # compiling takes longer than the fit of a small network
        steps_per_execution=_STEPS_A_CALL,
    )


def _callbacks(keras: Any, config: Train, log_dir: Path | None) -> list[Any]:
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=config.patience, restore_best_weights=True)
    if log_dir is None:
        return [stopping]
    return [stopping, keras.callbacks.TensorBoard(str(log_dir), write_graph=False, update_freq="epoch")]


def _recorder(keras: Any, config: Train, on_epoch: OnEpoch | None) -> Any:
    """A callback that keeps the metrics of each epoch; a class only once Keras is there to derive from."""

    class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rows: list[dict[str, float]] = []

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            values = {**(logs or {}), "learning_rate": self.model.optimizer.learning_rate}
            row = {name: float(values[name]) for name in _NAMES}
            _assert_finite(epoch + 1, row, config)
            self.rows.append(row)
            logger.info("epoch %d of %d: %s", epoch + 1, config.epochs, row)
            if on_epoch is not None:
                on_epoch(epoch + 1, dict(row))

    return Recorder()


def _dataset(stream: BatchStream, n_features: int) -> Any:
    """The batches of an epoch; each pass over the dataset is the next epoch.

    Python hands over whole pieces and TensorFlow cuts them: batch by batch the way between the two would cost more
    than the fit.
    """
    import tensorflow as tf

    signature = (tf.TensorSpec((None, n_features), tf.float32), tf.TensorSpec((None, 1), tf.float32))
    epochs = itertools.count()

    def pieces() -> Iterator[Batch]:
        for x, y in stream.pieces(next(epochs)):
            yield x, y[:, None]

    batches = tf.data.Dataset.from_generator(pieces, output_signature=signature).rebatch(stream.batch_size)
    return batches.apply(tf.data.experimental.assert_cardinality(stream.steps))


def _history(rows: list[dict[str, float]], train: BatchStream, seconds: float) -> History:
    columns = {name: tuple(row[name] for row in rows) for name in _NAMES}
    return History(
        **columns,
        best_epoch=min(range(len(rows)), key=columns["val_loss"].__getitem__) + 1,
        seconds=seconds,
        samples_seen=train.n_samples * len(rows),
        batch_size=train.batch_size,
        steps=train.steps,
    )


def _assert_finite(epoch: int, row: dict[str, float], config: Train) -> None:
    bad = {name: value for name, value in row.items() if not math.isfinite(value)}
    if bad:
        raise LstfillError(
            f"the fit diverged: {bad} in epoch {epoch} with learning_rate {config.learning_rate:g}; "
            "lower train.learning_rate (of an mlp train.mlp.learning_rate), or set preprocess.scaling: standardize"
        )


def _assert_samples(view: TrainingView) -> None:
    sizes = {"train": sum(view.train.sizes), "validation": sum(view.validation.sizes)}
    issues = [
        f"the {part} part has 0 usable samples (train {sizes['train']}, validation {sizes['validation']}): "
        "widen source.time or source.bbox_deg, use smaller split.block, or impute features by preprocess.missing"
        for part, size in sizes.items()
        if not size
    ]
    if issues:
        raise DataError("the samples", issues)


def _imputed(source: ShardSource, view: TrainingView) -> ShardSource:
    if not view.impute:
        return source
    return Imputed(source, tuple(view.impute.get(name, math.nan) for name in view.features))
