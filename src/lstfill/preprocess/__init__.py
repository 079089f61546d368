"""From cubes to samples: usable cells, an even choice of them, one global random order, statistics and scaling."""

from lstfill.preprocess.samples import Samples, extract, extract_all
from lstfill.preprocess.scaling import Scaling, impute_values
from lstfill.preprocess.scaling import fit as fit_scaling
from lstfill.preprocess.shards import SHARD_SAMPLES, Derived, Imputed, InMemoryShards, ShardSource, regroup
from lstfill.preprocess.shuffling import RANGES, Shard, gather, plan, record, scatter, shuffle
from lstfill.preprocess.summary import Accumulator, Statistics, VariableStatistics, collect
from lstfill.preprocess.thinning import Selection, Strata, Thinning
from lstfill.split.balance import usable

__all__ = [
    "RANGES",
    "SHARD_SAMPLES",
    "Accumulator",
    "Derived",
    "Imputed",
    "InMemoryShards",
    "Samples",
    "Scaling",
    "Selection",
    "Shard",
    "ShardSource",
    "Statistics",
    "Strata",
    "Thinning",
    "VariableStatistics",
    "collect",
    "extract",
    "extract_all",
    "fit_scaling",
    "gather",
    "impute_values",
    "plan",
    "record",
    "regroup",
    "scatter",
    "shuffle",
    "usable",
]
