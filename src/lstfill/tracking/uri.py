"""The address of the tracking server: found, shown without its secrets, and tried before it is used."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import sqlite3
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from lstfill.config import Tracking
from lstfill.errors import TrackingError

SQLITE = "sqlite:///"
_USERINFO = re.compile(r"(?<=://)[^/\s\"'<>]+@")
_TRIES = 2
_TIMEOUT_S = 5.0
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 5.0


def resolve_uri(tracking: Tracking, default_dir: Path | None) -> str:
    """Finds where runs are recorded: the configuration, then ``MLFLOW_TRACKING_URI``, then a local SQLite file.

    Args:
        tracking: the section of the configuration.
        default_dir: where the SQLite file stands if nothing else is given, a run's workspace; None is the working
            directory.

    Returns:
        The address as MLflow takes it; it may hold a password, show it through ``redact`` only.
    """
    uri = (tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or "").strip()
    if not uri:
        return _sqlite_uri((default_dir or Path.cwd()).resolve() / "mlflow.db")
    return _sqlite_uri(sqlite_file(uri)) if uri.startswith(SQLITE) else uri


def _sqlite_uri(file: Path) -> str:
    # MLflow decodes percent signs in the path, so those of a directory's name have to be encoded.
    return SQLITE + quote(str(file))


def sqlite_file(uri: str) -> Path:
    """The file behind a ``sqlite:///`` address, absolute, so that a step's working directory does not matter."""
    return Path(unquote(uri.removeprefix(SQLITE))).absolute()


def artifact_root(uri: str) -> str | None:
    """Where a new experiment keeps its files: beside the SQLite file; None leaves it to the server."""
    return (sqlite_file(uri).parent / "mlartifacts").as_uri() if uri.startswith(SQLITE) else None


def redact(text: str) -> str:
    """Replaces the ``user:password@`` of every address in a text by ``***@``."""
    return _USERINFO.sub("***@", text)


def probe(uri: str, patience_s: float = 0.0) -> None:
    """Tries the address for a few seconds, because MLflow's own retries take minutes to give up.

    Args:
        uri: the tracking address.
        patience_s: how many seconds more to try a server that does not answer.

    Raises:
        TrackingError: nothing answers there, or the directory of the SQLite file cannot be written.
    """
    if uri.startswith(SQLITE):
        _probe_sqlite(sqlite_file(uri), uri)
    elif urlsplit(uri).scheme in ("http", "https"):
        _probe_server(uri, patience_s)


def _probe_sqlite(file: Path, uri: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("pragma user_version").fetchone()
    except (OSError, sqlite3.Error) as error:
        raise TrackingError(
            f"tracking at {redact(uri)}: the file {file} cannot be used ({getattr(error, 'strerror', None) or error}); "
            "make it writable, or name another place in tracking.uri or MLFLOW_TRACKING_URI"
        ) from None


def _probe_server(uri: str, patience_s: float) -> None:
    health = f"{_without_userinfo(uri).rstrip('/')}/health"
    deadline = time.monotonic() + patience_s
    reason, tries = _silence(health), 1
    while reason and (tries < _TRIES or time.monotonic() < deadline):
        time.sleep(min(_PAUSE_S * tries, _LONGEST_PAUSE_S))
        reason, tries = _silence(health), tries + 1
    if reason:
        raise TrackingError(
            f"no tracking server answers at {redact(uri)} ({reason}, tried {tries} times); start it, correct "
            "tracking.uri or MLFLOW_TRACKING_URI, or leave both empty to record in a local SQLite file"
        )


def _silence(url: str) -> str:
    """Why nothing answers; empty if anything does, with an error or an unknown certificate too."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S):  # noqa: S310 - http and https alone come here
            return ""
    except urllib.error.HTTPError:
        return ""
    except urllib.error.URLError as error:
        return "" if isinstance(error.reason, ssl.SSLError) else str(error.reason)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return str(error) or type(error).__name__


def _without_userinfo(uri: str) -> str:
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
