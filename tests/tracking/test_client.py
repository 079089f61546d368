"""What a refusal of the tracking server is called, and what to do about it."""

from __future__ import annotations

import pytest

from lstfill.errors import TrackingError
from lstfill.tracking.client import translated

SECRET = "s3cr3t-w0rd"


def message_of(error, monkeypatch, account=None):
    for name, value in (("MLFLOW_TRACKING_USERNAME", account), ("MLFLOW_TRACKING_PASSWORD", account and SECRET)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(TrackingError) as failure, translated(f"http://me:{SECRET}@host", "log metrics"):
        raise error
    assert SECRET not in str(failure.value)
    assert failure.value.__cause__ is None
    return str(failure.value)


def refusal(status, body="no"):
    from mlflow.exceptions import MlflowException

    return MlflowException(f"API request failed with error code {status} != 200. Response body: '{body}'")


@pytest.mark.parametrize(
    ("error", "account", "remedy"),
    [
        (refusal(401), None, "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"),
        (refusal(401), "ann", "refuses the account 'ann' with this password: correct MLFLOW_TRACKING_USERNAME"),
        (refusal(403), "ann", "the account 'ann' may not do this: ask an administrator"),
        (refusal(403), None, "this account may not do this: ask an administrator"),
        (refusal(403, "Invalid Host header"), "ann", "add this one, with its port, to its MLFLOW_SERVER_ALLOWED_HOSTS"),
    ],
)
def test_a_refusal_has_its_remedy(error, account, remedy, monkeypatch):
    message = message_of(error, monkeypatch, account)
    assert message.startswith("cannot log metrics at http://***@host: API request failed with error code 40")
    assert remedy in message


@pytest.mark.parametrize(
    ("code", "remedy"), [("UNAUTHENTICATED", "set MLFLOW_TRACKING_USERNAME"), ("PERMISSION_DENIED", "may not do this")]
)
def test_codes_of_mlflow_are_known_too(code, remedy, monkeypatch):
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import ErrorCode

    assert remedy in message_of(MlflowException("no", ErrorCode.Value(code)), monkeypatch)


def test_other_trouble_gets_no_remedy_of_refusals(monkeypatch):
    assert message_of(OSError("the disk is full"), monkeypatch, "ann").endswith("host: the disk is full")
