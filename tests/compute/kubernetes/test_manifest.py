import ast

import pytest
from dask.utils import parse_bytes

from lstfill.compute.kubernetes import template
from lstfill.compute.kubernetes.manifest import dask_autoscaler, dask_cluster
from tests.compute.kubernetes.pods import IMAGE, KEY, pods, step_pod
from tests.kubernetes.schemas import VERSIONS, crd_errors, kubernetes_errors

IN_POD = template.like(step_pod(), None, owned=True)
AT_LAPTOP = template.without_pod("laptop:1")
OPTIONS = {
    "plain": {},
    "sized": {"cpu": 2, "memory": "16Gi", "threads_per_worker": 2, "scheduler_cpu": "250m", "scheduler_memory": "1Gi"},
    "adaptive": {"minimum": 2, "maximum": 9},
}


def made(like=IN_POD, **options):
    return dask_cluster(pods(**options), like, "kubeflow")


def parts(cluster):
    return {name: cluster["spec"][name] for name in ("scheduler", "worker")}


def container(cluster, part):
    (only,) = cluster["spec"][part]["spec"]["containers"]
    return only


def variables(cluster, part):
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(cluster, part)["env"]}


@pytest.mark.parametrize("like", [IN_POD, AT_LAPTOP], ids=["in a pod", "at a laptop"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_it_is_valid_by_the_operators_schema(like, options):
    assert crd_errors(made(like, **options)) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("like", [IN_POD, AT_LAPTOP], ids=["in a pod", "at a laptop"])
def test_its_pods_and_service_are_valid_for_kubernetes(like, version):
    cluster = made(like)
    for name, part in parts(cluster).items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": part["spec"]}
        assert kubernetes_errors(pod, version) == []
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": parts(cluster)["scheduler"]["service"],
    }
    assert kubernetes_errors(service, version) == []


@pytest.mark.parametrize("part", ["scheduler", "worker"])
def test_pods_meet_the_restricted_standard(part):
    cluster = made()
    spec, only = cluster["spec"][part]["spec"], container(cluster, part)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "runAsUser": 10001,
        "runAsGroup": 0,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    assert only["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108


@pytest.mark.parametrize("part", ["scheduler", "worker"])
def test_pods_are_made_like_the_steps(part):
    cluster = made()
    spec, only = cluster["spec"][part]["spec"], container(cluster, part)
    assert (only["image"], only["imagePullPolicy"]) == (IMAGE, "IfNotPresent")
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["nodeSelector"] == {"pool": "dask"}
    assert spec["serviceAccountName"] == "pipeline-runner"
    assert cluster["metadata"]["ownerReferences"] == [IN_POD.owner]


def test_memory_is_asked_for_in_full_and_a_worker_knows_its_share():
    cluster = made(memory="6Gi", cpu="1500m", scheduler_memory="3Gi", scheduler_cpu=1)
    assert container(cluster, "worker")["resources"] == {
        "requests": {"cpu": "1500m", "memory": "6Gi"},
        "limits": {"memory": "6Gi"},
    }
    assert container(cluster, "scheduler")["resources"] == {
        "requests": {"cpu": "1", "memory": "3Gi"},
        "limits": {"memory": "3Gi"},
    }
    args = container(cluster, "worker")["args"]
    assert args[args.index("--memory-limit") + 1] == str(parse_bytes("6GiB")) == str(6 * 2**30)


def test_the_commands_are_those_of_this_dask():
    cluster = made(threads_per_worker=3)
    scheduler, worker = container(cluster, "scheduler")["args"], container(cluster, "worker")["args"]
    assert scheduler[:2] == ["dask", "scheduler"]
    assert worker[:2] == ["dask", "worker"]
    assert worker[worker.index("--nthreads") + 1] == "3"
    assert worker[worker.index("--name") + 1] == "$(DASK_WORKER_NAME)"


def test_the_operator_can_ask_the_scheduler_by_http():
    routes = ast.literal_eval(variables(made(), "scheduler")["DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES"])
    assert "distributed.http.scheduler.api" in routes
    assert "distributed.http.health" in routes  # the probe


def test_workers_reach_the_store_and_the_scheduler_does_not():
    cluster = made()
    assert variables(cluster, "worker")[KEY] == {"secretKeyRef": {"name": "lstfill-s3", "key": KEY}}
    assert KEY not in variables(cluster, "scheduler")


def test_a_workers_libraries_keep_to_its_threads_and_heaps():
    seen = variables(made(), "worker")
    names = ("MALLOC_ARENA_MAX", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    assert [seen[name] for name in names] == ["2", "1", "1", "1"]
    assert seen["USER"] == "lstfill"


def test_no_variable_is_named_twice():
    pod = step_pod()
    pod["spec"]["containers"][1]["env"].append({"name": "LSTFILL_WORKERS", "value": "1"})
    env = container(made(template.like(pod, None, owned=True)), "worker")["env"]
    names = [entry["name"] for entry in env]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(("options", "workers"), [({"workers": 5}, 5), ({"minimum": 2, "maximum": 9}, 2)])
def test_it_starts_with_the_workers_that_are_asked_for(options, workers):
    assert made(**options)["spec"]["worker"]["replicas"] == workers


def test_idle_pods_are_removed_by_the_operator():
    assert made(idle_timeout_s=77)["spec"]["idleTimeout"] == 77


def test_the_autoscaler_is_valid_and_belongs_to_the_cluster():
    autoscaler = dask_autoscaler(pods(minimum=2, maximum=9), IN_POD, "kubeflow")
    assert crd_errors(autoscaler) == []
    assert autoscaler["spec"] == {"cluster": IN_POD.name, "minimum": 2, "maximum": 9}
    assert autoscaler["metadata"]["namespace"] == "kubeflow"
