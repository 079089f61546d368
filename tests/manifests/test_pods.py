"""What every pod of ours keeps to: restricted rights, bounded resources, probes, fixed images, no secret in sight."""

from __future__ import annotations

import re

import pytest

from tests.manifests.rendering import folders, pods

FOLDERS = folders("Kustomization") + folders("Component")
FIXED = re.compile(r"[^\s:@]+(:\d+/[^\s:@]+)?:(?!latest)\w[\w.-]*(@sha256:[0-9a-f]{64})?")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
SERVERS = {"Deployment", "StatefulSet"}


@pytest.fixture(params=FOLDERS)
def templates(request, all_rendered):
    return pods(all_rendered[request.param])


@pytest.fixture
def containers(templates):
    return [(f"{of.owner} {container['name']}", container) for of in templates for container in of.containers]


def test_there_are_pods(all_rendered):
    assert {of.owner for of in pods(all_rendered["overlays/kind"])} == {
        "Deployment/dask-operator",
        "Deployment/mlflow",
        "StatefulSet/mlflow-postgres",
        "Job/lstfill-buckets",
        "Job/lstfill-demo-cube",
    }
    assert {of.owner for of in pods(all_rendered["overlays/production"])} == {
        "Deployment/dask-operator",
        "Deployment/mlflow",
        "Deployment/xcube",
    }


class TestRights:
    """The profile `restricted` of Kubernetes' pod security standards, and more."""

    def test_a_pod_runs_as_a_numbered_user_that_is_not_root(self, templates):
        for of in templates:
            context = of.spec["securityContext"]
            assert context["runAsNonRoot"] is True, of.owner
            assert context["runAsUser"] > 0, of.owner
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, of.owner

    def test_a_container_gains_no_right_and_writes_no_image(self, containers):
        for name, container in containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name

    def test_it_can_write_its_temporary_files(self, templates):
        for of in templates:
            empty = {volume["name"] for volume in of.spec["volumes"] if "emptyDir" in volume}
            for container in of.containers:
                mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
                assert mounted.get("/tmp") in empty, of.owner  # noqa: S108

    def test_it_reaches_into_no_node(self, templates):
        for of in templates:
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(of.spec), of.owner
            kinds = {kind for volume in of.spec["volumes"] for kind in volume if kind != "name"}
            assert kinds <= {"emptyDir", "configMap", "secret", "persistentVolumeClaim", "projected"}, of.owner
            for container in of.containers:
                assert not any("hostPort" in port for port in container.get("ports", [])), of.owner

    def test_only_the_operator_has_an_account(self, templates):
        for of in templates:
            if of.owner == "Deployment/dask-operator":
                assert of.spec["serviceAccountName"] == "dask-operator"
            else:
                assert of.spec["automountServiceAccountToken"] is False, of.owner
                assert "serviceAccountName" not in of.spec, of.owner

    def test_services_of_the_namespace_set_no_variables(self, templates):
        assert all(of.spec["enableServiceLinks"] is False for of in templates)


class TestResources:
    def test_are_asked_for_and_bounded(self, containers):
        for name, container in containers:
            for kind in ("requests", "limits"):
                assert set(container["resources"][kind]) == {"cpu", "memory"}, f"{name} {kind}"

    def test_a_server_is_probed_in_all_three_ways(self, templates):
        for of in templates:
            for container in of.spec["containers"]:
                probes = {key for key in container if key.endswith("Probe")}
                wanted = {"startupProbe", "readinessProbe", "livenessProbe"} if of.kind in SERVERS else set()
                assert probes == wanted, of.owner

    def test_a_start_may_take_a_minute_or_more(self, templates):
        for of in templates:
            for container in of.spec["containers"] if of.kind in SERVERS else []:
                probe = container["startupProbe"]
                assert probe["periodSeconds"] * probe["failureThreshold"] >= 60, of.owner

    def test_a_job_ends(self, all_rendered):
        for things in all_rendered.values():
            for thing in (thing for thing in things if thing["kind"] == "Job"):
                spec = thing["spec"]
                assert spec["activeDeadlineSeconds"] <= 1800
                assert spec["ttlSecondsAfterFinished"] > 0
                assert 0 < spec["backoffLimit"] <= 20


class TestImages:
    def test_have_a_fixed_tag(self, containers):
        for name, container in containers:
            assert FIXED.fullmatch(container["image"]), f"{name} {container['image']}"
            assert container["imagePullPolicy"] == "IfNotPresent", name

    @pytest.mark.parametrize("image", ["a/b", "a/b:latest", "a:5000/b", "a/b:"])
    def test_the_rule_refuses_others(self, image):
        assert not FIXED.fullmatch(image)


class TestSecrets:
    def test_no_variable_holds_one(self, containers):
        for name, container in containers:
            for variable in container.get("env", []):
                if SECRET_NAME.search(variable["name"]):
                    assert "value" not in variable, f"{name} {variable['name']}"

    def test_no_command_holds_one(self, containers):
        for name, container in containers:
            words = [*container.get("command", []), *container.get("args", [])]
            assert not [word for word in words if re.search(r"://[^/\s]*:[^/\s]*@|password=", word)], name
