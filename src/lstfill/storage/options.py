"""Endpoints and credentials, from the environment alone: never from a parameter, never in a message.

Our own names come first because on a cluster Kubeflow's launcher shares the container's environment and would follow
``AWS_*``. Access key and secret are always taken as a pair from one family of names:

===========================  ============================================================================
``LSTFILL_S3_*``             the workspace: ``ENDPOINT_URL``, ``ACCESS_KEY_ID``, ``SECRET_ACCESS_KEY``, ``REGION``
``LSTFILL_SOURCE_S3_*``      a signed source that lies in another store than the workspace (the same names)
``AWS_*``                    what stands in for either
===========================  ============================================================================
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lstfill.errors import StoreError
from lstfill.storage.address import shown

if TYPE_CHECKING:
    from lstfill.config import Source

WORKSPACE = "LSTFILL_S3_"
SOURCE = "LSTFILL_SOURCE_S3_"
AWS = "AWS_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEFAULT_REGION = "us-east-1"
ON_AWS = "aws"
"""Value of an endpoint variable that means AWS itself, where an empty one means "not given"."""

# An endpoint that is not there fails after 3 connections of 3 s; a stalled transfer is dropped after 20 s and repeated.
CONNECT_TIMEOUT_S = 3
READ_TIMEOUT_S = 20
ATTEMPTS = 3

# No store takes a shorter one, and a letter of a placeholder would be taken out of every message.
_SHORTEST_SECRET = 8

_SALT = secrets.token_bytes(16)


class Secret(str):
    """A string that does not show itself in a ``repr``, so that a logged dictionary tells nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        # fsspec tells its cached instances apart by the text of their options: equal text for different secrets
        # would hand out a file system with the wrong ones. The salt makes the digest useless outside this process.
        return f"'***{hmac.new(_SALT, self.encode(), hashlib.sha256).hexdigest()[:8]}'"


def workspace_options() -> dict[str, Any]:
    """Arguments of ``s3fs.S3FileSystem`` for the workspace, from ``LSTFILL_S3_*`` first and ``AWS_*`` otherwise.

    Raises:
        StoreError: if half a pair of keys is set, or the endpoint is not an address.
    """
    return _signed(_endpoint(WORKSPACE, AWS), WORKSPACE, AWS)


def source_options(source: Source) -> dict[str, Any]:
    """Arguments of ``s3fs.S3FileSystem`` for the source, which need not lie where the workspace does.

    An anonymous source is read from its own endpoint or from AWS, whatever endpoint the environment sets for the
    workspace. A signed source without an endpoint lies where ``LSTFILL_SOURCE_S3_ENDPOINT_URL`` says (``aws`` for AWS
    itself), else in the workspace's store. A signed source with another endpoint takes the first keys of
    ``LSTFILL_SOURCE_S3_*``, ``AWS_*``, ``LSTFILL_S3_*``; on AWS the workspace's are left out.

    Raises:
        StoreError: if half a pair of keys is set, or the endpoint is not an address.
    """
    if source.anonymous:
        return _anonymous(source.endpoint_url)
    workspace = _endpoint(WORKSPACE, AWS)
    place = source.endpoint_url or os.environ.get(f"{SOURCE}ENDPOINT_URL") or workspace
    if place == ON_AWS:
        options = _signed(None, SOURCE, AWS)
        options["config_kwargs"]["ignore_configured_endpoint_urls"] = True
        return options
    if place is None or place.rstrip("/") == workspace:
        return _signed(workspace, SOURCE, WORKSPACE, AWS)
    return _signed(place, SOURCE, AWS, WORKSPACE)


def source_environment() -> dict[str, str]:
    """Variables that keep leading to the user's own store once an embedded one takes the workspace's names.

    Returns:
        ``LSTFILL_SOURCE_S3_*`` for what the environment says now of endpoint and keys.
    """
    found = {f"{SOURCE}ENDPOINT_URL": _endpoint(SOURCE, WORKSPACE, AWS) or ON_AWS}
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION"):
        value = os.environ.get(SOURCE + name) or os.environ.get(WORKSPACE + name)
        found |= {SOURCE + name: value} if value else {}
    return found


