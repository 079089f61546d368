"""What an endpoint's failures mean to a user: the fact, and what to do about it. Headers and tokens stay out."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from urllib3 import exceptions

from lstfill.errors import LstfillError
from pipelines.access import COOKIE, TOKEN, Access

_LONGEST = 400  # characters of a server's own message
_LET_IN = (
    f"a token goes in {TOKEN} or --token-file, a cookie of the session behind a login page in {COOKIE} or --cookie-file"
)


class ServiceError(LstfillError):
    """An endpoint that cannot be reached, or refuses.

    Attributes:
        status: of HTTP; 0 where there was no answer.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)

    @property
    def may_pass(self) -> bool:
        """Whether the same request can succeed a little later."""
        return self.status in (0, 429) or self.status >= 500


def unreached(access: Access, error: Exception) -> ServiceError:
    """There was no answer: who was asked, and why not."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, exceptions.SSLError):
        return ServiceError(0, _untrusted(access, str(reason)))
    # From the special to the general: a name that is not known is a new connection that failed, too.
    why = {
        exceptions.NameResolutionError: "its name is not known",
        exceptions.NewConnectionError: "the connection is refused",
        exceptions.ConnectTimeoutError: "no connection within the time limit",
        exceptions.ReadTimeoutError: "no answer within the time limit",
    }
    said = next((text for kind, text in why.items() if isinstance(reason, kind)), "the connection broke")
    return ServiceError(
        0,
        f"Kubeflow at {access.host} cannot be reached: {said}. Check --host or KF_PIPELINES_ENDPOINT; "
        "a port-forward of kubectl must still be running",
    )


def _untrusted(access: Access, reason: str) -> str:
    if "WRONG_VERSION_NUMBER" in reason:
        return f"{access.host} does not speak TLS: write http:// instead of https://"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        why = "its certificate is not trusted"
        return f"Kubeflow at {access.host} cannot be reached: {why}. Give its authority as --ca-certificate FILE"
    return f"Kubeflow at {access.host} cannot be reached: the secure connection failed. Check --host"


def not_an_api(access: Access) -> ServiceError:
    """A page came instead of an answer: a login, or something that is no Kubeflow."""
    return ServiceError(
        200,
        f"{access.host} answers with a page and not as Kubeflow Pipelines: a login is in front of it ({_LET_IN}), "
        "or --host needs another path, often /pipeline",
    )


def refused(access: Access, error: Any) -> ServiceError:
    """The endpoint's own refusal in words.

    Args:
        access: who was asked.
        error: KFP's exception; its text shows headers and is not used.
    """
    status = int(error.status or 0)
    if not status:
        return unreached(access, exceptions.SSLError(str(error.reason)))
    said = access.redacted(_message(error.body))
    if 300 <= status < 400:
        return ServiceError(status, _redirected(access, error))
    if status >= 500:
        remedy = "try again later; the log: kubectl -n kubeflow logs deploy/ml-pipeline"
        return ServiceError(status, f"Kubeflow at {access.host} failed ({status}){said}; {remedy}")
    return ServiceError(status, _in_words(access, status, said))


def _in_words(access: Access, status: int, said: str) -> str:
    where = f"namespace {access.namespace!r}" if access.namespace else "namespace"
    if status == 401:
        return f"{access.host} does not let you in (401): {_proof(access)}; {_LET_IN}"
    words = {
        403: f"forbids this (403){said}: check the {where} (--namespace) and what your account may do there; "
        f"{_proof(access)}",
        404: f"does not know this (404){said}: check --host, which often ends in /pipeline, and the names you gave",
        409: f"has something of that name already (409){said}: choose another name",
        413: f"takes no request of that size (413){said}",
        429: f"is at its limit (429){said}: wait for other runs to end, or ask for a larger quota",
    }
    return f"Kubeflow at {access.host} {words.get(status, f'refuses this ({status}){said}')}"


def _proof(access: Access) -> str:
    if not access.has_credentials:
        return "no token and no cookie was given"
    kind = "token" if access.token or access.token_file else "cookie"
    return f"the {kind} is wrong or has expired, get a new one"


def _redirected(access: Access, error: Any) -> str:
    target = urlsplit((error.headers or {}).get("Location") or "")
    # The query can hold what a login page is to keep to itself.
    place = f" to {target.scheme}://{target.hostname}{target.path}" if target.hostname else ""
    return (
        f"{access.host} sends on{place} ({error.status}): give that address as --host, or if it is a login: {_LET_IN}"
    )


def _message(body: str | bytes | None) -> str:
    """The server's own words, first line, as ``: words``."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    try:
        answer = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    details = [item for item in answer.get("details") or [] if isinstance(item, dict)]
    words = next((item["error_message"] for item in details if item.get("error_message")), None)
    words = words or answer.get("message") or answer.get("error") or ""
    first = str(words).strip().partition("\n")[0]
    return f": {first[:_LONGEST]}" if first else ""
