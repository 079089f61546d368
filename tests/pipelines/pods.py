"""A task's container on this machine: its environment, its user, its file system, without a container runtime.

A private mount namespace gives a command a read-only root, an empty ``/tmp``, and ``/minio`` and ``/s3`` of its own;
nothing of it is seen outside, and it goes with the process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
MOUNTS = ("minio", "s3", "gcs")
IMAGE = {"HOME": "/tmp", "USER": "lstfill"}  # noqa: S108  # as the images set them, for users that have no entry
TIMEOUT_S = 240

# A new root of the old one's folders, read-only; what the task may write to is bound over it. Homes are left out, but
# for the interpreter and the repository where they lie there.
_ENTER = """
set -e
root=$1; volumes=$2; shift 2
mount -t tmpfs -o mode=755 none "$root"
for entry in /*; do
    if [ -L "$entry" ]; then cp -P "$entry" "$root/"; continue; fi
    if [ ! -d "$entry" ] || [ -e "$volumes$entry" ] || [ "$entry" = /root ] || [ "$entry" = /home ]; then continue; fi
    mkdir "$root$entry"
    mount --rbind "$entry" "$root$entry"
    mount -o remount,ro,bind "$root$entry" 2>/dev/null || true
done
for volume in "$volumes"/*; do
    mkdir "$root/${volume##*/}"
    mount --bind "$volume" "$root/${volume##*/}"
done
for needed in $NEEDED; do
    [ -e "$root$needed" ] && continue
    mkdir -p "$root$needed"
    mount --bind -o ro "$needed" "$root$needed"
done
unset NEEDED
mount -o remount,ro,bind "$root"
exec chroot "$root" "$@"
"""


class NotStartedError(Exception):
    """A container that Kubernetes would not start, with the reason it would give."""


@dataclass
class Namespace:
    """What a task's references lead to."""

    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)

    def environment(self, settings: dict) -> dict[str, str]:
        """Variables that the settings of an executor take from here."""
        values: dict[str, str] = {}
        for reference in settings.get("secretAsEnv", []):
            values |= _taken(self.secrets, reference, "secret", "secretName", "secretKey")
        for reference in settings.get("configMapAsEnv", []):
            values |= _taken(self.config_maps, reference, "configmap", "configMapName", "configMapKey")
        return values


def _taken(objects: dict, reference: dict, kind: str, name_field: str, key_field: str) -> dict[str, str]:
    name, values = reference[name_field], {}
    for entry in reference["keyToEnv"]:
        found = objects.get(name, {}).get(entry[key_field])
        if found is not None:
            values[entry["envVar"]] = found
        elif not reference.get("optional"):
            raise NotStartedError(f'CreateContainerConfigError: {kind} "{name}", key {entry[key_field]} not found')
    return values


@dataclass
class Pod:
    """One attempt of a task.

    Attributes:
        scratch: a fresh directory of this machine for the pod's volumes.
        environment: the container's variables.
        user: numeric user and group; None stays who we are, for machines where only root could become another.
        shared: directories that several pods see, by their place below the root.
    """

    scratch: Path
    environment: dict[str, str]
    user: tuple[int, int] | None
    shared: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("root", "volumes"):
            (self.scratch / name).mkdir(parents=True)
        for name in ("tmp", *MOUNTS):
            (self.scratch / "volumes" / name).mkdir()
            (self.scratch / "volumes" / name).chmod(0o777)
        for name, directory in self.shared.items():
            directory.chmod(0o777)
            (self.scratch / "volumes" / name).symlink_to(directory)

    def local(self, path: str) -> Path:
        """Where a path of the container lies on this machine."""
        return self.scratch / "volumes" / path.lstrip("/")

    def run(self, command: list[str]) -> subprocess.CompletedProcess:
        """Runs the container's command to its end."""
        _open_to_all(self.scratch / "volumes")
        started = [*_unshare(), "sh", "-c", _ENTER, "sh", str(self.scratch / "root"), str(self.scratch / "volumes")]
        needed = {str(REPO), sys.prefix, sys.base_prefix}
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        variables = {"PATH": path, "NEEDED": " ".join(sorted(needed)), **IMAGE, **self.environment}
        return subprocess.run(
            [*started, *self._as_user(), *command], env=variables, cwd="/",
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip

    def _as_user(self) -> list[str]:
        if self.user is None:
            return []
        user, group = self.user
        rights = ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        return ["setpriv", f"--reuid={user}", f"--regid={group}", *rights, "--"]


def _open_to_all(directory: Path) -> None:
    """As an empty directory volume is: what the launcher put there before, the user may write beside."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)


def _unshare() -> list[str]:
    return ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


@cache
def why_not() -> str | None:
    """Why this machine gives no private mounts; None where it does."""
    try:
        done = subprocess.run(
            [*_unshare(), "mount", "-t", "tmpfs", "none", "/mnt"],
            capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
    except FileNotFoundError:
        return "unshare (util-linux) is not installed"
    return None if done.returncode == 0 else f"no private mounts here: {done.stderr.strip()}"
