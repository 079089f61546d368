"""Services lead to pods, policies and budgets select some, and the ports of the node are those of kind.yaml."""

from __future__ import annotations

import re

import pytest
import yaml
from dask_kubernetes.operator.controller import controller

from tests.manifests.rendering import MANIFESTS, folders, name_of, of_kind, pods, selects

FOLDERS = folders("Kustomization") + folders("Component")
FIELDS = {"NetworkPolicy": "podSelector", "PodDisruptionBudget": "selector"}


@pytest.fixture(scope="module")
def dask():
    """Labels of the pods that the operator makes for a cluster of ours, by what they are."""
    ours = {"app.kubernetes.io/part-of": "lstfill"}
    scheduler = controller.build_scheduler_deployment_spec("c", {}, {}, ours)
    worker = controller.build_worker_deployment_spec("c-default", "kubeflow", "c", "u", {"containers": []}, {}, ours)
    return {
        name: made["spec"]["template"]["metadata"]["labels"]
        for name, made in {"scheduler": scheduler, "worker": worker}.items()
    }


@pytest.fixture(scope="module")
def mapped():
    """Ports of the node that kind.yaml brings to this machine."""
    (node,) = yaml.safe_load((MANIFESTS / "kind.yaml").read_text())["nodes"]
    return {entry["containerPort"]: entry for entry in node["extraPortMappings"]}


def policy(things, name):
    (found,) = [thing for thing in of_kind(things, "NetworkPolicy") if thing["metadata"]["name"] == name]
    return found["spec"]


def applying(things, labels):
    """Names of the policies for pods with some labels."""
    return {
        thing["metadata"]["name"]
        for thing in of_kind(things, "NetworkPolicy")
        if selects(thing["spec"]["podSelector"], labels)
    }


@pytest.mark.parametrize("folder", FOLDERS)
class TestSelectors:
    def test_workloads_select_their_own_pods(self, all_rendered, folder):
        for thing in of_kind(all_rendered[folder], "Deployment", "StatefulSet"):
            labels = thing["spec"]["template"]["metadata"]["labels"]
            assert selects(thing["spec"]["selector"], labels), name_of(thing)

    def test_services_lead_to_ports_of_pods(self, all_rendered, folder):
        there = pods(all_rendered[folder], ours=False)
        for service in of_kind(all_rendered[folder], "Service"):
            behind = [of for of in there if selects({"matchLabels": service["spec"]["selector"]}, of.labels)]
            assert len(behind) == 1, name_of(service)
            open_ports = [port for container in behind[0].containers for port in container.get("ports", [])]
            known = {port["containerPort"] for port in open_ports} | {port.get("name") for port in open_ports}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= known, name_of(service)

    def test_policies_and_budgets_select_pods(self, all_rendered, dask, folder):
        labels = [of.labels for of in pods(all_rendered[folder], ours=False)] + list(dask.values())
        for thing in of_kind(all_rendered[folder], *FIELDS):
            alone = folder == "base/policy" and thing["metadata"]["name"] == "lstfill-default"
            found = [of for of in labels if selects(thing["spec"][FIELDS[thing["kind"]]], of)]
            assert found or alone, name_of(thing)

    def test_policies_name_ports_that_pods_have(self, all_rendered, folder):
        for thing in of_kind(all_rendered[folder], "NetworkPolicy"):
            chosen = [
                of for of in pods(all_rendered[folder], ours=False) if selects(thing["spec"]["podSelector"], of.labels)
            ]
            names = {port.get("name") for of in chosen for c in of.containers for port in c.get("ports", [])}
            wanted = {
                port["port"]
                for rule in thing["spec"].get("ingress", [])
                for port in rule.get("ports", [])
                if isinstance(port["port"], str)
            }
            assert wanted <= names, name_of(thing)


