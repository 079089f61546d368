"""The checks of Kubernetes objects find what they are for."""

import copy

import pytest

from tests.kubernetes.schemas import VERSIONS, crd_errors, crds, kubernetes_errors

CONTAINER = {"name": "main", "image": "lstfill-python:1", "resources": {"limits": {"memory": "1Gi"}}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {"containers": [CONTAINER]}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "one", "labels": {"app": "one"}},
    "spec": {
        "selector": {"matchLabels": {"app": "one"}},
        "template": {"metadata": {"labels": {"app": "one"}}, "spec": POD["spec"]},
    },
}
AUTOSCALER = {
    "apiVersion": "kubernetes.dask.org/v1",
    "kind": "DaskAutoscaler",
    "metadata": {"name": "one"},
    "spec": {"cluster": "one", "minimum": 1, "maximum": 4},
}


def changed(thing, path, value):
    made = copy.deepcopy(thing)
    *parents, last = path
    place = made
    for part in parents:
        place = place[part]
    place[last] = value
    return made


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("thing", [POD, DEPLOYMENT], ids=["pod", "deployment"])
def test_a_valid_object_has_no_fault(thing, version):
    assert kubernetes_errors(thing, version) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelled_field_is_named_with_its_place(version):
    wrong = changed(DEPLOYMENT, ("spec", "template", "spec", "containers", 0, "imagePullPolcy"), "Never")
    (fault,) = kubernetes_errors(wrong, version)
    assert fault.startswith("spec.template.spec.containers.0:")
    assert "imagePullPolcy" in fault


def test_every_fault_is_listed():
    wrong = changed(changed(POD, ("spec", "replicas"), 1), ("spec", "containers", 0, "image"), 3)
    faults = kubernetes_errors(wrong, VERSIONS[0])
    assert len(faults) == 2
    assert any("replicas" in fault for fault in faults)
    assert any(fault.startswith("spec.containers.0.image: 3") for fault in faults)


def test_a_missing_part_is_a_fault():
    (fault,) = kubernetes_errors(changed(DEPLOYMENT, ("spec",), {"template": DEPLOYMENT["spec"]["template"]}), "1.33")
    assert "'selector' is a required property" in fault


@pytest.mark.parametrize("kind", ["Deploiment", "PodSecurityPolicy"])
def test_a_kind_that_a_version_does_not_know_is_a_fault(kind):
    assert kubernetes_errors(POD | {"kind": kind}, "1.37") == [f"Kubernetes 1.37 knows no v1 {kind}"]


def test_an_unknown_version_is_refused():
    with pytest.raises(ValueError, match=r"version '1\.2' is not one of"):
        kubernetes_errors(POD, "1.2")


def test_the_operator_brings_four_resources():
    kinds = {definition["spec"]["names"]["kind"] for definition in crds()}
    assert kinds == {"DaskCluster", "DaskWorkerGroup", "DaskAutoscaler", "DaskJob"}


def test_a_valid_dask_resource_has_no_fault():
    assert crd_errors(AUTOSCALER) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("spec", "minimum"), "one", "spec.minimum: 'one' is not of type 'integer'"),
        (("spec", "minimun"), 1, "spec: Additional properties are not allowed ('minimun' was unexpected)"),
        (
            ("metadata", "lables"),
            {},
            "metadata.(whole): Additional properties are not allowed ('lables' was unexpected)",
        ),
        (("kind",), "DaskQuota", "no Dask resource is called kubernetes.dask.org/v1 DaskQuota"),
    ],
)
def test_a_fault_of_a_dask_resource_is_named(path, value, fault):
    assert crd_errors(changed(AUTOSCALER, path, value)) == [fault]


def test_what_the_package_makes_by_default_is_not_valid():
    # Null for the environment and the resources: an API server prunes it, a strict reader refuses it.
    from dask_kubernetes.operator import make_cluster_spec

    faults = crd_errors(make_cluster_spec(name="one", image="lstfill-python:1", n_workers=1))
    assert sorted(fault.split(":")[0].rsplit(".", 1)[1] for fault in faults) == ["env", "env", "resources", "resources"]


def test_a_quantity_as_a_number_is_a_fault():
    from dask_kubernetes.operator import make_cluster_spec

    def made(cpu):
        return make_cluster_spec(name="one", image="i:1", n_workers=1, env={}, resources={"requests": {"cpu": cpu}})

    assert crd_errors(made("500m")) == []
    assert all(".requests.cpu" in fault for fault in crd_errors(made(0.5)))
    assert crd_errors(made(0.5))
