"""From cubes to samples: usable cells, an even choice of them, one global random order, statistics and scaling."""

from lstfill.preprocess.samples import Samples, extract, usable_cells
from lstfill.preprocess.scaling import Scaling, impute_values
from lstfill.preprocess.scaling import fit as fit_scaling
from lstfill.preprocess.shards import SHARD_SAMPLES, Imputed, InMemoryShards, ShardSource, regroup
from lstfill.preprocess.shuffling import Shuffler, recut, shard_count, shuffle
from lstfill.preprocess.summary import Accumulator, Statistics, VariableStatistics, collect
from lstfill.preprocess.thinning import Selection, Strata, Thinning
from lstfill.split.balance import usable

__all__ = [
    "SHARD_SAMPLES",
    "Accumulator",
    "Imputed",
    "InMemoryShards",
    "Samples",
    "Scaling",
    "Selection",
    "ShardSource",
    "Shuffler",
    "Statistics",
    "Strata",
    "Thinning",
    "VariableStatistics",
    "collect",
    "extract",
    "fit_scaling",
    "impute_values",
    "recut",
    "regroup",
    "shard_count",
    "shuffle",
    "usable",
    "usable_cells",
]
