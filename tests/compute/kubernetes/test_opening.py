"""The real operator and the real KubeCluster, driven by ``compute.cluster``, on pods that are processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lstfill import compute
from lstfill.errors import ConfigError, DataError, LstfillError
from tests.compute.kubernetes.pods import KEY, RUN, gone, pods, within_pod
from tests.kubernetes.kubelet import ROOT
from tests.kubernetes.schemas import VERSIONS, crd_errors, kubernetes_errors

ASKED = (KEY, "AWS_EC2_METADATA_DISABLED", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS", "MLFLOW_TRACKING_PASSWORD")
DASK = ("daskclusters", "daskworkergroups", "daskautoscalers")


def process_and_environment(item):
    time.sleep(0.2)
    return os.getpid(), {name: os.environ.get(name) for name in ASKED}


def refuse(item):
    raise DataError("item", [f"{item} is not wanted"])


def lose(item):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def worked(operated, tmp_path_factory):
    """A cluster of two workers that has worked and is closed: its results, and what was left of it."""
    with within_pod(operated, tmp_path_factory.mktemp("pod")):
        with compute.cluster(pods(workers=2)) as engine:
            results = list(engine.map(process_and_environment, range(8)))
            with pytest.raises(DataError, match="3 is not wanted"):
                list(engine.map(refuse, range(3, 10)))
        left = [pod["metadata"]["name"] for pod in operated.objects("pods")]
    gone(operated)
    return results, left


def test_two_workers_share_the_work(worked):
    results, _ = worked
    assert len({pid for pid, _ in results}) == 2
    assert os.getpid() not in {pid for pid, _ in results}


def test_workers_have_the_environment_of_the_step(worked):
    results, _ = worked
    _, seen = results[0]
    assert seen == {
        KEY: "from the secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
        "MLFLOW_TRACKING_PASSWORD": None,
    }


def test_no_pod_but_the_steps_is_left_when_the_engine_is_closed(worked):
    _, left = worked
    assert left == ["step"]


@pytest.mark.usefixtures("worked")
def test_no_value_of_a_secret_is_in_any_object(operated):
    kinds = (*DASK, "deployments", "pods", "services", "events")
    made = [thing for kind in kinds for thing in operated.history(kind)]
    assert len(made) > 5
    assert "from the secret" not in json.dumps(made)


@pytest.mark.usefixtures("worked")
def test_what_is_made_is_valid_by_the_operators_own_schemas(operated):
    clusters, groups = operated.history("daskclusters"), operated.history("daskworkergroups")
    assert clusters
    assert groups
    assert [fault for thing in [*clusters, *groups] for fault in crd_errors(thing)] == []


@pytest.mark.usefixtures("worked")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["deployments", "services"])
def test_what_the_operator_makes_of_it_is_valid_for_kubernetes(operated, kind, version):
    made = operated.history(kind)
    assert made
    assert [fault for thing in made for fault in kubernetes_errors(thing, version)] == []


@pytest.mark.usefixtures("worked")
def test_every_pod_says_whose_it_is(operated):
    made = [pod["metadata"]["labels"] for pod in operated.history("pods") if pod["metadata"]["name"] != "step"]
    assert {labels["dask.org/component"] for labels in made} == {"scheduler", "worker"}
    assert {labels["app.kubernetes.io/part-of"] for labels in made} == {"lstfill"}
    assert {labels["lstfill/run-id"] for labels in made} == {RUN}


def test_a_cluster_grows_with_its_load(in_pod):
    with compute.cluster(pods(minimum=1, maximum=3)) as engine:
        seen = set()
        # Six in flight, of three seconds each: one worker alone would take longer than the scheduler's aim of 5 s.
        for pid, _ in engine.map(process_and_environment_slowly, range(30)):
            seen.add(pid)
            if len(seen) > 1:
                break
        (autoscaler,) = in_pod.objects("daskautoscalers")
    assert len(seen) == 2
    assert crd_errors(autoscaler) == []
    assert autoscaler["spec"] == {"cluster": autoscaler["metadata"]["name"], "minimum": 1, "maximum": 3}
    gone(in_pod)


def process_and_environment_slowly(item):
    time.sleep(2.8)
    return process_and_environment(item)


def test_a_chunk_that_ends_its_worker_again_and_again_is_named(in_pod):
    with (
        pytest.raises(LstfillError, match=r"were lost again and again on the same chunk .*cluster\.memory"),
        compute.cluster(pods(workers=1)) as engine,
    ):
        list(engine.map(lose, [0]))
    gone(in_pod)


@pytest.fixture
def step(in_pod, tmp_path):
    """A step in a process of its own, at work; by the seconds after which its cluster counts as idle."""
    started = []

    def start(idle_timeout_s):
        options = json.dumps({"workers": 1, "idle_timeout_s": idle_timeout_s})
        command = [sys.executable, "-m", "tests.compute.kubernetes.step_process", in_pod.url]
        command += [str(tmp_path / "serviceaccount"), options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "at work\n", process.stderr.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_step_that_is_told_to_end_removes_its_cluster_first(in_pod, step):
    process = step(idle_timeout_s=300)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert [pod["metadata"]["name"] for pod in in_pod.objects("pods")] == ["step"]
    gone(in_pod)


def test_the_operator_removes_what_is_idle_after_a_killed_step_and_not_before(in_pod, step):
    process = step(idle_timeout_s=2)
    time.sleep(4)
    assert process.poll() is None
    assert in_pod.objects("daskclusters")
    process.kill()
    process.wait()
    gone(in_pod, timeout_s=20)


def test_with_the_pod_of_a_killed_step_its_cluster_goes(in_pod, step):
    process = step(idle_timeout_s=300)
    (cluster,) = in_pod.objects("daskclusters")
    assert [owner["name"] for owner in cluster["metadata"]["ownerReferences"]] == ["step"]
    process.kill()
    process.wait()
    in_pod.delete("v1", "pods", "step")
    gone(in_pod)


def test_outside_of_a_pod_the_image_must_be_given(operated):
    with pytest.raises(ConfigError, match=r"cluster\.image None outside of a pod"), compute.cluster(pods()):
        pass
    assert operated.objects("daskclusters") == []
