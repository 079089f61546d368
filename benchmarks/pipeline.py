"""The whole pipeline in ``kfp.local``, against its embedded store, and what each task adds to its step's own work."""

from __future__ import annotations

import itertools
import resource
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Watch:
    """Follows a run by its events; a task lasts until the next one starts, as tasks come one after the other."""

    marks: list[tuple[str, float, float]] = field(default_factory=list)
    records: dict[str, Any] = field(default_factory=dict)

    def __call__(self, event: str, record: Any) -> None:
        """Takes an event of ``pipelines.local.run``."""
        if event == "started":
            self.mark(record.name)
        self.records[record.name] = record

    def mark(self, name: str) -> None:
        """Notes the moment, and the processor time of the processes that ended until then."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.marks.append((name, time.perf_counter(), used.ru_utime + used.ru_stime))

    def rows(self) -> dict[str, dict[str, float]]:
        """For each task: wall and processor time of all it took, seconds inside the step, the difference, the peak."""
        rows = {}
        for (name, start, cpu), (_, stop, cpu_after) in itertools.pairwise(self.marks):
            if name not in self.records:
                continue
            seconds, wall = self.records[name].seconds, stop - start
            rows[name] = {
                "wall_s": wall,
                "cpu_s": cpu_after - cpu,
                "inside_s": seconds,
                "overhead_s": wall - seconds,
                "peak_mb": self.records[name].peak_rss_mb,
            }
        return rows


def run(config: dict[str, Any], directory: str) -> dict[str, Any]:
    """Runs the pipeline; what a measured process does.

    Args:
        config: the whole configuration.
        directory: the workspace.

    Returns:
        What each task took, wall of the run in an open workspace, wall of opening and closing it, the store's
        processor time, and the scores.
    """
    from lstfill.config import Config
    from pipelines.local import run as run_locally
    from pipelines.local import workspace

    watch, began = Watch(), time.perf_counter()
    with workspace(directory) as place:
        opened = time.perf_counter()
        summary = run_locally(Config.model_validate(config), place, cache=False, on_step=watch)
        watch.mark("end")
    closed = time.perf_counter()
    watch.mark("closed")
    ended = watch.marks[-2]
    return {
        "steps": watch.rows(),
        "wall_s": ended[1] - opened,
        "around_s": (opened - began) + (closed - ended[1]),
        "store_cpu_s": watch.marks[-1][2] - ended[2],
        "scores": summary.results["scores"]["test"],
    }
