import json

import pytest

from lstfill.config import Cluster, Config, build
from lstfill.errors import ConfigError

PODS = {"kind": "kubernetes"}


def test_threads_are_the_default():
    assert build(Cluster, {}).kind == "threads"


def test_quantities_may_be_given_as_numbers():
    made = build(Cluster, PODS | {"cpu": 2, "scheduler_cpu": 0.5})
    assert (made.cpu, made.scheduler_cpu) == ("2", "0.5")
    assert build(Cluster, PODS | {"cpu": 2.0}).cpu == "2"


@pytest.mark.parametrize("memory", ["512Mi", "4Gi", "1.5Gi", "2G", "1Ti"])
def test_memory_has_a_unit(memory):
    assert build(Cluster, PODS | {"memory": memory}).memory == memory


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"memory": "4"}, r"memory: is not a number above 0 with one of the units Mi, Gi, Ti, M, G, T, got '4'"),
        ({"memory": "4GiB"}, r"memory: is not a number above 0"),
        ({"scheduler_memory": "0Gi"}, r"scheduler_memory: is not a number above 0"),
        ({"cpu": "two"}, r"cpu: is not a number above 0 with one of the units m, got 'two'"),
        ({"cpu": 0}, r"cpu: is not a number above 0"),
        ({"cpu": True}, r"cpu: Input should be a valid string, got True"),
        ({"minimum": 1}, r"minimum 1 with maximum None: give both, or workers alone"),
        ({"maximum": 4}, r"minimum None with maximum 4: give both"),
        ({"minimum": 5, "maximum": 4}, r"minimum 5 is more than maximum 4"),
        ({"minimum": 0, "maximum": 4}, r"minimum: .*greater than or equal to 1"),
        ({"idle_timeout_s": 0}, r"idle_timeout_s: .*greater than or equal to 1"),
        ({"address": "tcp://host:8786"}, r"kind 'kubernetes' with address 'tcp://host:8786'"),
        ({"memory_limit": "2GiB"}, r"'memory_limit' goes with kind 'local' and only with it"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        build(Cluster, PODS | wrong)


@pytest.mark.parametrize("kind", ["threads", "local"])
@pytest.mark.parametrize(
    "pods",
    [{"image": "a:1"}, {"namespace": "n"}, {"minimum": 1, "maximum": 2}, {"memory": "1Gi"}, {"idle_timeout_s": 5}],
    ids=lambda value: next(iter(value)),
)
def test_options_of_pods_are_refused_elsewhere(kind, pods):
    name = next(iter(pods))
    with pytest.raises(ConfigError, match=f"kind {kind!r} with {name} .*goes with kind 'kubernetes' and only with it"):
        build(Cluster, {"kind": kind} | pods)


@pytest.mark.parametrize("kind", ["threads", "local", "kubernetes"])
def test_every_key_at_its_default_is_taken_as_a_pipeline_hands_it_on(kind):
    whole = build(Cluster, {"kind": kind}).model_dump(mode="json")
    assert build(Cluster, json.loads(json.dumps(whole))) == build(Cluster, {"kind": kind})


@pytest.mark.parametrize(
    ("given", "threads"),
    [
        ({"workers": 3}, 3),
        ({"workers": 3, "threads_per_worker": 2}, 6),
        ({"minimum": 1, "maximum": 8, "threads_per_worker": 2}, 16),
    ],
)
def test_the_capacity_counts_threads(given, threads):
    assert build(Cluster, PODS | given).capacity() == threads


def test_the_section_is_part_of_a_configuration():
    made = build(Config, {"source": {"uri": "cube.zarr"}, "cluster": PODS | {"image": "a:1"}})
    assert made.cluster.image == "a:1"
