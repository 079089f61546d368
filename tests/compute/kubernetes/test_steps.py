"""A step gives the same bits on pods as on threads."""

from __future__ import annotations

import shutil

import pytest

from lstfill.config import Tracking
from tests.compute.kubernetes.pods import gone, pods, within_pod
from tests.steps.chain import Chain, differing, make_cube, source_of, write_source


@pytest.fixture(scope="module")
def by_threads(tmp_path_factory):
    """All steps in this process."""
    place = tmp_path_factory.mktemp("threads")
    source = source_of(write_source(make_cube(), place / "source.zarr"))
    chain = Chain(place, source, Tracking(uri=f"sqlite:///{place}/mlflow.db"))
    chain.prepared()
    chain.trained()
    return chain, chain.scored(), chain.filled()


@pytest.fixture(scope="module")
def by_pods(operated, by_threads, tmp_path_factory):
    """The same steps with the same model, each on two workers of its own."""
    place = tmp_path_factory.mktemp("pods")
    with within_pod(operated, place):
        chain = by_threads[0].but(root=place, cluster=pods(workers=2))
        chain.prepared()
        shutil.copytree(by_threads[0].at("model"), chain.at("model"))
        results = chain, chain.scored(), chain.filled()
    gone(operated)
    return results


@pytest.mark.parametrize("store", ["cube", "parts", "samples", "filled"])
def test_pods_write_what_threads_write(by_threads, by_pods, store):
    mine, theirs = by_threads[0].values(store), by_pods[0].values(store)
    assert mine
    assert differing(mine, theirs) == []


def test_pods_score_what_threads_score(by_threads, by_pods):
    mine, theirs = by_threads[1].facts, by_pods[1].facts
    assert mine["scores"]["held_out_gaps"]["n"] > 0
    assert theirs["scores"] == mine["scores"]
    assert theirs["baselines"] == mine["baselines"]


@pytest.mark.usefixtures("by_pods")
def test_each_step_had_a_cluster_of_its_own(operated):
    names = [cluster["metadata"]["name"] for cluster in operated.history("daskclusters")]
    assert len(set(names)) == len(names) == 5
