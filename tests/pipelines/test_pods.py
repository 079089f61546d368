"""What Kubernetes tells of a run, by its real client: from a kubeconfig to a message."""

from __future__ import annotations

import json
import logging

import pytest

from lstfill.steps.task import EVENT
from pipelines import pods
from pipelines.pods import Obstacle, cluster
from tests.pipelines.kfp_api import alone, serving
from tests.pipelines.kubernetes_api import TOKEN, Handler, Kubernetes

RUN = "0b544c40-270a-4d18-8d60-22ee399234c2"
QUOTA = (
    'pods "lstfill-x7k2p-system-container-impl-1" is forbidden: exceeded quota: small, requested: limits.memory=4Gi, '
    "used: limits.memory=7Gi, limited: limits.memory=8Gi"
)


@pytest.fixture
def kube(monkeypatch, tmp_path):
    alone(monkeypatch)
    with serving(Kubernetes(run_id=RUN), Handler) as kube:
        monkeypatch.setenv("KUBECONFIG", kube.kubeconfig(tmp_path / "config"))
        yield kube


def obstacles():
    return cluster("kubeflow").obstacles(RUN)


class TestObstacles:
    def test_none(self, kube):
        kube.add_pod("ingest", {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]})
        kube.add_node("ingest", "Running", "")
        assert obstacles() == []
        assert kube.selectors == {f"pipeline/runid={RUN}"}

    @pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
    def test_an_image_that_is_not_there(self, kube, reason):
        kube.add_waiting("ingest", reason, "manifest unknown", "registry.example.org/lstfill-python:9")
        (found,) = obstacles()
        assert (found.step, found.kind, found.stays) == ("ingest", "image", True)
        assert f"the image registry.example.org/lstfill-python:9 cannot be pulled ({reason}: manifest unknown)" in str(
            found
        )
        assert "--registry and --tag" in str(found)

    def test_a_secret_that_is_not_there(self, kube):
        kube.add_waiting("ingest", "CreateContainerConfigError", 'secret "lstfill-s3" not found', "x:1")
        (found,) = obstacles()
        assert str(found) == (
            'ingest: the container cannot be made: secret "lstfill-s3" not found. '
            "Make it in namespace kubeflow, or name another in the platform settings"
        )

    def test_a_container_that_does_not_start(self, kube):
        kube.add_waiting("train", "CreateContainerError", "no such file: python3", "x:1")
        (found,) = obstacles()
        assert str(found).startswith(
            "train: the container does not start (CreateContainerError: no such file: python3)"
        )

    def test_an_init_container_counts(self, kube):
        state = {"waiting": {"reason": "ErrImagePull", "message": "denied"}}
        kube.add_pod("mask", {"phase": "Pending", "initContainerStatuses": [{"name": "kfp-launcher", "state": state}]})
        assert [found.kind for found in obstacles()] == ["image"]

    def test_no_room_on_the_nodes_can_pass(self, kube):
        condition = {
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient memory.",
        }  # fmt: skip
        kube.add_pod("train", {"phase": "Pending", "conditions": [condition]})
        (found,) = obstacles()
        assert (found.kind, found.stays) == ("nodes", False)
        assert "no node takes the pod: 0/1 nodes are available: 1 Insufficient memory. Add nodes" in str(found)

    def test_a_quota_is_known_to_the_workflow_alone(self, kube):
        kube.add_node("train", "Pending", QUOTA)
        (found,) = obstacles()
        assert (found.step, found.kind, found.stays) == ("train", "quota", True)
        assert "exceeded quota: small, requested: limits.memory=4Gi" in str(found)
        assert "namespace kubeflow to end, raise the quota, or lower the step's requests" in str(found)

    def test_a_quota_that_wants_limits_of_every_pod(self, kube):
        kube.add_node("ingest", "Pending", 'pods "x" is forbidden: failed quota: small: must specify limits.cpu')
        assert [found.kind for found in obstacles()] == ["quota"]

    def test_what_pod_and_workflow_both_say_is_said_once(self, kube):
        kube.add_waiting("ingest", "ImagePullBackOff", "Back-off pulling image", "x:1")
        kube.add_node("ingest", "Pending", 'ImagePullBackOff: Back-off pulling image "x:1"')
        assert len(obstacles()) == 1

    def test_the_workflow_suffices_where_pods_are_not_shown(self, kube):
        kube.allowed = ("workflows",)
        kube.add_waiting("ingest", "ImagePullBackOff", "Back-off pulling image", "x:1")
        kube.add_node("ingest", "Pending", 'ImagePullBackOff: Back-off pulling image "x:1"')
        assert obstacles()[0].message.startswith(
            'the image cannot be pulled (ImagePullBackOff: Back-off pulling image "x:1")'
        )

    def test_a_message_of_an_ordinary_wait_is_none(self, kube):
        kube.add_node("ingest", "Pending", "PodInitializing")
        kube.add_waiting("ingest", "ContainerCreating", "", "x:1")
        assert obstacles() == []

    def test_drivers_belong_to_their_step_and_the_first_to_the_run(self, kube):
        for name in ("lstfill-x7k2p.root.mask-driver", "lstfill-x7k2p.root-driver"):
            kube.nodes.append({"name": name, "type": "Pod", "phase": "Pending", "message": QUOTA})
        assert [found.step for found in obstacles()] == ["mask", "the run"]

    def test_long_messages_are_cut(self, kube):
        kube.add_waiting("ingest", "ErrImagePull", "x\n" * 1000, "x:1")
        assert len(str(obstacles()[0])) < 600


