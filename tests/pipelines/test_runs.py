"""A run as a person sees it, and how long to wait for one."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pytest

from pipelines import runs as module
from pipelines.pods import Obstacle
from pipelines.refusals import ServiceError
from pipelines.runs import Patience, RunNotSucceededError, State, Task, outcome, state_of, wait

RUN = "0b544c40-270a-4d18-8d60-22ee399234c2"
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
USUAL = Patience(timeout_s=3600, grace_s=120, poll_s=5)


def error(message):
    return SimpleNamespace(code=13, message=message)


def detail(name, state, seconds=None, **more):
    ended = NEVER if seconds is None else START + dt.timedelta(seconds=seconds)
    empty = {"error": None, "state_history": None, "child_tasks": None, "pod_name": f"pod-{name}", "task_id": name}
    return SimpleNamespace(
        **{**empty, "display_name": name, "state": state, "start_time": START, "end_time": ended, **more}
    )


def run(state="RUNNING", details=(), **more):
    found = SimpleNamespace(task_details=list(details))
    given = {"run_id": RUN, "display_name": "n", "error": None, "state_history": None, "run_details": found}
    return SimpleNamespace(**{**given, "state": state, **more})


class TestStateOf:
    def test_the_steps_in_their_order_without_drivers_and_executors(self):
        names = ["executor", "mask", "root-driver", "ingest-driver", "ingest", "lstfill-x7k2p"]
        found = state_of(run(details=[detail(name, "Succeeded", 2.5) for name in names]))
        assert found.tasks == [Task("ingest", "SUCCEEDED", 2.5), Task("mask", "SUCCEEDED", 2.5)]

    def test_no_end_is_no_duration(self):
        assert state_of(run(details=[detail("ingest", "RUNNING")])).tasks == [Task("ingest", "RUNNING")]

    @pytest.mark.parametrize("state", [None, "", "RUNTIME_STATE_UNSPECIFIED"])
    def test_a_run_that_nobody_has_seen_yet(self, state):
        found = state_of(run(state, run_details=None))
        assert (found.state, found.tasks, found.finished, found.succeeded) == ("PENDING", [], False, False)

    @pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"])
    def test_ends(self, state):
        found = state_of(run(state))
        assert found.finished
        assert found.succeeded == (state == "SUCCEEDED")

    @pytest.mark.parametrize("state", ["PENDING", "RUNNING", "CANCELING", "PAUSED"])
    def test_not_yet_ended(self, state):
        assert not state_of(run(state)).finished

    def test_the_run_s_own_error(self):
        assert state_of(run("FAILED", error=error("no such account"))).messages == ["no such account"]

    def test_an_error_of_the_history_the_last_one(self):
        history = [
            SimpleNamespace(error=error("first")),
            SimpleNamespace(error=error("last")),
            SimpleNamespace(error=None),
        ]
        assert state_of(run("FAILED", state_history=history)).messages == ["last"]

    def test_the_error_of_a_step_s_executor(self):
        children = [SimpleNamespace(pod_name="pod-executor", task_id=None)]
        details = [
            detail("split", "FAILED", 1, child_tasks=children),
            detail("executor", "FAILED", error=error("exit 1")),
        ]
        found = state_of(run("FAILED", details))
        assert found.tasks == [Task("split", "FAILED", 1.0, "exit 1")]
        assert found.messages == ["exit 1"]


class Cluster:
    """What Kubernetes would say, look by look."""

    def __init__(self, *obstacles, causes=None):
        self.looks = list(obstacles)
        self.reasons = causes or {}

    def obstacles(self, run_id):
        assert run_id == RUN
        return (self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]) if self.looks else []

    def causes(self, run_id):
        assert run_id == RUN
        return self.reasons


class TestOutcome:
    def failed(self, **more):
        tasks = [Task("ingest", "SUCCEEDED", 1.0), Task("split", "FAILED", 1.0, more.pop("message", ""))]
        return State(RUN, "n", "FAILED", tasks, **more)

    @pytest.mark.parametrize("state", ["SUCCEEDED", "RUNNING", "PENDING"])
    def test_nothing_to_complain_of(self, state):
        outcome(State(RUN, "n", state), "http://x", Cluster(causes={"split": "never shown"}))

    def test_the_message_of_the_step_s_log_comes_first(self):
        cluster = Cluster(causes={"split": "the test part is empty: take smaller blocks"})
        with pytest.raises(RunNotSucceededError) as raised:
            outcome(self.failed(message="exit code 1"), "http://x", cluster)
        assert str(raised.value) == (
            f"run {RUN} ended as FAILED\n  split: the test part is empty: take smaller blocks\nSee http://x"
        )

    def test_kubeflow_s_message_otherwise(self):
        with pytest.raises(RunNotSucceededError, match=r"\n  split: exit code 1\nSee http://x"):
            outcome(self.failed(message="exit code 1"), "http://x", None)

    def test_the_run_s_message_otherwise(self):
        with pytest.raises(RunNotSucceededError, match=r"\n  no such account\n"):
            outcome(self.failed(messages=["no such account"]), "http://x", None)

    def test_at_least_which_step(self):
        with pytest.raises(RunNotSucceededError, match=r"\n  split; its log tells why\n"):
            outcome(self.failed(), "http://x", Cluster())

    def test_canceled(self):
        with pytest.raises(RunNotSucceededError, match="ended as CANCELED"):
            outcome(State(RUN, "n", "CANCELED"), "http://x", None)


class Runs:
    """Runs that change from look to look; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.looks = 0

    def run(self, run_id):
        assert run_id == RUN
        self.looks += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return run(answer)

    def address(self, run_id):
        return f"http://x/{run_id}"


