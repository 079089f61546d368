import json

import pytest

from pipelines.progress import EVENT, RunLog


@pytest.fixture
def log(tmp_path):
    seen = []
    stream = RunLog(tmp_path / "run.log", lambda event, step: seen.append((event, step.name)))
    stream.seen = seen
    yield stream
    stream.close()


def test_keeps_every_character(log):
    log.write("one\ntw")
    log.write("o\nno end")
    log.flush()
    assert log.path.read_text() == "one\ntwo\nno end"


def test_reads_start_and_end_of_a_step_over_split_writes(log):
    log.write("12:00:00 - INFO - Executing task \x1b[96m'ingest'\x1b[0m\n")
    event = EVENT + json.dumps({"step": "ingest", "seconds": 1.5, "peak_rss_mb": 300.0}) + "\n"
    log.write("[KFP Executor INFO]: " + event[:20])
    log.write(event[20:])
    assert log.seen == [("started", "ingest"), ("done", "ingest")]
    assert log.steps["ingest"].to_dict() == {"name": "ingest", "seconds": 1.5, "peak_rss_mb": 300.0, "cached": False}


def test_a_failed_step_tells_its_own_message(log):
    log.write("Executing task 'split'\n")
    log.write(EVENT + json.dumps({"step": "split", "error": "an empty part"}) + "\n")
    log.write("Traceback\n  lstfill.errors.DataError: an empty part\n")
    log.write("Task 'split' finished with status FAILURE\n")
    assert log.failure == ("split", "an empty part")
    assert log.seen[-1] == ("failed", "split")


def test_a_step_that_dies_without_a_word_is_named_with_its_last_line(log):
    log.write("Executing task 'train'\n    Killed\n\nTask 'train' finished with status FAILURE\n")
    assert log.failure == ("train", "Killed")


def test_a_cached_step_is_marked(log):
    log.write("Task mask cache hit (key=0123); skipping execution.\n")
    assert log.steps["mask"].cached
    assert log.seen == [("cached", "mask")]
