"""What objects name of each other is there: configuration, secrets, volumes, accounts, and what the tasks ask for."""

from __future__ import annotations

import base64
import re

import pytest
import yaml

from pipelines.platform import Platform
from tests.manifests.rendering import MANIFESTS, folders, name_of, of_kind, pods

OVERLAYS = ["overlays/kind", "overlays/production"]


OF_VARIABLE = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}
OF_ENVIRONMENT = {"secretRef": "Secret", "configMapRef": "ConfigMap"}


def references(spec):
    """Kind, name, key and whether it may be absent, of all that a pod reads; no key means the whole object."""
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    for entry in (entry for container in containers for entry in container.get("env", [])):
        for field, of in entry.get("valueFrom", {}).items():
            if field in OF_VARIABLE:
                yield OF_VARIABLE[field], of["name"], of["key"], of.get("optional", False)
    for source in (source for container in containers for source in container.get("envFrom", [])):
        for field, of in source.items():
            yield OF_ENVIRONMENT[field], of["name"], None, of.get("optional", False)
    yield from mounted(spec)


def mounted(spec):
    for volume in spec["volumes"]:
        for field, kind, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            if of := volume.get(field):
                yield kind, of[name], None, of.get("optional", False)


def keys_by_object(things):
    return {
        (thing["kind"], thing["metadata"]["name"]): {*thing.get("data", {}), *thing.get("stringData", {})}
        for thing in of_kind(things, "ConfigMap", "Secret")
    }


def promised(overlay):
    """Keys by secret, as the head of an overlay tells who has to make them."""
    text = (MANIFESTS / overlay / "kustomization.yaml").read_text()
    found, name = {}, None
    for line in text.splitlines():
        if told := re.match(r"#   ([a-z0-9-]+) +(.+)", line):
            name = told.group(1)
            words = told.group(2)
            if "the same names" in words:
                found[name] = {"LSTFILL_S3_ACCESS_KEY_ID", "LSTFILL_S3_SECRET_ACCESS_KEY"}
            else:
                found[name] = set(re.findall(r"[A-Z][A-Z0-9_]+|tls\.\w+", words))
    return found


class TestOverlayForALaptop:
    def test_has_all_that_its_pods_read(self, kind):
        there = keys_by_object(kind)
        for of in pods(kind):
            for what, name, key, optional in references(of.spec):
                assert optional or (what, name) in there, f"{of.owner} reads {what} {name}"
                assert optional or key is None or key in there[(what, name)], f"{of.owner} reads {key} of {name}"

    def test_has_all_that_the_tasks_ask_for(self, kind):
        there, platform = keys_by_object(kind), Platform()
        asked = [("Secret", of) for of in platform.secrets] + [("ConfigMap", of) for of in platform.config_maps]
        assert len(asked) >= 4
        for what, of in asked:
            if not of.optional:
                assert set(of.keys) <= there[(what, of.name)], of.name

    def test_gives_the_tasks_the_account_of_the_tracking_server(self, kind):
        named = {of.name: of for of in Platform().secrets}
        assert set(named["lstfill-mlflow"].keys) <= keys_by_object(kind)[("Secret", "lstfill-mlflow")]

    def test_keys_of_s3_are_those_of_kubeflows_store(self, kind):
        (secret,) = [thing for thing in of_kind(kind, "Secret") if thing["metadata"]["name"] == "lstfill-s3"]
        values = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        assert values == {"LSTFILL_S3_ACCESS_KEY_ID": "minio", "LSTFILL_S3_SECRET_ACCESS_KEY": "minio123"}

    def test_addresses_lead_to_services_of_the_namespace(self, kind):
        (settings,) = [thing for thing in of_kind(kind, "ConfigMap") if thing["metadata"]["name"] == "lstfill"]
        ports = {
            thing["metadata"]["name"]: {port["port"] for port in thing["spec"]["ports"]}
            for thing in of_kind(kind, "Service")
        }
        for key in ("LSTFILL_S3_ENDPOINT_URL", "MLFLOW_TRACKING_URI"):
            found = re.fullmatch(r"http://([a-z]+)\.kubeflow\.svc\.cluster\.local:(\d+)", settings["data"][key])
            assert int(found.group(2)) in ports[found.group(1)], key

    def test_the_tracking_server_answers_to_its_address(self, kind):
        data = {key: value for thing in of_kind(kind, "ConfigMap") for key, value in thing["data"].items()}
        host = data["MLFLOW_TRACKING_URI"].removeprefix("http://").partition(":")[0]
        assert f"{host}:*" in data["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")

    def test_makes_the_buckets_that_are_written(self, kind):
        (job,) = [of for of in pods(kind) if of.owner == "Job/lstfill-buckets"]
        data = {key: value for thing in of_kind(kind, "ConfigMap") for key, value in thing["data"].items()}
        (demo,) = [of for of in pods(kind) if of.owner == "Job/lstfill-demo-cube"]
        written = {data["MLFLOW_ARTIFACTS_DESTINATION"], demo.spec["containers"][0]["args"][0].partition("=")[2]}
        assert {address.split("/")[2] for address in written} == set(job.spec["containers"][0]["args"])


