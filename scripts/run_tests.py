#!/usr/bin/env python3
"""Runs all tests, step by step, and ends with their plain count.

Called by `make test` under `scripts/with_postgres.py`, which says where the throw-away PostgreSQL server is. Each
step's output goes to the terminal and to `target/test-logs/`. A step that fails does not keep the next from running;
the exit status is 0 only if every step ran tests and all of them passed.
"""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from commands_run import never_run
from count_tests import Counts, count

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "target" / "test-logs"
# The arguments of every run of the binary in the integration tests.
COMMANDS = LOGS / "commands.txt"
PYTEST = [".venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
CARGO_TEST = ["cargo", "test", "--locked", "--no-fail-fast"]
# Tests wait for servers and clocks half of their time: with one for each core the cores would be idle as long.
TEST_THREADS = str(2 * (os.cpu_count() or 2))


@dataclass
class Step:
    """One command that runs tests."""

    name: str
    command: list
    minutes: int
    environment: dict = field(default_factory=dict)


STEPS = [
    # Unit tests, the store's statements on both engines, and the integration tests on SQLite.
    Step(
        "rust-sqlite", [*CARGO_TEST, "--workspace"], 35,
        {"KEYBEARER_TEST_DATABASE": "sqlite", "KEYBEARER_TEST_COMMANDS": str(COMMANDS)},
    ),
    Step("rust-postgres", [*CARGO_TEST, "-p", "keybearer", "--test", "it"], 15, {"KEYBEARER_TEST_DATABASE": "postgres"}),
    Step("scripts", [*PYTEST, "scripts/tests"], 12),
    # Against software that nobody here wrote: the SDKs, libsodium, a mock of the providers. Both engines.
    Step("sdk", [*PYTEST, "tests/sdk"], 20),
    # The console: what needs no browser, then Chromium against the binary.
    Step("console-unit", ["scripts/test_console.sh", "unit"], 10),
    Step("console-browser", ["scripts/test_console.sh", "browser"], 20),
]


def run(step):
    """Runs a step. Returns its counts and whether all is well."""
    print(f"\n== {step.name}: {' '.join(step.command)}", flush=True)
    path = LOGS / f"{step.name}.log"
    started = time.monotonic()
    child = subprocess.Popen(
        step.command, cwd=ROOT, env=os.environ | {"RUST_TEST_THREADS": TEST_THREADS} | step.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    timer = threading.Timer(step.minutes * 60, end, [child])
    timer.start()
    tail = bytearray()
    try:
        with open(path, "wb") as log:
            for line in child.stdout:
                log.write(line)
                tail += line
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
        status = child.wait()
    finally:
        timer.cancel()
        end(child)
    counts = count(tail.decode(errors="replace"))
    seconds = time.monotonic() - started
    well = status == 0 and counts.failed == 0 and counts.passed > 0
    if status != 0 and counts.failed == 0:
        # It did not build, was ended for its time, or broke otherwise: that is a failure, and it counts.
        counts.failed = 1
    print(f"== {step.name}: {counts}, exit {status}, {seconds:.0f} s", flush=True)
    return counts, well


def end(child):
    """Ends the child and what it started: they share a process group of their own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def main():
    LOGS.mkdir(parents=True, exist_ok=True)
    # Ended from outside, as by Ctrl-C: the `finally` above takes the running step down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # The console first: cargo takes it into the binary.
    builds = [["scripts/build_console.sh"], ["cargo", "build", "--locked", "-p", "keybearer"]]
    well = all(subprocess.run(build, cwd=ROOT, check=False).returncode == 0 for build in builds)
    total = Counts(failed=0 if well else 1)
    COMMANDS.unlink(missing_ok=True)
    for step in STEPS if well else []:
        counts, fine = run(step)
        total.add(counts)
        well = well and fine
    # Also after a failure: one run says all that is wrong.
    if COMMANDS.exists():
        missing = never_run((ROOT / "docs" / "cli.md").read_text(), COMMANDS.read_text())
        for name in missing:
            print(f"no test runs `keybearer {name}`")
        total.add(Counts(failed=len(missing)))
        well = well and not missing
    print(f"\n{total}")
    (LOGS / "summary.txt").write_text(f"{total}\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
