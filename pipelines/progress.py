"""What a run says while it runs: KFP's output goes to a log file, one line a step to the person who waits."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lstfill.steps.task import EVENT

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_STARTED = re.compile(r"Executing task '(?P<task>[\w-]+)'")
_CACHED = re.compile(r"Task (?P<task>[\w-]+) cache hit")
_FINISHED = re.compile(r"Task '(?P<task>[\w-]+)' finished with status (?P<status>\w+)")


@dataclass
class StepRecord:
    """What is known of one step."""

    name: str
    seconds: float = 0.0
    peak_rss_mb: float = 0.0
    cached: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the summary."""
        return asdict(self)


class RunLog(io.TextIOBase):
    """A text stream that keeps everything in a file and reads the steps' events from it."""

    def __init__(self, path: Path, on_step: Callable[[str, StepRecord], None]) -> None:
        self.path = path
        self.steps: dict[str, StepRecord] = {}
        self.failure: tuple[str, str] | None = None
        self._on_step = on_step
        self._line = ""
        self._last = ""
        self._file = path.open("w", encoding="utf-8")

    def writable(self) -> bool:
        """Always: this is a sink."""
        return True

    def write(self, text: str) -> int:
        """Keeps the text and looks at each line that became whole."""
        self._file.write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._read(_COLOR.sub("", line))
        return len(text)

    def flush(self) -> None:
        """Makes the log readable for others."""
        self._file.flush()

    def close(self) -> None:
        """Ends the log file."""
        super().close()
        self._file.close()

    def _read(self, line: str) -> None:
        if EVENT in line:
            self._take(json.loads(line.split(EVENT, 1)[1]))
        elif found := _STARTED.search(line):
            self._on_step("started", self.steps.setdefault(found["task"], StepRecord(found["task"])))
        elif found := _CACHED.search(line):
            record = self.steps[found["task"]] = StepRecord(found["task"], cached=True)
            self._on_step("cached", record)
        elif (found := _FINISHED.search(line)) and found["status"] == "FAILURE":
            self.failure = self.failure or (found["task"], self._last)
            self._on_step("failed", self.steps[found["task"]])
        elif line.strip():
            self._last = line.strip()

    def _take(self, event: dict[str, Any]) -> None:
        name = event["step"]
        if "error" in event:
            self.failure = (name, event["error"])
            return
        record = self.steps.setdefault(name, StepRecord(name))
        record.seconds, record.peak_rss_mb = event["seconds"], event["peak_rss_mb"]
        self._on_step("done", record)
