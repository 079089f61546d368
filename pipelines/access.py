"""How a Kubeflow endpoint is reached, and what lets a caller in: both from options, the environment, or the own pod."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lstfill.errors import ConfigError

HOST = ("KF_PIPELINES_ENDPOINT", "KFP_ENDPOINT")
UI = "KF_PIPELINES_UI_ENDPOINT"
NAMESPACE = ("KF_PIPELINES_NAMESPACE", "KFP_NAMESPACE")
TOKEN, COOKIE = "LSTFILL_KFP_TOKEN", "LSTFILL_KFP_COOKIE"  # names of variables
TOKEN_PATH = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105  # the name of a variable of KFP
PROJECTED = Path("/var/run/secrets/kubeflow/pipelines/token")
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SYSTEM_NAMESPACE = "kubeflow"

_TOKEN = re.compile(r"[\x21-\x7e]+")
_COOKIE = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True)
class Access:
    """Where Kubeflow is, and the caller's credentials, which no representation shows.

    Attributes:
        host: address of the API.
        ui: address of the user interface, for links.
        namespace: of the runs; None takes the endpoint's own.
        ca: certificates of the authorities to trust, PEM.
        token_file: file with a token; read for each request, because a cluster renews it.
        token: a token.
        cookie: the session's cookie behind a login page, ``name=value``.
    """

    host: str
    ui: str
    namespace: str | None = None
    ca: Path | None = None
    token_file: Path | None = None
    token: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)

    @property
    def has_credentials(self) -> bool:
        """Whether the caller shows anything at all."""
        return bool(self.token or self.token_file or self.cookie)

    @property
    def run_namespace(self) -> str:
        """Where the pods of a run are looked for."""
        return self.namespace or SYSTEM_NAMESPACE

    def bearer(self) -> str | None:
        """The token as it is now.

        Raises:
            ConfigError: if its file cannot be read or holds no token.
        """
        return _read(self.token_file, _TOKEN) if self.token_file else self.token

    def redacted(self, text: str) -> str:
        """A text without the credentials, should an answer repeat them."""
        cookies = [part.partition("=")[2].strip() for part in (self.cookie or "").split(";")]
        for secret in (self.bearer(), self.cookie, *cookies):
            if secret:
                text = text.replace(secret, "***")
        return text


def access(
    *,
    host: str | None = None,
    ui: str | None = None,
    namespace: str | None = None,
    ca: Path | None = None,
    token_file: Path | None = None,
    cookie_file: Path | None = None,
) -> Access:
    """What options and the environment say, options first.

    Raises:
        ConfigError: if there is no address, or a file cannot be read.
    """
    address = _address(host or _variable(*HOST) or _own_cluster(), "--host")
    if ca is not None and not ca.is_file():
        raise ConfigError(f"there is no file {ca}: --ca-certificate names a file with certificates (PEM)")
    token = None if token_file else _checked(_variable(TOKEN), TOKEN, _TOKEN)
    found = Access(
        host=address,
        ui=_address(ui or _variable(UI) or address, "--ui"),
        namespace=namespace or _variable(*NAMESPACE),
        ca=ca,
        token_file=None if token else token_file or _projected(),
        token=token,
        cookie=_read(cookie_file, _COOKIE) if cookie_file else _checked(_variable(COOKIE), COOKIE, _COOKIE),
    )
    found.bearer()
    return found


def own_namespace() -> str | None:
    """The namespace of the pod that this runs in, if it runs in one."""
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _variable(*names: str) -> str | None:
    return next((os.environ[name].strip() for name in names if os.environ.get(name, "").strip()), None)


def _own_cluster() -> str:
    if own_namespace() is None:
        raise ConfigError(
            f"there is no address of Kubeflow: give --host or set {HOST[0]}. From outside a cluster, "
            f"kubectl -n {SYSTEM_NAMESPACE} port-forward svc/ml-pipeline-ui 8080:80 makes it http://127.0.0.1:8080"
        )
    return f"http://ml-pipeline.{SYSTEM_NAMESPACE}.svc.cluster.local:8888"


def _address(text: str, option: str) -> str:
    # Whoever copies the address of a page of the user interface brings its fragment along.
    text = text.partition("#")[0].rstrip("/")
    if "@" in text:
        raise ConfigError(f"{option} holds credentials, which would be shown: leave them out, set {TOKEN} or {COOKIE}")
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError(f"{option} {text!r} is no address: write it like http://127.0.0.1:8080 or https://host/path")
    return text


def _projected() -> Path | None:
    path = Path(_variable(TOKEN_PATH) or PROJECTED)
    return path if _variable(TOKEN_PATH) or path.exists() else None


def _read(path: Path, pattern: re.Pattern[str]) -> str:
    if path.name.startswith("eyJ"):
        raise ConfigError("--token-file takes the name of a file, and got what looks like a token: put it in a file")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"cannot read the file {path}: {reason}; it must hold what lets you into Kubeflow") from None
    if not text.strip():
        raise ConfigError(f"the file {path} is empty: it must hold what lets you into Kubeflow")
    return _checked(text.strip(), f"the file {path}", pattern) or ""


def _checked(secret: str | None, origin: str, pattern: re.Pattern[str]) -> str | None:
    # A line break in a header would end in an error that shows the header.
    if secret and not pattern.fullmatch(secret):
        raise ConfigError(f"{origin} does not hold one line of plain characters: copy it again, without quotes")
    return secret
