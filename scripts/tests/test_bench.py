"""What the benchmark does with its peers: a load's result is read, and whatever goes wrong ends it and says why."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import types

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

import bench  # noqa: E402

ANY_CORE = str(min(os.sched_getaffinity(0)))
TARGET = bench.Target("nginx", "127.0.0.1:1", "none", None)


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts peers, or what keeps the core awake, with a shell script as the benchmark's program."""
    children = bench.Children(tmp_path)
    for name in ("PROXY_CORE", "LOAD_CORE"):
        monkeypatch.setattr(bench, name, ANY_CORE)
    monkeypatch.setattr(bench, "BUILT", tmp_path)

    def start(text, what=bench.Peers):
        (tmp_path / "bench").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bench").chmod(0o755)
        return what(children)

    yield start
    children.stop_all()


def wrong(call, *arguments):
    """What the benchmark ends with."""
    with pytest.raises(SystemExit) as ended:
        call(*arguments)
    return ended.value.code


def test_a_load_is_a_line_there_and_a_line_back(start):
    peers = start("""echo 127.0.0.1:2; read line; echo '{"requests": "'"$line"'"}'""")
    assert peers.address == "127.0.0.1:2"
    assert peers.load(bench.LARGE, TARGET, 0.5) == {"requests": "127.0.0.1:1 16 500 100000 json none"}


def test_a_load_that_failed_is_told(start):
    peers = start("""echo here; read line; echo '{"error": "the answer is 502"}'""")
    assert wrong(peers.load, bench.ONE, TARGET, 0.5) == "1 KB, 1 connection through nginx: the answer is 502"


def test_a_load_that_does_not_end_is_told(start, monkeypatch):
    monkeypatch.setattr(bench, "LATE_SECONDS", 0.3)
    peers = start("echo here; exec sleep 60")
    assert "not over after" in wrong(peers.load, bench.ONE, TARGET, 0.1)
    seen = []
    assert "not over after" in wrong(peers.load, bench.ONE, TARGET, 0.1, lambda: seen.append(1))
    assert seen


def test_peers_that_end_are_told(start):
    assert "no port" in wrong(start, "echo no port >&2")
    peers = start("echo here; read line; echo too many >&2")
    assert "too many" in wrong(peers.load, bench.ONE, TARGET, 0.5)
    assert "too many" in wrong(peers.load, bench.ONE, TARGET, 0.5)


class FewWorkspaces:
    """An instance of which only is asked what a comparison with a crowd asks."""

    api_key = "kb_own"
    child = types.SimpleNamespace(pid=os.getpid())

    def __init__(self):
        self.said = []

    def workspaces(self, count):
        return [f"kb_{number}" for number in range(count)]

    def target(self, api_keys):
        return bench.Target("Keybearer", "127.0.0.1:1", ",".join(api_keys), self.child.pid)

    def crowd(self, count):
        self.said.append(count)


def test_a_crowd_of_keys_is_compared_with_ten(monkeypatch):
    keybearer = FewWorkspaces()

    def measure(case, target, seconds, peers):
        keybearer.said.append((target.name, len(target.api_key.split(","))))
        return {"cpu_us": 20 if target.name == "nginx" else 30 if 1_000_000 in keybearer.said else 24}

    monkeypatch.setattr(bench, "measure", measure)
    ratio, _ = bench.with_a_crowd(keybearer, TARGET, 1, 0.1, None)
    assert round(ratio, 9) == 1.25
    load = [("Keybearer", 10), ("nginx", 1)]
    assert keybearer.said == [*load, 1_000_000, *load]


def test_calls_at_once_are_limited_where_they_are_measured_and_no_load_meets_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(bench.Keybearer, "start", lambda _: None)
    monkeypatch.setattr(bench.Keybearer, "set_up", lambda _: "kb_own")
    environment = bench.Keybearer(bench.Children(tmp_path), "127.0.0.1:2").environment
    most = max(case.connections for case in [*bench.CASES, bench.KEYS, bench.OPEN_STREAMS])
    assert most < int(environment["KEYBEARER_MAX_CALLS_PER_KEY"])


def test_what_keeps_the_core_awake_yields_to_all_others(start, tmp_path):
    # The 41st figure is the scheduling class.
    start('echo "$@" $(cut -d " " -f 41 /proc/$$/stat) >called; echo idle; read line', bench.keep_awake)
    assert (tmp_path / "called").read_text().split() == ["idle", str(os.SCHED_IDLE)]
    assert "no such class" in wrong(start, "echo no such class >&2", bench.keep_awake)


def test_children_with_an_input_end_when_nobody_is_left(tmp_path):
    (tmp_path / "bench").write_text("#!/bin/sh\necho here; read line; echo ended >ended\n")
    (tmp_path / "bench").chmod(0o755)
    text = f"""
import bench, os, pathlib, signal
here = pathlib.Path.cwd()
bench.BUILT, bench.LOAD_CORE = here, "{ANY_CORE}"
bench.Peers(bench.Children(here))
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SCRIPTS)}
    killed = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    until = time.monotonic() + 10
    while not (tmp_path / "ended").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert (tmp_path / "ended").exists()
