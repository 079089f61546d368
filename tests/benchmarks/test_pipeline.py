"""What a task adds to its step's own work, from the events of a run."""

import subprocess
import sys

import pytest

from benchmarks.pipeline import Watch
from pipelines.progress import StepRecord

BURN = "import time\nwhile time.process_time() < 0.3: pass"


def test_a_task_lasts_until_the_next_one_starts():
    watch = Watch()
    for name in ("ingest", "mask"):
        watch("started", StepRecord(name))
        if name == "mask":
            subprocess.run([sys.executable, "-S", "-c", BURN], check=True)
        watch("done", StepRecord(name, seconds=0.01, peak_rss_mb=7.0))
    watch.mark("end")
    rows = watch.rows()
    assert list(rows) == ["ingest", "mask"]
    assert rows["ingest"]["cpu_s"] == 0
    assert 0.3 <= rows["mask"]["cpu_s"] < 1
    for row in rows.values():
        assert row["overhead_s"] == pytest.approx(row["wall_s"] - 0.01)
        assert row["peak_mb"] == 7.0
