"""Where Kubeflow is, and what lets a caller in: options, environment, the own pod; and nothing that shows a secret."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from lstfill.errors import ConfigError
from pipelines import access as module
from pipelines.access import access
from tests.pipelines.kfp_api import alone

HOST = "http://127.0.0.1:8080"
SECRET = "eyJhbGciOi.secret-of-mine"


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    alone(monkeypatch)
    monkeypatch.setattr(module, "PROJECTED", tmp_path / "no-token")
    monkeypatch.setattr(module, "SERVICE_ACCOUNT", tmp_path / "no-account")


class TestAddress:
    def test_option_before_environment(self, monkeypatch):
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "https://env.example.org")
        assert access().host == "https://env.example.org"
        assert access(host=HOST).host == HOST

    def test_the_command_line_of_kfp_has_names_of_its_own(self, monkeypatch):
        monkeypatch.setenv("KFP_ENDPOINT", HOST)
        monkeypatch.setenv("KFP_NAMESPACE", "science")
        found = access()
        assert (found.host, found.namespace, found.run_namespace) == (HOST, "science", "science")

    def test_links_lead_to_the_user_interface(self, monkeypatch):
        assert access(host=HOST).ui == HOST
        monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", "https://kubeflow.example.org/")
        assert access(host=HOST).ui == "https://kubeflow.example.org"
        assert access(host=HOST, ui="https://ui.example.org").ui == "https://ui.example.org"

    def test_an_address_copied_from_the_browser(self):
        assert access(host="https://kubeflow.example.org/pipeline/#/runs/details/1").host == (
            "https://kubeflow.example.org/pipeline"
        )

    def test_in_a_pod_of_the_cluster(self, monkeypatch, tmp_path):
        monkeypatch.setattr(module, "SERVICE_ACCOUNT", tmp_path)
        (tmp_path / "namespace").write_text("science\n")
        assert access().host == "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
        assert module.own_namespace() == "science"

    def test_nowhere(self):
        with pytest.raises(ConfigError, match=r"no address of Kubeflow: give --host or set KF_PIPELINES_E.*8080"):
            access()

    @pytest.mark.parametrize(
        "text", ["127.0.0.1:8080", "kubeflow", "ftp://x", "http://", "http://x:port", "http://x:0"]
    )
    def test_what_is_no_address(self, text):
        with pytest.raises(ConfigError, match="is no address: write it like http://"):
            access(host=text)

    @pytest.mark.parametrize("text", [f"https://me:{SECRET}@host", f"me:{SECRET}@host"])
    def test_credentials_in_the_address_are_refused_and_not_shown(self, text):
        with pytest.raises(ConfigError, match="--host holds credentials") as raised:
            access(host=text)
        assert SECRET not in str(raised.value)

    def test_certificates_that_are_not_there(self, tmp_path):
        with pytest.raises(ConfigError, match=r"there is no file .*ca.pem: --ca-certificate"):
            access(host=HOST, ca=tmp_path / "ca.pem")


class TestSecrets:
    def test_from_the_environment(self, monkeypatch):
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", f" {SECRET}\n")
        monkeypatch.setenv("LSTFILL_KFP_COOKIE", "authservice_session=abc")
        found = access(host=HOST)
        assert (found.bearer(), found.cookie, found.has_credentials) == (SECRET, "authservice_session=abc", True)

    def test_a_file_comes_first_and_is_read_each_time(self, monkeypatch, tmp_path):
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", "of-the-environment")
        (tmp_path / "token").write_text("first\n")
        found = access(host=HOST, token_file=tmp_path / "token")
        assert found.bearer() == "first"
        (tmp_path / "token").write_text("second")
        assert found.bearer() == "second"

    def test_a_cookie_from_a_file(self, tmp_path):
        (tmp_path / "cookie").write_text("a=b; c=d\n")
        assert access(host=HOST, cookie_file=tmp_path / "cookie").cookie == "a=b; c=d"

    def test_the_token_that_a_cluster_projects(self, monkeypatch, tmp_path):
        (tmp_path / "token").write_text("projected")
        monkeypatch.setattr(module, "PROJECTED", tmp_path / "token")
        assert access(host=HOST).bearer() == "projected"
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", "given")
        assert access(host=HOST).bearer() == "given"

    def test_the_token_that_a_variable_of_kfp_names(self, monkeypatch, tmp_path):
        monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "gone"))
        with pytest.raises(ConfigError, match=r"cannot read the file .*gone: No such file"):
            access(host=HOST)

    def test_none_at_all(self):
        found = access(host=HOST)
        assert found.bearer() is None
        assert not found.has_credentials

    @pytest.mark.parametrize("content", [b"", b" \n"])
    def test_an_empty_file(self, tmp_path, content):
        (tmp_path / "token").write_bytes(content)
        with pytest.raises(ConfigError, match="is empty: it must hold what lets you into Kubeflow"):
            access(host=HOST, token_file=tmp_path / "token")

    def test_a_token_in_place_of_its_file_is_not_shown(self):
        with pytest.raises(ConfigError, match="takes the name of a file, and got what looks like a token") as raised:
            access(host=HOST, token_file=Path(SECRET))
        assert SECRET not in str(raised.value)

    def test_an_unreadable_file(self, tmp_path):
        with pytest.raises(ConfigError, match=r"cannot read the file .*: Is a directory"):
            access(host=HOST, token_file=tmp_path)
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError, match="it is no text"):
            access(host=HOST, token_file=tmp_path / "binary")

    @pytest.mark.parametrize("secret", [f"Bearer {SECRET}", f"{SECRET}\nX-Other: 1", f"{SECRET}é"])
    def test_more_than_a_token_is_refused_and_not_shown(self, monkeypatch, secret):
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", secret)
        with pytest.raises(ConfigError, match="LSTFILL_KFP_TOKEN does not hold one line") as raised:
            access(host=HOST)
        assert SECRET not in str(raised.value)

    def test_no_representation_shows_them(self, monkeypatch, caplog):
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", SECRET)
        monkeypatch.setenv("LSTFILL_KFP_COOKIE", f"session={SECRET}-2")
        with caplog.at_level(logging.DEBUG):
            found = access(host=HOST)
        assert SECRET not in f"{found} {found!r} {caplog.text}"

    def test_an_answer_that_repeats_them_is_redacted(self, monkeypatch):
        monkeypatch.setenv("LSTFILL_KFP_TOKEN", SECRET)
        monkeypatch.setenv("LSTFILL_KFP_COOKIE", "a=first-one; b=second-one")
        text = access(host=HOST).redacted(f"token {SECRET} and second-one are no good")
        assert text == "token *** and *** are no good"