def endpoint(options: dict[str, Any]) -> str:
    """Where the options lead, as messages say it."""
    return shown(options.get("endpoint_url") or "AWS")


def scrub(text: str) -> str:
    """Takes every secret of the environment out of a text, in case a library put one there."""
    for family in (WORKSPACE, SOURCE, AWS):
        for name in ("SECRET_ACCESS_KEY", "SESSION_TOKEN"):
            value = os.environ.get(family + name, "")
            text = text.replace(value, "***") if len(value) >= _SHORTEST_SECRET else text
    return text


def _anonymous(endpoint_url: str | None) -> dict[str, Any]:
    options = _common(endpoint_url, DEFAULT_REGION)
    options["anon"] = True
    # Without this AWS_ENDPOINT_URL of the workspace, or of a profile, would redirect a public bucket.
    options["config_kwargs"]["ignore_configured_endpoint_urls"] = True
    return options


def _signed(endpoint_url: str | None, *families: str) -> dict[str, Any]:
    options = _common(endpoint_url, _region(*families, with_default=endpoint_url is not None))
    options["anon"] = False
    options.update(_keys(*families))
    return options


def _common(endpoint_url: str | None, region: str | None) -> dict[str, Any]:
    config: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        "max_pool_connections": 32,
    }
    # Listings must not be cached: a store that was wiped, or written by another process, would look as it did.
    options: dict[str, Any] = {"config_kwargs": config, "use_listings_cache": False}
    if endpoint_url:
        options["endpoint_url"] = _checked(endpoint_url)
        # Other stores than AWS have no bucket.host names, and not all know the newer checksums.
        config["s3"] = {"addressing_style": "path"}
        if urlsplit(endpoint_url).hostname in LOOPBACK:
            config["proxies"] = {}  # a proxy of the environment does not know this machine's own store
        config["request_checksum_calculation"] = config["response_checksum_validation"] = "when_required"
    if region:
        options["client_kwargs"] = {"region_name": region}
    return options


def _checked(endpoint_url: str) -> str:
    parts = urlsplit(endpoint_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StoreError(f"the S3 endpoint {shown(endpoint_url)!r} is not an address: write http(s)://HOST:PORT")
    if parts.username or parts.password:
        raise StoreError(
            f"the S3 endpoint {shown(endpoint_url)!r} holds a password: "
            f"keys go into {WORKSPACE}ACCESS_KEY_ID and {WORKSPACE}SECRET_ACCESS_KEY"
        )
    return endpoint_url.rstrip("/")


def _endpoint(*families: str) -> str | None:
    for family in families:
        names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") if family == AWS else (family + "ENDPOINT_URL",)
        for name in names:
            if os.environ.get(name):
                return os.environ[name].rstrip("/")
    return None


def _region(*families: str, with_default: bool) -> str | None:
    names = [name for family in families for name in (family + "REGION", family + "DEFAULT_REGION")]
    found = next((os.environ[name] for name in names if os.environ.get(name)), None)
    return found or (DEFAULT_REGION if with_default else None)


def _keys(*families: str) -> dict[str, str]:
    """The first pair of keys there is; none leaves the search to botocore (profiles, roles of a cluster)."""
    for family in families:
        names = (family + "ACCESS_KEY_ID", family + "SECRET_ACCESS_KEY")
        values = [os.environ.get(name, "") for name in names]
        if all(values):
            token = os.environ.get(family + "SESSION_TOKEN", "")
            return {"key": values[0], "secret": Secret(values[1]), **({"token": Secret(token)} if token else {})}
        if any(values):
            present, absent = names if values[0] else names[::-1]
            raise StoreError(f"{present} is set but {absent} is not: set both or none")
    return {}