class TestPolicies:
    @pytest.mark.parametrize("overlay", ["kind", "production"])
    def test_every_pod_of_ours_is_closed_unless_a_policy_opens_it(self, request, overlay):
        things = request.getfixturevalue(overlay)
        for of in pods(things):
            assert "lstfill-default" in applying(things, of.labels), of.owner
        assert policy(things, "lstfill-default")["ingress"] == []

    def test_servers_are_opened_by_a_policy_of_their_own(self, production, kind):
        opened = {
            "Deployment/dask-operator": {"lstfill-default", "dask-operator"},
            "Deployment/mlflow": {"lstfill-default", "mlflow", "mlflow-ingress"},
            "Deployment/xcube": {"lstfill-default", "xcube"},
        }
        assert {of.owner: applying(production, of.labels) for of in pods(production)} == opened
        of_kind_overlay = {of.owner: applying(kind, of.labels) for of in pods(kind)}
        assert of_kind_overlay["StatefulSet/mlflow-postgres"] == {"lstfill-default", "mlflow-postgres"}
        assert of_kind_overlay["Job/lstfill-buckets"] == {"lstfill-default"}

    def test_a_scheduler_is_reached_by_pods_of_the_namespace_at_its_two_ports(self, kind, dask):
        assert applying(kind, dask["scheduler"]) == {"lstfill-default", "dask-scheduler"}
        (rule,) = policy(kind, "dask-scheduler")["ingress"]
        assert rule["from"] == [{"podSelector": {}}]
        assert [port["port"] for port in rule["ports"]] == [8786, 8787]

    def test_a_worker_is_reached_by_dask_alone_at_any_port(self, kind, dask):
        assert applying(kind, dask["worker"]) == {"lstfill-default", "dask-worker"}
        (rule,) = policy(kind, "dask-worker")["ingress"]
        assert "ports" not in rule
        ((who,),) = [list(source.values()) for source in rule["from"]]
        assert all(selects(who, labels) for labels in dask.values())
        assert not any(selects(who, of.labels) for of in pods(kind, ours=False))

    def test_a_drained_node_spares_schedulers_and_not_workers(self, kind, dask):
        (budget,) = [
            thing for thing in of_kind(kind, "PodDisruptionBudget") if thing["metadata"]["name"] == "dask-scheduler"
        ]
        assert selects(budget["spec"]["selector"], dask["scheduler"])
        assert not selects(budget["spec"]["selector"], dask["worker"])


class TestQuota:
    def test_bounds_what_each_pod_has_by_default(self, kind):
        (quota,) = of_kind(kind, "ResourceQuota")
        (defaults,) = of_kind(kind, "LimitRange")
        bounded = {name.removeprefix("requests.") for name in quota["spec"]["hard"] if name.startswith("requests.")}
        (limit,) = defaults["spec"]["limits"]
        assert set(limit["defaultRequest"]) == bounded == {"cpu", "memory"}
        assert not [name for name in quota["spec"]["hard"] if name.startswith("limits.")]
        assert set(limit) == {"type", "defaultRequest"}, "a default limit would be below what some pod of Kubeflow asks"

    def test_counts_the_clusters_of_dask(self, production):
        (quota,) = of_kind(production, "ResourceQuota")
        assert int(quota["spec"]["hard"]["count/daskclusters.kubernetes.dask.org"]) > 0


class TestNode:
    """kind.yaml, the Services of the overlay, and what the scripts ask."""

    def test_ports_are_those_of_the_services(self, kind, mapped):
        ports = {
            port["nodePort"]: thing["metadata"]["name"]
            for thing in of_kind(kind, "Service")
            for port in thing["spec"]["ports"]
            if "nodePort" in port
        }
        assert set(ports) == set(mapped)
        assert all(30000 <= port < 32768 for port in ports)

    def test_only_this_machine_reaches_them(self, mapped):
        assert {entry["listenAddress"] for entry in mapped.values()} == {"127.0.0.1"}
        assert len({entry["hostPort"] for entry in mapped.values()}) == len(mapped)

    def test_scripts_ask_ports_that_are_mapped(self, mapped):
        given = {entry["hostPort"] for entry in mapped.values()}
        for file in (MANIFESTS / "deploy.sh", MANIFESTS.parent / "Makefile"):
            asked = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", file.read_text())}
            assert asked
            assert asked <= given, file.name

    def test_policies_let_the_ports_of_the_node_in(self, kind):
        for name, port in (("node-seaweedfs", 8333), ("node-mlflow", "http")):
            (rule,) = policy(kind, name)["ingress"]
            assert rule["from"] == [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
            assert rule["ports"] == [{"port": port}]

    def test_production_opens_no_port_of_a_node(self, production):
        assert {thing["spec"].get("type", "ClusterIP") for thing in of_kind(production, "Service")} == {"ClusterIP"}
