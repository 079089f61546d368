"""The same seed, the same split, gaps and samples, whatever chunks and workers; the same model, the same bits."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import xarray as xr

from lstfill.config import Cluster, Preprocess
from lstfill.model import load
from lstfill.steps import preprocess, split
from lstfill.storage import stores
from tests.steps.chain import CHUNKS, FEATURE, TARGET, Chain, differing, source_of, write_source

WAYS = {
    "one thread": (CHUNKS, (0, 0, 0), Cluster(workers=1)),
    "four threads": (CHUNKS, (0, 0, 0), Cluster(workers=4)),
    "other chunks of the work cube": (CHUNKS, (12, 7, 20), Cluster()),
    "other chunks of source and work cube": ((3, 36, 24), (1, 36, 72), Cluster(workers=3)),
    "a source in one piece": (None, (6, 12, 24), Cluster()),
    "two processes": (CHUNKS, (6, 36, 36), Cluster(kind="local", workers=2)),
}


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.replace(" ", "-"))
def other(request, cube, tmp_path_factory, tracking):
    """The data steps run in another way."""
    stored, worked, cluster = WAYS[request.param]
    place = tmp_path_factory.mktemp("other")
    source = write_source(cube, place / "source.zarr", stored)
    chain = Chain(place, source_of(source, chunks=worked), tracking, cluster=cluster)
    chain.prepared()
    return chain


def test_the_way_is_another_one(other, prepared, request):
    # Otherwise the tests below would compare a run with itself.
    chunks = {chain.root: xr.open_zarr(chain.at("cube"))[TARGET].encoding["chunks"] for chain in (prepared, other)}
    assert len(set(chunks.values())) == 2 or "thread" in request.node.name


def test_split_held_out_gaps_and_mask_are_identical(prepared, other):
    assert differing(prepared.values("parts"), other.values("parts")) == []
    assert differing(prepared.values("land"), other.values("land")) == []
    assert prepared.array("parts", "held_out").any()


def test_sample_index_values_and_order_are_identical(prepared, other):
    mine, theirs = prepared.values("samples"), other.values("samples")
    assert differing(mine, theirs) == []
    assert mine["train_cell"].size > 1000


def test_statistics_and_scaling_agree(prepared, other):
    mine, theirs = (_facts(chain)["scaling"] for chain in (prepared, other))
    for name in (TARGET, FEATURE):
        for key in ("offset", "scale"):
            assert theirs[name][key] == pytest.approx(mine[name][key], rel=1e-6)
    assert _facts(other)["samples"] == _facts(prepared)["samples"]


def test_the_same_model_fills_to_the_same_bits(filled, other, tmp_path_factory):
    there = other.but(root=tmp_path_factory.mktemp("filled"))
    shutil.copytree(other.at("cube"), there.at("cube"))
    shutil.copytree(other.at("land"), there.at("land"))
    there.filled(model=filled.at("model"))
    assert differing(filled.values("filled"), there.values("filled")) == []


@pytest.fixture(scope="module")
def smoothed(around, prepared, tmp_path_factory):
    """The cube filled by a model of neighbours."""
    there = prepared.but(root=tmp_path_factory.mktemp("smoothed"))
    there.filled(**prepared.inputs("cube", "land"), model=around.uri)
    return there.values("filled")


def test_a_model_of_neighbours_fills_to_the_same_bits(smoothed, around, other, tmp_path):
    there = other.but(root=tmp_path)
    there.filled(**other.inputs("cube", "land"), model=around.uri)
    assert differing(smoothed, there.values("filled")) == []


@pytest.fixture(scope="module")
def again(filled, tmp_path_factory):
    """A second run of all steps with the same configuration."""
    chain = filled.but(root=tmp_path_factory.mktemp("again"))
    chain.prepared()
    chain.trained()
    return chain


def test_a_retrained_model_has_the_same_weights(fitted, again):
    mine, theirs = (load(chain.root / "model").card.parameters for chain in (fitted, again))
    assert theirs["slope"][FEATURE] == pytest.approx(mine["slope"][FEATURE], rel=1e-6)
    assert theirs["intercept"] == pytest.approx(mine["intercept"], abs=1e-4)


def test_a_retrained_model_fills_to_a_millikelvin(filled, again):
    again.filled()
    mine, theirs = filled.values("filled"), again.values("filled")
    assert np.nanmax(np.abs(mine[TARGET] - theirs[TARGET])) <= 1e-3
    assert differing(mine, theirs) in ([], [TARGET])


def test_a_thinned_choice_of_samples_does_not_depend_on_chunks(prepared, tmp_path):
    few = Preprocess(max_samples=200, seed=3)
    other = prepared.but(root=tmp_path / "other", source=source_of(prepared.source.uri, chunks=(12, 36, 9)))
    other.ingested()
    chosen = []
    for chain in (prepared, other):
        inputs = prepared.inputs("land", "parts")
        output = f"{tmp_path}/{chain.root.name}.zarr"
        preprocess.run(few, cube=chain.at("cube"), **inputs, output=output)
        with stores.open_whole(output) as ds:
            chosen.append({name: ds[name].to_numpy() for name in ds.variables})
    assert differing(*chosen) == []
    assert chosen[0]["train_cell"].size == 200


def test_seeds_make_a_difference(prepared, chain):
    seeded = chain.but(split=chain.split.model_copy(update={"seed": 1}))
    split.run(seeded.split, **prepared.inputs("cube", "land"), output=seeded.at("parts"))
    inputs = prepared.inputs("cube", "land") | {"parts": seeded.at("parts")}
    preprocess.run(seeded.preprocess, **inputs, output=seeded.at("samples"))
    assert "part" in differing(prepared.values("parts"), seeded.values("parts"))
    assert not np.array_equal(prepared.array("samples", "test_cell"), seeded.array("samples", "test_cell"))


def _facts(chain):
    return stores.provenance(chain.at("samples"))["facts"]
