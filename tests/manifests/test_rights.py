"""What the accounts may do: all that Dask and its operator ask for, and nothing that opens the namespace."""

from __future__ import annotations

import importlib.resources
import re

import pytest
import yaml

from tests.manifests.rendering import folders, name_of, of_kind

DASK = "kubernetes.dask.org"
# What opening, watching and closing a cluster sends to the API, by group and resource.
ASKED = {
    (DASK, "daskclusters"): {"get", "list", "watch", "create", "patch", "delete"},
    (DASK, "daskworkergroups"): {"get", "list", "watch", "patch"},
    (DASK, "daskautoscalers"): {"get", "create", "patch", "delete"},
    ("", "pods"): {"get", "list", "watch"},
    ("", "pods/log"): {"get"},
    ("", "services"): {"get", "list", "watch"},
    ("", "events"): {"list"},
}
# Granted by the operator's own chart, and left out here: other operators, web hooks, the whole cluster, and parts of
# objects that are written with the objects themselves.
LEFT_OUT = {"clusterkopfpeerings", "customresourcedefinitions", "namespaces", "validatingwebhookconfigurations"}
LEFT_OUT |= {"mutatingwebhookconfigurations", "pods/status", "services/status", "deployments/status"}


def granted(role):
    """Verbs by group and resource."""
    found = {}
    for rule in role["rules"]:
        for key in ((group, resource) for group in rule["apiGroups"] for resource in rule["resources"]):
            found.setdefault(key, set()).update(rule["verbs"])
    return found


def role(things, name, kind="Role"):
    (found,) = [thing for thing in of_kind(things, kind) if thing["metadata"]["name"] == name]
    return granted(found)


def charted():
    """Group and resource of all that the chart of the operator grants it in one namespace."""
    chart = "operator/deployment/helm/dask-kubernetes-operator/templates/role.yaml"
    text = importlib.resources.files("dask_kubernetes").joinpath(chart).read_text()
    return set(granted(yaml.safe_load(re.sub(r"\{\{.*?\}\}", "", text))))


class TestDaskUser:
    @pytest.fixture
    def rights(self, kind):
        return role(kind, "lstfill-dask-user")

    def test_may_do_all_that_a_cluster_asks_for(self, rights):
        for key, verbs in ASKED.items():
            assert verbs <= rights.get(key, set()), key

    def test_may_not_change_pods_or_read_secrets(self, rights):
        assert set(rights) == set(ASKED)
        assert rights[("", "pods")] == {"get", "list", "watch"}

    def test_is_the_account_of_the_runs(self, kind):
        (binding,) = [
            thing for thing in of_kind(kind, "RoleBinding") if thing["metadata"]["name"] == "lstfill-dask-user"
        ]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "pipeline-runner", "namespace": "kubeflow"}]

    def test_has_the_same_rights_in_a_profile(self, all_rendered, rights):
        assert role(all_rendered["components/multi-user"], "lstfill-dask-user", "ClusterRole") == rights


class TestOperator:
    @pytest.fixture
    def rights(self, kind):
        return role(kind, "dask-operator")

    def test_may_do_all_that_its_chart_grants_in_a_namespace(self, rights):
        missing = {(group, resource) for group, resource in charted() - set(rights) if resource not in LEFT_OUT}
        assert missing == set()
        made = {("", "pods"), ("", "services"), ("apps", "deployments"), (DASK, "daskworkergroups")}
        for key in made:
            assert {"get", "list", "watch", "create", "patch", "delete"} <= rights[key], key

    def test_reads_no_secret(self, rights):
        assert not [resource for _, resource in rights if resource in ("secrets", "configmaps", "*")]

    def test_serves_the_namespace_that_it_is_in(self, kind):
        assert self.arguments(kind)[0] == "--namespace=$(POD_NAMESPACE)"

    def test_serves_all_of_them_where_there_are_profiles(self, all_rendered, rights):
        things = all_rendered["components/multi-user"]
        assert self.arguments(things)[0] == "--all-namespaces"
        everywhere = role(things, "lstfill-dask-operator", "ClusterRole")
        assert {key: everywhere[key] for key in rights} == rights
        assert set(everywhere) - set(rights) == {
            ("", "namespaces"),
            ("apiextensions.k8s.io", "customresourcedefinitions"),
        }

    def arguments(self, things):
        (thing,) = [thing for thing in of_kind(things, "Deployment") if thing["metadata"]["name"] == "dask-operator"]
        return thing["spec"]["template"]["spec"]["containers"][0]["args"]

    def test_its_program_takes_the_options(self, kind):
        from click.testing import CliRunner
        from kopf.cli import main

        known = CliRunner().invoke(main, ["run", "--help"]).output
        assert all(option.partition("=")[0] in known for option in [*self.arguments(kind), "--all-namespaces"])

    def test_its_module_is_there(self, kind):
        (module,) = [word.partition("=")[2] for word in self.arguments(kind) if word.startswith("--module=")]
        assert importlib.util.find_spec(module)


@pytest.mark.parametrize("folder", folders("Kustomization") + folders("Component"))
class TestEveryRole:
    def test_names_its_verbs_and_resources(self, all_rendered, folder):
        for thing in of_kind(all_rendered[folder], "Role", "ClusterRole"):
            for (group, resource), verbs in granted(thing).items():
                assert "*" not in {group, resource, *verbs}, name_of(thing)

    def test_is_bound_to_an_account_that_is_there(self, all_rendered, folder):
        things = all_rendered[folder]
        accounts = {thing["metadata"]["name"] for thing in of_kind(things, "ServiceAccount")} | {"pipeline-runner"}
        roles = {name_of(thing) for thing in of_kind(things, "Role", "ClusterRole")}
        for binding in of_kind(things, "RoleBinding", "ClusterRoleBinding"):
            assert f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}" in roles, name_of(binding)
            assert {subject["name"] for subject in binding["subjects"]} <= accounts, name_of(binding)
