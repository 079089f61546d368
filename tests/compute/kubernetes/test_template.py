import copy
import re

import pytest

from lstfill.compute.kubernetes import template
from tests.compute.kubernetes.pods import IMAGE, KEY, RUN, step_pod
from tests.kubernetes.schemas import VERSIONS, kubernetes_errors

LONGEST_SUFFIX = "-default-worker-0123456789"


def made(image=None, owned=True, **spec):
    pod = step_pod()
    pod["spec"] |= spec
    return template.like(pod, image, owned=owned)


def test_the_pod_of_these_tests_is_one_that_kubernetes_takes():
    assert [kubernetes_errors(step_pod(), version) for version in VERSIONS] == [[]] * len(VERSIONS)


def test_image_and_policy_are_those_of_the_steps_container_not_of_a_sidecar():
    assert made().image == IMAGE
    assert made().container["imagePullPolicy"] == "IfNotPresent"
    assert made(image="other:1").image == "other:1"


def test_without_a_named_container_the_first_one_is_the_steps():
    pod = step_pod()
    pod["metadata"]["annotations"] = {}
    pod["spec"]["containers"] = [{"name": "step", "image": "job:1"}, {"name": "proxy", "image": "proxy:1"}]
    assert template.like(pod, None, owned=True).image == "job:1"


def test_variables_of_the_store_are_handed_on_as_references_and_no_others():
    env = {entry["name"]: entry for entry in made().container["env"]}
    assert set(env) == {KEY, "LSTFILL_S3_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED"}
    assert env[KEY]["valueFrom"] == {"secretKeyRef": {"name": "lstfill-s3", "key": KEY}}


def test_sources_of_variables_are_handed_on():
    pod = step_pod()
    pod["spec"]["containers"][1]["envFrom"] = [{"secretRef": {"name": "lstfill-s3"}}]
    assert template.like(pod, None, owned=True).container["envFrom"] == [{"secretRef": {"name": "lstfill-s3"}}]


def test_where_the_step_may_run_its_workers_may():
    kept = ("serviceAccountName", "imagePullSecrets", "tolerations", "nodeSelector")
    assert {name: made().pod[name] for name in kept} == {name: step_pod()["spec"][name] for name in kept}


def test_the_user_is_the_steps_and_nothing_else_of_its_security():
    assert made().container["securityContext"] == {"runAsUser": 10001, "runAsGroup": 0}
    assert made().pod["securityContext"] == {}
    assert made(securityContext={"runAsUser": 7}).pod["securityContext"] == {"runAsUser": 7}


def test_root_is_not_handed_on():
    assert made(securityContext={"runAsUser": 0, "runAsGroup": 5}).pod["securityContext"] == {}


def test_the_owner_is_the_pod_in_its_own_namespace_only():
    metadata = step_pod()["metadata"]
    assert made().owner == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": False,
        "blockOwnerDeletion": False,
    }
    assert made(owned=False).owner is None


def test_the_name_says_the_run_and_is_never_used_twice():
    names = {made().name for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith(f"lstfill-{RUN[:8]}-") for name in names)
    assert made().labels == {"app.kubernetes.io/part-of": "lstfill", "lstfill/run-id": RUN}


@pytest.mark.parametrize("run", [RUN, "", "Run_With.Odd/Letters", "ÄÖ", "x" * 200])
def test_a_name_fits_dns_with_all_that_the_operator_appends(run):
    pod = step_pod()
    pod["metadata"]["labels"] = {"pipeline/runid": run}
    name = template.like(pod, None, owned=True).name
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name + LONGEST_SUFFIX) <= 63


def test_a_pod_without_labels_or_security_will_do():
    pod = step_pod()
    del pod["metadata"]["labels"], pod["metadata"]["annotations"], pod["spec"]["securityContext"]
    found = template.like(pod, None, owned=True)
    assert found.labels == {"app.kubernetes.io/part-of": "lstfill"}


def test_the_pod_is_not_changed():
    pod = step_pod()
    before = copy.deepcopy(pod)
    template.like(pod, None, owned=True)
    assert pod == before


def test_without_a_pod_the_store_is_that_of_the_manifests():
    found = template.without_pod("here:1")
    names = [entry["name"] for entry in found.container["env"]]
    assert names == [
        "LSTFILL_S3_ACCESS_KEY_ID",
        "LSTFILL_S3_SECRET_ACCESS_KEY",
        "LSTFILL_S3_ENDPOINT_URL",
        "LSTFILL_S3_REGION",
    ]
    holders = {next(iter(entry["valueFrom"].values()))["name"] for entry in found.container["env"]}
    assert holders == {"lstfill-s3", "lstfill"}
    assert (found.image, found.owner) == ("here:1", None)


@pytest.fixture
def account(tmp_path, monkeypatch):
    (tmp_path / "namespace").write_text("science\n")
    monkeypatch.setattr(template, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.delenv("KFP_POD_NAME", raising=False)


def test_outside_of_kubernetes_there_is_no_pod(tmp_path, monkeypatch):
    monkeypatch.setattr(template, "SERVICE_ACCOUNT", tmp_path / "none")
    monkeypatch.setenv("KFP_POD_NAME", "one")
    assert template.own_pod_name() is None
    assert template.own_namespace() is None


@pytest.mark.usefixtures("account")
def test_a_pods_name_is_what_kubeflow_says_or_else_the_hosts(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "cut-at-63")
    assert template.own_pod_name() == "cut-at-63"
    monkeypatch.setenv("KFP_POD_NAME", "the-whole-name")
    assert template.own_pod_name() == "the-whole-name"
    assert template.own_namespace() == "science"