class TestOverlayForProduction:
    def test_holds_no_secret(self, production):
        assert of_kind(production, "Secret") == []
        assert "minio123" not in yaml.safe_dump_all(production)

    def test_makes_no_database_no_store_and_no_buckets(self, production):
        assert not of_kind(production, "StatefulSet", "PersistentVolumeClaim", "Job")

    def test_tells_of_every_secret_that_has_to_be_made(self, production):
        told = promised("overlays/production")
        read = [
            (name, key)
            for of in pods(production)
            for what, name, key, optional in references(of.spec)
            if what == "Secret" and not optional
        ]
        read += [(of.name, key) for of in Platform().secrets if not of.optional for key in of.keys]
        read += [
            (tls["secretName"], "tls.crt") for thing in of_kind(production, "Ingress") for tls in thing["spec"]["tls"]
        ]
        assert {name for name, _ in read} == set(told)
        for name, key in read:
            assert key in told[name], f"{key} of {name}"

    def test_has_the_configuration_that_pods_and_tasks_read(self, production):
        there, platform = keys_by_object(production), Platform()
        asked = [
            (name, key)
            for of in pods(production)
            for what, name, key, optional in references(of.spec)
            if what == "ConfigMap" and not optional
        ]
        asked += [(of.name, key) for of in platform.config_maps for key in of.keys]
        for name, key in asked:
            assert key is None or key in there[("ConfigMap", name)], f"{key} of {name}"

    def test_is_reached_over_tls_by_a_name_that_the_server_knows(self, production):
        data = {key: value for thing in of_kind(production, "ConfigMap") for key, value in thing["data"].items()}
        ingresses = of_kind(production, "Ingress")
        assert [thing["metadata"]["name"] for thing in ingresses] == ["mlflow"]
        for thing in ingresses:
            hosts = {rule["host"] for rule in thing["spec"]["rules"]}
            assert hosts == {host for tls in thing["spec"]["tls"] for host in tls["hosts"]}
            assert hosts <= set(data["MLFLOW_SERVER_ALLOWED_HOSTS"].split(","))

    def test_checks_whom_it_talks_to(self, production):
        data = {key: value for thing in of_kind(production, "ConfigMap") for key, value in thing["data"].items()}
        assert data["PGSSLMODE"] == "verify-full"
        assert data["LSTFILL_S3_ENDPOINT_URL"].startswith("https://")

    def test_its_server_asks_for_a_password(self, production):
        (server,) = [of for of in pods(production) if of.owner == "Deployment/mlflow"]
        assert "--app-name=basic-auth" in server.spec["containers"][0]["args"]

    def test_keys_of_s3_differ_by_what_they_are_for(self, production):
        used = {
            of.owner: {name for what, name, key, _ in references(of.spec) if key == "LSTFILL_S3_ACCESS_KEY_ID"}
            for of in pods(production)
        }
        assert used["Deployment/xcube"] == {"lstfill-s3-reader"}
        assert used["Deployment/mlflow"] == {"lstfill-s3-mlflow"}


@pytest.mark.parametrize("folder", folders("Kustomization") + folders("Component"))
class TestInEveryDirectory:
    def test_mounts_have_volumes(self, all_rendered, folder):
        for of in pods(all_rendered[folder]):
            claimed = {
                claim["metadata"]["name"]
                for thing in of_kind(all_rendered[folder], "StatefulSet")
                for claim in thing["spec"].get("volumeClaimTemplates", [])
                if name_of(thing) == of.owner
            }
            there = {volume["name"] for volume in of.spec["volumes"]} | claimed
            mounted = {mount["name"] for container in of.containers for mount in container["volumeMounts"]}
            assert mounted == there, of.owner

    def test_ingresses_lead_to_services(self, all_rendered, folder):
        services = {
            thing["metadata"]["name"]: {port["name"] for port in thing["spec"]["ports"]}
            for thing in of_kind(all_rendered[folder], "Service")
        }
        for thing in of_kind(all_rendered[folder], "Ingress"):
            for path in (path for rule in thing["spec"]["rules"] for path in rule["http"]["paths"]):
                service = path["backend"]["service"]
                assert service["port"]["name"] in services[service["name"]]
