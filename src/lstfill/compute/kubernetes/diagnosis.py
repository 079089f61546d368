"""What pods say of themselves, in one line: why they wait, and whether waiting longer can help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_IMAGE = "check cluster.image or the step's image, and the pull secrets of its pod"
_SETTING = "make what is missing in the namespace, manifests/ has it"
_REMEDIES = {
    "ImagePullBackOff": _IMAGE,
    "ErrImagePull": _IMAGE,
    "ErrImageNeverPull": _IMAGE,
    "InvalidImageName": _IMAGE,
    "CreateContainerConfigError": _SETTING,
    "CreateContainerError": "the image must have Dask, and no entry point that does not run its arguments",
    "RunContainerError": "the image must have Dask, and no entry point that does not run its arguments",
    "CrashLoopBackOff": "see its log",
}
_RESTARTS = 3


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod passes its probe."""
    conditions = {entry["type"]: entry["status"] for entry in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True"


def is_crashing(pod: Mapping[str, Any]) -> bool:
    """Whether a pod's container ended by itself, again and again."""
    entries = _containers(pod)
    return any(
        entry.get("restartCount", 0) >= _RESTARTS or _waits_for(entry) == "CrashLoopBackOff" for entry in entries
    )


def trouble(pod: Mapping[str, Any]) -> str | None:
    """Why a pod will not start by waiting alone, with the remedy; none if it may."""
    name = pod["metadata"]["name"]
    for entry in _containers(pod):
        waiting = entry.get("state", {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in _REMEDIES:
            told = waiting.get("message") or "no message"
            return f"pod {name} waits in {reason} for image {entry.get('image')} ({told}): {_REMEDIES[reason]}"
        if is_crashing(pod):
            ended = entry.get("lastState", {}).get("terminated") or {}
            return (
                f"the container of pod {name} ended {entry['restartCount']} times, last with "
                f"{ended.get('reason', 'no reason')} (exit code {ended.get('exitCode')}): "
                "see its log; OOMKilled means that its memory is too small"
            )
    return None


def said_by(pod: Mapping[str, Any]) -> str:
    """What a pod is waiting for, as far as it knows."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    unplaced = [entry for entry in status.get("conditions", []) if entry["type"] == "PodScheduled"]
    if unplaced and unplaced[0]["status"] == "False":
        return f"pod {name} finds no node ({unplaced[0].get('message', unplaced[0].get('reason'))})"
    waits = [_waits_for(entry) for entry in _containers(pod)]
    reason = ", ".join(filter(None, waits)) or ("is ready" if is_ready(pod) else "is not ready")
    return f"pod {name}: {status.get('phase', 'no phase')}, {reason}"


def _waits_for(entry: Mapping[str, Any]) -> str:
    return str((entry.get("state", {}).get("waiting") or {}).get("reason") or "")


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(pod.get("status", {}).get("containerStatuses") or [])
