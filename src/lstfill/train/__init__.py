"""The fit: batches streamed from shards, a Keras network fitted to them, and its loss curve."""

from lstfill.model.base import History
from lstfill.preprocess import InMemoryShards, ShardSource
from lstfill.train.figure import loss_figure
from lstfill.train.fit import KerasFitter, OnEpoch, fit, fit_keras
from lstfill.train.stream import BatchStream, batch_size_for

__all__ = [
    "BatchStream",
    "History",
    "InMemoryShards",
    "KerasFitter",
    "OnEpoch",
    "ShardSource",
    "batch_size_for",
    "fit",
    "fit_keras",
    "loss_figure",
]
