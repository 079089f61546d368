"""What keeps pods from starting is told in one message, with the remedy, and nothing is left behind."""

from __future__ import annotations

import re

import pytest

from lstfill import compute
from lstfill.compute.kubernetes import waiting
from lstfill.errors import LstfillError
from tests.compute.kubernetes.pods import IMAGE, KEY, gone, pods, within_pod
from tests.kubernetes.double import running_double

ACCOUNT = 'User "system:serviceaccount:kubeflow:pipeline-runner"'
GROUP = 'in API group "kubernetes.dask.org" in the namespace "kubeflow"'


@pytest.fixture
def impatient(monkeypatch):
    """Troubles count soon, and a silent operator is missed soon."""
    monkeypatch.setattr(waiting, "GRACE_S", 0.5)
    monkeypatch.setattr(waiting, "OPERATOR_TIMEOUT_S", 1)
    monkeypatch.setattr(waiting, "POLL_S", 0.1)


@pytest.fixture
def unoperated(tmp_path, impatient):
    """A Kubernetes that knows the resources of the operator, which does not run; this process is in a pod of it."""
    with running_double(tmp_path) as double, within_pod(double, tmp_path):
        yield double


def refusal(**options):
    """The message with which opening a cluster ends, in one line."""
    with pytest.raises(LstfillError) as refused, compute.cluster(pods(**options)):
        pytest.fail("the cluster opened")
    return str(refused.value)


@pytest.mark.usefixtures("impatient")
def test_an_operator_that_is_not_installed(tmp_path):
    with running_double(tmp_path, with_operator=False) as double, within_pod(double, tmp_path):
        message = refusal()
    assert re.search(r"could not create DaskCluster lstfill-\S+: .*does not know this resource: install", message)


def test_an_operator_that_does_not_run(unoperated):
    message = refusal()
    assert re.search(r"did not notice the cluster lstfill-\S+ within 1 s: check that it runs", message)
    assert "watches namespace kubeflow" in message
    assert unoperated.objects("daskclusters") == []


@pytest.mark.parametrize(
    ("verb", "resource"), [("create", "daskclusters"), ("get", "daskclusters"), ("list", "pods"), ("get", "pods")]
)
def test_a_missing_right_is_named(unoperated, verb, resource):
    told = f'{resource} is forbidden: {ACCOUNT} cannot {verb} resource "{resource}" {GROUP}'
    # A pod is read by a list of one.
    unoperated.refuse("list" if resource == "pods" else verb, resource, 403, "Forbidden", told)
    message = refusal()
    assert f"its service account has no right to {verb} {resource}" in message
    assert "bind the Role lstfill-dask-user of manifests/base/rbac to it" in message


def test_a_quota_on_clusters(unoperated):
    quota = "exceeded quota: dask, requested: count/daskclusters.kubernetes.dask.org=1, used: 4, limited: 4"
    unoperated.refuse("create", "daskclusters", 403, "Forbidden", f"daskclusters is forbidden: {quota}")
    assert re.search(r"used: 4, limited: 4: ask for fewer or smaller workers", refusal())


def test_credentials_that_are_not_accepted(unoperated):
    unoperated.refuse("list", "pods", 401, "Unauthorized", "Unauthorized")
    assert "does not accept the credentials (Unauthorized): renew" in refusal()


def test_any_other_refusal_is_repeated(unoperated):
    unoperated.refuse("create", "daskclusters", 403, "Forbidden", 'admission webhook "policy" denied the request')
    assert 'refused with status 403: admission webhook "policy" denied the request' in refusal()


def test_a_cluster_that_cannot_be_removed_does_not_hide_why_it_failed(unoperated, caplog):
    unoperated.refuse("delete", "daskclusters", 403, "Forbidden", "no")
    assert "did not notice the cluster" in refusal()
    assert re.search(r"Dask cluster lstfill-\S+ was not removed, which its idle timeout will do", caplog.text)


def test_no_way_to_kubernetes(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    from kr8s._api import Api

    Api._instances.clear()
    assert re.search(r"no access to Kubernetes \(.*\): run in a pod .*set KUBECONFIG", refusal(image=IMAGE))


@pytest.mark.usefixtures("impatient")
class TestPodsThatDoNotStart:
    def test_an_image_that_is_not_there(self, in_pod):
        in_pod.kubelet.missing_images.add("nowhere/lstfill-python:0")
        message = refusal(image="nowhere/lstfill-python:0")
        assert "waits in ImagePullBackOff for image nowhere/lstfill-python:0" in message
        assert "check cluster.image or the step's image, and the pull secrets" in message
        gone(in_pod)

    def test_a_secret_that_is_missing(self, in_pod):
        in_pod.delete("v1", "secrets", "lstfill-s3")
        try:
            message = refusal()
        finally:
            in_pod.create("v1", "secrets", {"metadata": {"name": "lstfill-s3"}, "stringData": {KEY: "again"}})
        assert re.search(r'worker-\S+ waits in CreateContainerConfigError .*secret "lstfill-s3" not found', message)
        gone(in_pod)

    def test_a_quota_on_pods(self, in_pod):
        in_pod.kubelet.pod_quota = len(in_pod.objects("pods"))
        try:
            message = refusal()
        finally:
            in_pod.kubelet.pod_quota = None
        assert re.search(r"makes no scheduler pod \(Error creating: pods .*exceeded quota: small", message)
        gone(in_pod)

    def test_workers_that_end_by_themselves_show_their_last_words(self, in_pod, monkeypatch):
        monkeypatch.setattr(waiting, "GRACE_S", 0.2)
        monkeypatch.setattr("lstfill.compute.kubernetes.manifest._SCRATCH", "/proc/no-such-place")
        message = refusal()
        assert re.search(r"worker-\S+ (ended \d times|waits in CrashLoopBackOff)", message)
        assert "/proc/no-such-place" in message
        gone(in_pod)

    def test_pods_that_are_too_slow(self, in_pod):
        message = refusal(start_timeout_s=1)
        assert re.search(r"no (scheduler|worker) of the Dask cluster lstfill-\S+ was ready within 1 s", message)
        gone(in_pod)
