"""MLflow's client, imported late and kept quiet, and its errors in this project's words."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lstfill.errors import TrackingError
from lstfill.tracking.uri import probe, redact

_log = logging.getLogger(__name__)

# Read by MLflow when it is imported or used; what a user has set stays.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
# These tell of every migration of a fresh database at level INFO; their warnings stay.
_CHATTERING = ("alembic", "mlflow.store.db.utils", "mlflow.tracking", "mlflow.store.model_registry")
_NO_ACCESS = ("PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")


def connect(uri: str, patience_s: float = 0.0) -> Any:
    """A client of the tracking server and its registry, after making sure that something answers.

    Args:
        uri: the tracking address.
        patience_s: seconds to wait for a server that was there before and may be restarting.

    Raises:
        TrackingError: nothing answers at the address, or it is none that MLflow knows.
    """
    probe(uri, patience_s)
    mlflow = quiet_mlflow()
    with translated(uri, "connect"):
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def quiet_mlflow() -> Any:
    """Imports MLflow without its telemetry, progress bars, addresses on stdout and git hints."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        # Deprecations inside MLflow's own imports are for its authors.
        warnings.simplefilter("ignore", DeprecationWarning)
        import mlflow
    for name in _CHATTERING:
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


@contextmanager
def translated(uri: str, doing: str) -> Iterator[None]:
    """Turns what MLflow raises into one clear message without secrets.

    Args:
        uri: the tracking address, for the message.
        doing: what was being done, as in "cannot log metrics".

    Raises:
        TrackingError: in place of an error of MLflow, its transport (an OSError too), its database or its files.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, *_database_errors(), OSError) as error:
        # The cause is dropped on purpose: its text may hold the address with the password.
        raise TrackingError(f"cannot {doing} at {redact(uri)}: {_reason(error)}") from None


def _database_errors() -> tuple[type[Exception], ...]:
    """None with a tracking server, whose client does without a database."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return () if loaded is None else (loaded.SQLAlchemyError,)


def error_code(error: Exception) -> str:
    """MLflow's name for the kind of error, empty if it has none."""
    return str(getattr(error, "error_code", ""))


def _reason(error: Exception) -> str:
    text = redact(str(error)).strip().split("\n")[0]
    remedy = _remedy(text, error_code(error))
    return f"{text}; {remedy}" if remedy else text


def _remedy(text: str, code: str) -> str:
    """What to do about a refusal, empty for any other trouble."""
    if "Invalid Host header" in text:
        return (
            "the server does not go by this host name: ask for it by another, or add this one, with its port, to its "
            "MLFLOW_SERVER_ALLOWED_HOSTS"
        )
    if code == "UNAUTHENTICATED" or "error code 401" in text:
        return _credentials_remedy()
    if code in _NO_ACCESS or "error code 403" in text:
        return f"{_account()} may not do this: ask an administrator of the server for the permission"
    return ""


def _credentials_remedy() -> str:
    if os.environ.get("MLFLOW_TRACKING_USERNAME"):
        return (
            f"the server refuses {_account()} with this password: correct MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        )
    return (
        "the server asks who you are and refuses the credentials it got: set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment"
    )


def _account() -> str:
    name = os.environ.get("MLFLOW_TRACKING_USERNAME")
    return f"the account {name!r}" if name else "this account"
