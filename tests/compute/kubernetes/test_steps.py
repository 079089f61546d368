"""A step gives the same bits on pods as on threads."""

from __future__ import annotations

import pytest

from lstfill.config import Tracking
from tests.compute.kubernetes.pods import gone, pods, within_pod
from tests.steps.chain import Chain, differing, make_cube, source_of, write_source


@pytest.fixture(scope="module")
def by_threads(tmp_path_factory):
    """The data steps in this process."""
    place = tmp_path_factory.mktemp("threads")
    source = source_of(write_source(make_cube(), place / "source.zarr"))
    chain = Chain(place, source, Tracking(uri=f"sqlite:///{place}/mlflow.db"))
    chain.prepared()
    return chain


@pytest.fixture(scope="module")
def by_pods(operated, by_threads, tmp_path_factory):
    """The same steps, each on two workers of its own."""
    place = tmp_path_factory.mktemp("pods")
    with within_pod(operated, place):
        chain = by_threads.but(root=place, cluster=pods(workers=2))
        chain.prepared()
    gone(operated)
    return chain


@pytest.mark.parametrize("store", ["cube", "parts", "samples"])
def test_pods_write_what_threads_write(by_threads, by_pods, store):
    mine, theirs = by_threads.values(store), by_pods.values(store)
    assert mine
    assert differing(mine, theirs) == []


@pytest.mark.usefixtures("by_pods")
def test_each_step_had_a_cluster_of_its_own(operated):
    names = [cluster["metadata"]["name"] for cluster in operated.history("daskclusters")]
    assert len(set(names)) == len(names) == 3
