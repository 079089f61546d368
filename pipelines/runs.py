"""A run on Kubeflow as a person sees it: its state, its steps, why it failed, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from lstfill.errors import LstfillError
from pipelines.platform import STEPS
from pipelines.pods import Obstacle
from pipelines.refusals import ServiceError

SUCCEEDED = "SUCCEEDED"
FINISHED = (SUCCEEDED, "FAILED", "CANCELED", "SKIPPED")


class RunNotSucceededError(LstfillError):
    """A run that failed, was canceled, waits for something that does not come, or takes too long."""


@dataclass(frozen=True)
class Task:
    """One step of a run.

    Attributes:
        step: its name.
        state: as Kubeflow names it, like RUNNING.
        seconds: from start to end; None while there is no end.
        message: why it failed, if Kubeflow says so.
    """

    step: str
    state: str
    seconds: float | None = None
    message: str = ""


@dataclass(frozen=True)
class State:
    """A run at one moment."""

    run_id: str
    name: str
    state: str
    tasks: list[Task] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in FINISHED

    @property
    def succeeded(self) -> bool:
        """Whether every step did what it should."""
        return self.state == SUCCEEDED


class Runs(Protocol):
    """Where runs are asked for."""

    def run(self, run_id: str) -> Any:
        """A run as the API describes it."""

    def address(self, run_id: str) -> str:
        """Where a person looks at it."""


class Watched(Protocol):
    """Where a run's pods are asked for."""

    def obstacles(self, run_id: str) -> list[Obstacle]:
        """What keeps steps from starting."""

    def causes(self, run_id: str) -> dict[str, str]:
        """Why steps failed."""


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: for the run, for what keeps it from starting, between two looks."""

    timeout_s: float = 24 * 3600.0
    grace_s: float = 120.0
    poll_s: float = 5.0


def state_of(run: Any) -> State:
    """What the API says of a run, in the order of the steps."""
    details = (run.run_details.task_details if run.run_details else None) or []
    named = {detail.display_name: detail for detail in details}
    tasks = [_task(step, named[step], details) for step in STEPS if step in named]
    messages = [_message(run), *(task.message for task in tasks)]
    return State(
        str(run.run_id), str(run.display_name or ""), _upper(run.state), tasks, [text for text in messages if text]
    )


def _task(step: str, detail: Any, details: Iterable[Any]) -> Task:
    # A step is a graph of its driver and its executor; the reason of a failure stands at one of them.
    below = {child.pod_name or child.task_id for child in detail.child_tasks or []}
    parts = [detail, *(other for other in details if other.pod_name in below or other.task_id in below)]
    message = next((text for text in map(_message, parts) if text), "")
    ended = detail.end_time and detail.start_time and detail.end_time.year > 1970
    seconds = (detail.end_time - detail.start_time).total_seconds() if ended else None
    return Task(step, _upper(detail.state), seconds, message)


def _message(of: Any) -> str:
    """The error of a run or task, or the last of its history."""
    errors = [of.error, *(entry.error for entry in reversed(of.state_history or []))]
    return next((error.message.strip() for error in errors if error and error.message), "")


def _upper(state: str | None) -> str:
    return "PENDING" if not state or state == "RUNTIME_STATE_UNSPECIFIED" else state.upper()


def outcome(state: State, address: str, cluster: Watched | None) -> None:
    """Raises for a run that ended without success.

    Args:
        state: the run.
        address: where a person looks at it.
        cluster: knows why steps failed; None if Kubernetes is not reached.

    Raises:
        RunNotSucceededError: with each reason that is known.
    """
    if state.succeeded or not state.finished:
        return
    found = cluster.causes(state.run_id) if cluster else {}
    reasons = [f"{step}: {message}" for step, message in found.items()]
    reasons += [f"{task.step}: {task.message}" for task in state.tasks if task.message and task.step not in found]
    failed = ", ".join(task.step for task in state.tasks if task.state == "FAILED")
    reasons = reasons or state.messages or [f"{failed or 'a step'}; its log tells why"]
    lines = "".join(f"\n  {reason}" for reason in reasons)
    raise RunNotSucceededError(f"run {state.run_id} ended as {state.state}{lines}\nSee {address}")


def wait(
    runs: Runs,
    run_id: str,
    *,
    patience: Patience,
    cluster: Watched | None,
    on_change: Callable[[State, list[Obstacle]], None],
) -> State:
    """Waits for the end of a run, whatever the end is.

    Args:
        runs: where it is asked for.
        run_id: the run.
        patience: how long.
        cluster: what keeps its pods from starting; None if Kubernetes is not reached.
        on_change: called with what is known at each look.

    Raises:
        RunNotSucceededError: if it takes too long, or if something has kept it from starting for the grace time.
        ServiceError: if the endpoint stays away for the grace time, or does not let the caller in any more.
    """
    deadline = time.monotonic() + patience.timeout_s
    answered, since = time.monotonic(), dict[tuple[str, str], float]()
    while True:
        try:
            state, answered = state_of(runs.run(run_id)), time.monotonic()
        except ServiceError as error:
            if not error.may_pass or time.monotonic() - answered > patience.grace_s:
                raise ServiceError(error.status, f"{error}\n{_goes_on(run_id)}") from None
        else:
            obstacles = [] if state.finished or cluster is None else cluster.obstacles(run_id)
            on_change(state, obstacles)
            if state.finished:
                return state
            since = _stuck(run_id, obstacles, since, patience.grace_s, runs.address(run_id))
        _pause(run_id, deadline, patience)


def _stuck(
    run_id: str, obstacles: list[Obstacle], since: dict[tuple[str, str], float], grace_s: float, address: str
) -> dict[tuple[str, str], float]:
    """Since when each obstacle stands; ends the wait for those that stand too long."""
    now = time.monotonic()
    standing = {(found.step, found.kind): since.get((found.step, found.kind), now) for found in obstacles}
    lasting = [found for found in obstacles if found.stays and now - standing[found.step, found.kind] >= grace_s]
    if lasting:
        lines = "".join(f"\n  {found}" for found in lasting)
        raise RunNotSucceededError(
            f"run {run_id} does not start, for {grace_s:g} s now{lines}\n"
            f"Kubeflow still waits for it; end it there once you know: {address}"
        )
    return standing


def _pause(run_id: str, deadline: float, patience: Patience) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise RunNotSucceededError(f"run {run_id} has not ended within {patience.timeout_s:g} s. {_goes_on(run_id)}")
    time.sleep(min(patience.poll_s, left))


def _goes_on(run_id: str) -> str:
    return f"It goes on: python -m pipelines status {run_id}"