IMAGE = Obstacle("ingest", "image", "the image x:1 cannot be pulled")
NODES = Obstacle("ingest", "nodes", "no node takes the pod")


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class TestWait:
    @pytest.fixture(autouse=True)
    def clock(self, monkeypatch):
        clock = Clock()
        monkeypatch.setattr(module, "time", clock)
        return clock

    def wait(self, runs, patience=USUAL, cluster=None):
        self.seen = []
        return wait(runs, RUN, patience=patience, cluster=cluster, on_change=lambda *found: self.seen.append(found))

    @pytest.mark.parametrize("end", ["SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"])
    def test_until_the_end_whatever_it_is(self, end):
        assert self.wait(Runs("PENDING", "RUNNING", "CANCELING", end)).state == end
        assert [state.state for state, _ in self.seen] == ["PENDING", "RUNNING", "CANCELING", end]

    def test_not_longer_than_said(self, clock):
        with pytest.raises(RunNotSucceededError, match=rf"has not ended within 90 s. .*pipelines status {RUN}"):
            self.wait(Runs("RUNNING"), Patience(90, 600, 60))
        assert clock.now == 1090

    def test_what_stands_in_the_way_for_the_grace_time_ends_it(self, clock):
        with pytest.raises(
            RunNotSucceededError, match=r"does not start, for 120 s now\n  ingest: the image x:1"
        ) as raised:
            self.wait(Runs("PENDING"), cluster=Cluster([IMAGE]))
        assert f"http://x/{RUN}" in str(raised.value)
        assert clock.now == 1120

    def test_what_passes_does_not(self):
        looks = [[IMAGE]] * 3 + [[]] + [[IMAGE]] * 3 + [[]]
        states = ["PENDING"] * 10 + ["SUCCEEDED"]
        assert self.wait(Runs(*states), Patience(600, 12, 5), Cluster(*looks)).succeeded

    def test_another_reason_of_the_same_kind_is_the_same_obstacle(self):
        other = Obstacle("ingest", "image", "ErrImagePull")
        with pytest.raises(RunNotSucceededError, match="does not start"):
            self.wait(Runs("PENDING"), cluster=Cluster(*[[IMAGE], [other]] * 50))

    def test_nodes_can_still_come(self):
        with pytest.raises(RunNotSucceededError, match=r"has not ended within 600 s"):
            self.wait(Runs("PENDING"), Patience(600, 10, 5), Cluster([NODES]))

    def test_a_server_that_comes_back(self):
        away = ServiceError(0, "cannot be reached")
        assert self.wait(Runs("RUNNING", away, ServiceError(503, "failed"), "SUCCEEDED")).succeeded

    def test_a_server_that_stays_away(self, clock):
        runs = Runs("RUNNING", ServiceError(0, "cannot be reached"))
        with pytest.raises(ServiceError, match=rf"cannot be reached\nIt goes on: python -m pipelines status {RUN}"):
            self.wait(runs)
        assert clock.now == 1125

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_refusal_ends_it_at_once(self, status):
        runs = Runs("RUNNING", ServiceError(status, "expired"))
        with pytest.raises(ServiceError, match="expired\nIt goes on"):
            self.wait(runs)
        assert runs.looks == 2

    def test_nothing_is_asked_of_kubernetes_after_the_end(self):
        assert self.wait(Runs("FAILED"), Patience(600, 0, 5), Cluster([IMAGE])).state == "FAILED"
        assert self.seen[0][1] == []
