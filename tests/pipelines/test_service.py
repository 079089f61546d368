"""KFP's own client against a real endpoint: what is sent, what a failure becomes, and that no secret is ever seen."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from pathlib import Path

import pytest
import yaml

from lstfill.errors import ConfigError
from pipelines import access as access_module
from pipelines import service as module
from pipelines.access import access
from pipelines.compiling import compile_pipeline
from pipelines.platform import Platform
from pipelines.refusals import ServiceError
from pipelines.service import Order, connect
from tests.pipelines.kfp_api import Api, outside_pods, serving

TOKEN = "a-token-that-nobody-may-see"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "lstfill.yaml"
    compile_pipeline(Platform(), path)
    return path


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    outside_pods(monkeypatch, tmp_path)


@pytest.fixture
def api():
    with serving(Api()) as api:
        yield api


def order(package, **changed):
    values = {"workspace": "s3://b/w", "source_uri": "s3://b/c.zarr", "train_epochs": 3, "split_block": {"lat": 2}}
    return Order(**{"package": package, "arguments": values, "name": "n", "experiment": "e", **changed})


class TestConnection:
    def test_asks_for_health_and_makes_nothing(self, api):
        service = connect(access(host=api.host))
        assert service.namespace is None
        assert {request.path for request in api.requests} == {"/apis/v2beta1/healthz"}

    def test_is_silent(self, api, capfd, caplog):
        with caplog.at_level(logging.INFO):
            connect(access(host=api.host))
        assert capfd.readouterr() == ("", "")
        assert caplog.text == ""

    def test_token(self, api, monkeypatch):
        api.token = TOKEN
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", TOKEN)
        connect(access(host=api.host))
        assert api.requests[-1].headers["authorization"] == f"Bearer {TOKEN}"

    def test_token_that_the_cluster_renews(self, api, tmp_path):
        file = tmp_path / "token"
        for token in ("first", "second"):
            file.write_text(token)
            api.token = token
            if token == "first":
                service = connect(access(host=api.host, token_file=file))
        with pytest.raises(ServiceError, match="there is no run"):
            service.run("x")

    def test_cookie(self, api, monkeypatch):
        api.cookie = "authservice_session=abc"
        monkeypatch.setenv("LSTFILL_KFP_COOKIE", api.cookie)
        connect(access(host=api.host))
        assert "authorization" not in api.requests[-1].headers

    def test_one_user_takes_no_namespace(self, api, package):
        """It would refuse one; the option still says where the pods are."""
        service = connect(access(host=api.host, namespace="science"))
        assert (service.namespace, service.access.run_namespace) == (None, "science")
        assert service.submit(order(package)) in api.runs

    def test_many_users_need_one(self, api, package):
        api.multi_user = True
        with pytest.raises(ConfigError, match="has many users: give the namespace of yours as --namespace"):
            connect(access(host=api.host))
        service = connect(access(host=api.host, namespace="science"))
        service.submit(order(package))
        assert api.experiments[0]["namespace"] == "science"

    def test_the_own_pod_is_in_one(self, api, monkeypatch, tmp_path):
        api.multi_user = True
        monkeypatch.setattr(access_module, "SERVICE_ACCOUNT", tmp_path)
        (tmp_path / "namespace").write_text("science")
        assert connect(access(host=api.host)).namespace == "science"

    def test_nothing_is_written_at_home(self, api, monkeypatch, tmp_path):
        monkeypatch.setattr(module.kfp.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "kfp" / "context.json"))
        monkeypatch.setattr(module.kfp.Client, "_NAMESPACE_PATH", str(tmp_path / "namespace"))
        (tmp_path / "namespace").write_text("science")
        api.multi_user = True
        connect(access(host=api.host, namespace="science"))
        assert not (tmp_path / "kfp").exists()


class TestSubmit:
    def test_sends_both_documents_and_typed_parameters(self, api, package):
        settings = {"service_account": "runner", "pipeline_root": "s3://b/root"}
        run_id = connect(access(host=api.host)).submit(order(package, **settings))
        body = api.only("POST", "/runs").body
        spec, platform = yaml.safe_load_all(package.read_text())
        assert body["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"].keys() == (
            spec["deploymentSpec"]["executors"].keys()
        )
        assert body["pipeline_spec"]["platform_spec"] == platform
        assert body["runtime_config"]["parameters"] == order(package).arguments
        assert body["runtime_config"]["pipeline_root"] == "s3://b/root"
        assert (body["service_account"], body["display_name"]) == ("runner", "n")
        assert body["experiment_id"] == api.experiments[0]["experiment_id"]
        assert run_id in api.runs

    def test_an_experiment_is_made_once(self, api, package):
        service = connect(access(host=api.host))
        service.submit(order(package))
        service.submit(order(package))
        assert [of["display_name"] for of in api.experiments] == ["e"]
        assert len(api.runs) == 2

    @pytest.mark.parametrize(("caching", "expected"), [(False, {False}), (None, {True})])
    def test_caching(self, api, package, caching, expected):
        connect(access(host=api.host)).submit(order(package, caching=caching))
        tasks = api.only("POST", "/runs").body["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]
        assert {task["cachingOptions"].get("enableCache", False) for task in tasks.values()} == expected

    def test_the_links_of_kfp_are_not_printed(self, api, package, capfd):
        connect(access(host=api.host)).submit(order(package))
        assert capfd.readouterr() == ("", "")

    def test_a_wrong_type_is_refused_by_the_endpoint_too(self, api, package):
        values = {"workspace": "s3://b/w", "source_uri": "s3://b/c.zarr", "train_epochs": "three"}
        with pytest.raises(ServiceError, match=r"refuses this \(400\): parameter train_epochs is of type NUMBER_I"):
            connect(access(host=api.host)).submit(order(package, arguments=values))

    def test_two_experiments_of_one_name(self, api, package):
        api.experiments += [{"experiment_id": str(number), "display_name": "e", "namespace": ""} for number in range(2)]
        with pytest.raises(ServiceError, match="Multiple experiments is found with name e"):
            connect(access(host=api.host)).submit(order(package))


class TestUpload:
    def test_a_pipeline_first_and_versions_after(self, api, package):
        service = connect(access(host=api.host))
        address, new = service.upload(package, "p", "v1")
        pipeline = api.pipelines[0]["pipeline_id"]
        assert (address, new) == (f"{api.host}/#/pipelines/details/{pipeline}", True)
        address, new = service.upload(package, "p", "v2")
        assert (address, new) == (
            f"{api.host}/#/pipelines/details/{pipeline}/version/{api.versions[0]['pipeline_version_id']}",
            True,
        )
        assert service.upload(package, "p", "v2") == (address, False)
        assert (len(api.pipelines), len(api.versions)) == (1, 1)

    def test_in_a_namespace(self, api, package):
        api.multi_user = True
        connect(access(host=api.host, namespace="science")).upload(package, "p", "v1")
        assert api.only("POST", "/pipelines/upload").query["namespace"] == "science"
        assert api.only("GET", "/pipelines").query["namespace"] == "science"


class TestSchedule:
    def test_cron(self, api, package):
        service = connect(access(host=api.host))
        address = service.schedule(order(package, service_account="runner"), {"cron_expression": "0 0 3 * * 1"}, 2)
        body = api.only("POST", "/recurringruns").body
        assert body["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * 1"}}
        assert (body["max_concurrency"], body["no_catchup"], body["mode"]) == (2, True, "ENABLE")
        assert (body["display_name"], body["service_account"]) == ("n", "runner")
        assert body["runtime_config"]["parameters"]["train_epochs"] == 3
        assert address == f"{api.host}/#/recurringrun/details/{api.recurring[0]['recurring_run_id']}"

    def test_interval(self, api, package):
        connect(access(host=api.host)).schedule(order(package), {"interval_second": 3600}, 1)
        assert api.only("POST", "/recurringruns").body["trigger"] == {"periodic_schedule": {"interval_second": 3600}}

    def test_a_name_is_taken_once(self, api, package):
        service = connect(access(host=api.host))
        service.schedule(order(package), {"interval_second": 3600}, 1)
        with pytest.raises(ServiceError, match=r"there is a schedule 'n' already: http.*Delete it there, or .* --name"):
            service.schedule(order(package), {"interval_second": 60}, 1)
        assert len(api.recurring) == 1


FAILURES = {
    401: r"does not let you in \(401\): the token is wrong or has expired, get a new one; .*LSTFILL_KFP_TOKEN",
    403: r"forbids this \(403\): words of it: check the namespace 'science' \(--namespace\)",
    404: r"does not know this \(404\): words of it: check --host",
    409: r"has something of that name already \(409\): words of it: choose another name",
    413: r"takes no request of that size \(413\)",
    429: r"is at its limit \(429\): words of it: .*larger quota",
    400: r"refuses this \(400\): words of it",
    500: r"failed \(500\): words of it; try again later; the log: kubectl",
    503: r"failed \(503\): words of it",
}


class TestFailures:
    @pytest.mark.parametrize("status", FAILURES)
    def test_each_has_a_fact_and_a_remedy(self, api, monkeypatch, package, status):
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", TOKEN)
        service = connect(access(host=api.host, namespace="science"))
        api.refuse("POST", "/runs", status, f"words of it\n{'stack ' * 500}")
        with pytest.raises(ServiceError, match=FAILURES[status]) as raised:
            service.submit(order(package))
        assert raised.value.status == status
        assert raised.value.may_pass == (status in (429, 500, 503))
        assert "stack" not in str(raised.value)

    def test_without_any_credentials_it_says_so(self, api):
        api.token = TOKEN
        with pytest.raises(ServiceError, match=r"does not let you in \(401\): no token and no cookie was given"):
            connect(access(host=api.host))

    def test_a_cookie_that_has_expired(self, api, monkeypatch):
        api.cookie = "session=new"
        monkeypatch.setenv("LSTFILL_KFP_COOKIE", "session=of-yesterday")
        with pytest.raises(ServiceError, match=r"forbids this \(403\): RBAC: access denied.*the cookie is wrong"):
            connect(access(host=api.host))

    def test_the_short_words_of_details_come_first(self, api, package):
        service = connect(access(host=api.host))
        details = [{"@type": "x", "error_message": "the short words", "error_details": "the long ones"}]
        api.refuse("POST", "/runs", 400, body=json.dumps({"message": "the long ones", "details": details}))
        with pytest.raises(ServiceError, match=r"refuses this \(400\): the short words$"):
            service.submit(order(package))

    @pytest.mark.parametrize("body", ["", "<html>Bad Gateway</html>", "[1]", '"text"', '{"message": null}'])
    def test_bodies_that_say_nothing(self, api, package, body):
        service = connect(access(host=api.host))
        api.refuse("POST", "/runs", 500, body=body)
        with pytest.raises(ServiceError, match=r"failed \(500\); try again later"):
            service.submit(order(package))

    def test_a_login_page(self, api):
        api.refuse("*", "*", 200, body="<html>Log in to Your Account</html>", kind="text/html")
        with pytest.raises(ServiceError, match=r"answers with a page .*: a login is in front .*LSTFILL_KFP_COOKIE"):
            connect(access(host=api.host))

    def test_being_sent_to_a_login(self, api):
        target = "https://dex.example.org/auth?client_id=x&state=private"
        api.refuse("*", "*", 302, body="", headers={"Location": target})
        with pytest.raises(ServiceError, match=r"sends on to https://dex.example.org/auth \(302\)") as raised:
            connect(access(host=api.host))
        assert "private" not in str(raised.value)

    def test_a_run_that_is_not_there(self, api):
        with pytest.raises(ServiceError, match=r"there is no run 'nobody' at http.*: its address ends with its id"):
            connect(access(host=api.host)).run("nobody")

    def test_another_namespace(self, api, package):
        api.multi_user = True
        service = connect(access(host=api.host, namespace="kube-system"))
        with pytest.raises(ServiceError, match=r"forbids this \(403\): User 'me' .*the namespace 'kube-system'"):
            service.submit(order(package))

    def test_an_answer_that_repeats_the_token(self, api, monkeypatch, caplog):
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", TOKEN)
        service = connect(access(host=api.host))
        api.refuse("GET", "/runs/ID", 400, f"Bearer {TOKEN} is malformed")
        with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError, match=r"Bearer \*\*\* is malformed") as raised:
            service.run("0" * 36)
        assert raised.value.__suppress_context__
        assert TOKEN not in "".join(
            record.getMessage() for record in caplog.records if record.name != "kfp_server_api.rest"
        )

    def test_a_moment_without_the_server_is_bridged(self, api):
        api.refuse("GET", "/healthz", 503, times=2)
        assert connect(access(host=api.host)).namespace is None


class TestUnreachable:
    def within(self, seconds, host, message, **more):
        started = time.monotonic()
        with pytest.raises(ServiceError, match=message) as raised:
            connect(access(host=host, **more))
        assert time.monotonic() - started < seconds
        assert raised.value.status == 0
        assert raised.value.may_pass

    def test_nobody_listens(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            host = f"http://127.0.0.1:{closed.getsockname()[1]}"
            self.within(5, host, "cannot be reached: the connection is refused. Check --host or KF_PIPELINES_ENDPOINT")

    def test_no_such_name(self):
        self.within(20, "http://kubeflow.invalid", "cannot be reached")

    def test_nobody_answers(self, monkeypatch):
        monkeypatch.setattr(module, "HEALTH_TIMEOUT_S", (1, 0.3))
        with socket.create_server(("127.0.0.1", 0)) as mute:
            host = f"http://127.0.0.1:{mute.getsockname()[1]}"
            self.within(5, host, "cannot be reached: no answer within the time limit")

    def test_the_line_is_cut(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=lambda: [server.accept()[0].close() for _ in range(1)])
            thread.start()
            self.within(5, f"http://127.0.0.1:{server.getsockname()[1]}", "cannot be reached: the connection broke")
            thread.join()

    def test_the_limits_hold_for_every_request(self, api, monkeypatch):
        service = connect(access(host=api.host))
        monkeypatch.setattr(module, "TIMEOUT_S", (1, 0.2))
        api.delay_s = 1.0
        with pytest.raises(ServiceError, match="no answer within the time limit"):
            service.run("0" * 36)

    def test_no_tls_there(self, api):
        self.within(5, api.host.replace("http:", "https:"), "does not speak TLS: write http:// instead of https://")

    def test_nothing_is_said_on_the_way(self, capfd, caplog):
        with caplog.at_level(logging.WARNING):
            self.test_nobody_listens()
        assert capfd.readouterr() == ("", "")
        assert caplog.text == ""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return _certificate(tmp_path_factory.mktemp("tls"))


class TestTls:
    @pytest.fixture
    def secure(self, certificate):
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with serving(Api(), context=context) as api:
            yield api

    def test_its_authority_is_trusted_if_it_is_given(self, secure, certificate):
        assert connect(access(host=secure.host, ca=certificate)).namespace is None

    def test_and_not_otherwise(self, secure):
        with pytest.raises(ServiceError, match=r"certificate is not trusted.* --ca-certificate FILE"):
            connect(access(host=secure.host))

    def test_a_file_without_certificates(self, secure, tmp_path):
        (tmp_path / "ca.pem").write_text("not a certificate")
        with pytest.raises(ServiceError, match=r"cannot be reached: the secure connection failed"):
            connect(access(host=secure.host, ca=tmp_path / "ca.pem"))


def _certificate(directory) -> Path:
    """A certificate of the loopback and its key in one file."""
    import ipaddress
    from datetime import UTC, datetime, timedelta

    x509 = pytest.importorskip("cryptography.x509", reason="cryptography is not installed, no certificate can be made")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lstfill test")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = directory / "server.pem"
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(signed.public_bytes(pem) + secret)
    return path
