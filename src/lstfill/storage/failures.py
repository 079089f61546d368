"""What went wrong, in words a user can act on: every failure of a store becomes a ``StoreError``.

The libraries below raise some forty classes for a handful of situations. They are told apart by name, so that nothing
heavy is imported just to compare types.
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lstfill.errors import LstfillError, StoreError
from lstfill.storage.address import scheme, shown
from lstfill.storage.options import endpoint, scrub

logger = logging.getLogger(__name__)

_UNREACHABLE = {
    "ConnectionError",
    "HTTPClientError",
    "EndpointConnectionError",
    "ClientConnectionError",
    "ServerTimeoutError",
    "TimeoutError",
    "FSTimeoutError",
    "gaierror",
    "MaxRetryError",
    "ClientPayloadError",
}
_NO_KEYS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
_REFUSED = {
    "InvalidAccessKeyId": "the access key is unknown there",
    "SignatureDoesNotMatch": "the secret key does not fit the access key",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is not valid there",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "AccessDenied": "access denied",
    "AllAccessDisabled": "access denied",
    "401": "access denied",
    "403": "access denied",
}
_MISSING = {"NoSuchBucket", "NoSuchKey", "404"}
_DISK = {
    errno.ENOSPC: "no space left on the disk: free some, or choose another workspace",
    errno.EDQUOT: "the disk quota is used up: free some space, or choose another workspace",
    errno.EROFS: "the file system is read-only: choose another workspace",
    errno.EACCES: "no permission: change the directory's rights, or choose another workspace",
    errno.EPERM: "no permission: change the directory's rights, or choose another workspace",
    errno.ENOTDIR: "a file stands where a directory is needed: choose another place",
    errno.EEXIST: "a file stands where a directory is needed: choose another place",
    errno.EISDIR: "a directory stands where a file is needed: choose another place",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
    errno.EMFILE: "too many open files: raise the limit with 'ulimit -n'",
    errno.EIO: "the disk reports an input/output error: check it, or choose another workspace",
}


@dataclass(frozen=True)
class _Place:
    uri: str
    kind: str
    endpoint: str
    anonymous: bool


@contextmanager
def explained(uri: str, options: dict[str, Any] | None = None, doing: str = "read") -> Iterator[None]:
    """Turns what the libraries raise inside into one ``StoreError`` that names the address and the remedy.

    Args:
        uri: the store or object that is worked on.
        options: how it is reached, if it lies in an object store.
        doing: the verb of the message: "cannot read s3://...".

    Raises:
        StoreError: for every failure of disk, network, access or format. Mistakes in a program pass as they are.
    """
    try:
        yield
    except LstfillError:
        raise
    except Exception as error:
        given = options or {}
        place = _Place(shown(uri), scheme(uri), endpoint(given), bool(given.get("anon")))
        text = _explain(error, place)
        if text is None:
            raise
        logger.debug("%s %s: %s", doing, place.uri, type(error).__name__)
        raise StoreError(scrub(f"cannot {doing} {place.uri}: {text}")) from error


def _explain(error: Exception, place: _Place) -> str | None:
    names, code = _names(error), _code(error)
    if names & _NO_KEYS:
        return "there are no credentials: " + _remedy_keys(place)
    if code in _REFUSED or (isinstance(error, PermissionError) and place.kind != "file"):
        return f"no access at {_where(place)}, {_REFUSED.get(code, 'access denied')}: {_remedy_keys(place)}"
    if code in _MISSING or isinstance(error, FileNotFoundError):
        return f"there is no such {_thing(code, place)}; check the address"
    if names & _UNREACHABLE and place.kind != "file":
        return (
            f"{_where(place)} cannot be reached ({type(error).__name__}): check the address, the network and the proxy"
        )
    return _explain_rest(error, names, code, place)


def _explain_rest(error: Exception, names: set[str], code: str, place: _Place) -> str | None:
    if isinstance(error, OSError) and place.kind == "file":
        return _DISK.get(error.errno or 0, f"{error.strerror or error}: check the disk")
    if code or isinstance(error, OSError) or "ClientError" in names:
        what = f"{code or type(error).__name__}: {_first_line(error)}"
        return f"{_where(place)} answered with an error ({what}): try again later"
    if "bucket name" in str(error) or names & {
        "ParamValidationError",
        "InvalidURL",
        "NonHttpUrlClientError",
        "InvalidUrlClientError",
    }:
        return f"the address is not valid ({_first_line(error)}): check the name of the bucket and the host"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) or names & {
        "MetadataValidationError",
        "NodeTypeValidationError",
    }:
        return f"its metadata is damaged ({_first_line(error)}): write it again"
    if names & {"BlockingIOError", "ZstdError"} or (
        isinstance(error, RuntimeError) and "decompress" in str(error).lower()
    ):
        return f"a chunk is damaged ({_first_line(error)}): write it again"
    return None


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _code(error: BaseException | None) -> str:
    """The error code of S3 or HTTP, from the exception or from what it was made from."""
    while error is not None:
        response = getattr(error, "response", None)
        found = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        found = found or getattr(error, "status", None) or getattr(error, "code", None)
        if found and isinstance(found, str | int):
            return str(found)
        error = error.__cause__
    return ""


def _thing(code: str, place: _Place) -> str:
    if place.kind == "file":
        return "file or directory"
    return "bucket" if code == "NoSuchBucket" else "object"


def _where(place: _Place) -> str:
    return "the server" if place.kind in ("http", "https") else f"the endpoint {place.endpoint}"


def _remedy_keys(place: _Place) -> str:
    if place.kind in ("http", "https"):
        return "check the address; only public data can be read over http(s)"
    if place.anonymous:
        return "the bucket is not public; set source.anonymous to false and give keys"
    return "check LSTFILL_S3_ACCESS_KEY_ID and LSTFILL_S3_SECRET_ACCESS_KEY (or AWS_*)"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