class TestCauses:
    def causes(self):
        return cluster("kubeflow").causes(RUN)

    def ended(self, reason, code):
        state = {"terminated": {"reason": reason, "exitCode": code}}
        return {"phase": "Failed", "containerStatuses": [{"name": "main", "state": state}]}

    def test_a_step_s_own_message_from_its_log(self, kube):
        event = json.dumps({"step": "split", "error": "the test part is empty: take smaller blocks"})
        name = kube.add_pod("split", self.ended("Error", 1))
        kube.logs[name] = f"[KFP] begins\nINFO:lstfill.steps.task:{EVENT}{event}\nTraceback (most recent call last):\n"
        kube.add_node("split", "Failed", "Error (exit code 1)")
        assert self.causes() == {"split": "the test part is empty: take smaller blocks"}

    def test_of_several_attempts_the_last(self, kube):
        for attempt, message in ((1, "the last"), (0, "the first")):
            name = kube.add_pod("ingest", self.ended("Error", 1), attempt=attempt)
            kube.logs[name] = f"{EVENT}{json.dumps({'step': 'ingest', 'error': message})}\n"
        assert self.causes() == {"ingest": "the last"}

    def test_an_attempt_that_failed_is_no_cause_once_another_succeeded(self, kube):
        for number, (phase, code) in enumerate((("Failed", 1), ("Succeeded", 0))):
            kube.add_pod("ingest", {**self.ended("Error", code), "phase": phase}, attempt=number)
            kube.add_node("ingest", phase, "Error (exit code 1)" if code else "", attempt=number)
        kube.add_node("mask", "Failed", "Error (exit code 1)")
        assert self.causes() == {"mask": "Error (exit code 1)"}

    def test_a_log_that_is_cut_off_in_the_event(self, kube):
        name = kube.add_pod("ingest", self.ended("Error", 1))
        kube.logs[name] = f'{EVENT}{{"step": "ing'
        kube.add_node("ingest", "Failed", "Error (exit code 1)")
        assert self.causes() == {"ingest": "Error (exit code 1)"}

    def test_out_of_memory_leaves_no_message_of_its_own(self, kube):
        kube.add_pod("mask", self.ended("OOMKilled", 137))
        kube.add_node("mask", "Failed", "OOMKilled (exit code 137)")
        assert self.causes() == {"mask": "out of memory: raise memory_limit of the step in the platform settings"}

    def test_an_evicted_pod(self, kube):
        kube.add_pod("mask", {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."})
        assert self.causes() == {"mask": "The node was low on memory."}

    def test_the_workflow_where_the_pods_are_gone(self, kube):
        kube.add_node("train", "Error", QUOTA)
        kube.add_node("train", "Failed", "child 'x' failed", kind="DAG")
        assert self.causes() == {"train": QUOTA}

    def test_at_least_that_it_failed(self, kube):
        kube.allowed = ("pods",)
        kube.add_pod("train", self.ended("Error", 1))
        assert self.causes() == {"train": "its pod failed"}


class TestAccess:
    """Without Kubernetes nothing is lost but this."""

    def test_no_kubeconfig_and_no_pod(self, monkeypatch, tmp_path, capfd):
        alone(monkeypatch)
        monkeypatch.delenv("KUBECONFIG")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cluster("kubeflow") is None
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("text", ["", "not: a config", "[1, 2]", "a: b: c", "current-context: x"])
    def test_a_kubeconfig_that_is_none(self, monkeypatch, tmp_path, capfd, text):
        (tmp_path / "config").write_text(text)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        assert cluster("kubeflow") is None
        assert capfd.readouterr() == ("", "")

    def test_several_files_in_one_variable(self, kube, monkeypatch, tmp_path):
        monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{tmp_path / 'config'}")
        kube.add_node("train", "Pending", QUOTA)
        assert len(obstacles()) == 1

    def test_nothing_may_be_read(self, kube, caplog):
        kube.allowed = ()
        kube.add_waiting("ingest", "ErrImagePull", "", "x:1")
        with caplog.at_level(logging.INFO):
            assert obstacles() == []
            assert cluster("kubeflow").causes(RUN) == {}
        assert "Kubernetes does not show /api/v1/namespaces/kubeflow/pods (403)" in caplog.text
        assert TOKEN not in caplog.text

    @pytest.mark.parametrize("page", ["<html>Sign in</html>", "[]", '{"items": null}'])
    def test_a_proxy_in_between(self, kube, page):
        kube.answer = lambda *_: (200, page)
        assert obstacles() == []
        assert cluster("kubeflow").causes(RUN) == {}

    def test_another_namespace(self, kube):
        kube.add_waiting("ingest", "ErrImagePull", "", "x:1")
        assert cluster("science").obstacles(RUN) == []

    def test_nobody_there(self, monkeypatch, tmp_path, caplog, capfd):
        alone(monkeypatch)
        monkeypatch.setattr(pods, "TIMEOUT_S", (1, 1))
        monkeypatch.setenv("KUBECONFIG", Kubernetes(host="http://127.0.0.1:1").kubeconfig(tmp_path / "config"))
        found = cluster("kubeflow")
        with caplog.at_level(logging.WARNING):
            assert found.obstacles(RUN) == []
        assert caplog.text == ""
        assert capfd.readouterr() == ("", "")


def test_an_obstacle_says_its_step():
    assert str(Obstacle("ingest", "image", "is missing")) == "ingest: is missing"
