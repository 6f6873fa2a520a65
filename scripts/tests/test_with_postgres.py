"""The throw-away server is there for the command, and gone after it."""

import os
import pathlib
import signal
import subprocess
import time

WITH_POSTGRES = pathlib.Path(__file__).resolve().parent.parent / "with_postgres.py"
SHOW = 'echo "$KEYBEARER_TEST_POSTGRES_URL"; echo "$KEYBEARER_TEST_POSTGRES_DATA"; test -f "$KEYBEARER_TEST_POSTGRES_DATA/PG_VERSION"'


def start(*command):
    return subprocess.Popen([WITH_POSTGRES, *command], stdout=subprocess.PIPE, text=True)


def gone(data):
    """Whether neither the files nor a process on them is left."""
    for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(str(data)) in process.read_bytes():
                return False
        except OSError:
            continue
    return not data.parent.exists()


def test_the_command_sees_a_server_and_its_status_is_passed_on():
    child = start("sh", "-c", f"{SHOW} && exit 7")
    output, _ = child.communicate(timeout=120)
    url, data = output.split()
    assert child.returncode == 7
    assert url.startswith("postgres://postgres@127.0.0.1:")
    assert gone(pathlib.Path(data))


def test_a_signal_ends_the_command_and_the_server():
    child = start("sh", "-c", f"{SHOW}; exec sleep 60")
    child.stdout.readline()
    data = pathlib.Path(child.stdout.readline().strip())
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=60) == 128 + signal.SIGTERM
    deadline = time.monotonic() + 10
    while not gone(data):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_command_that_does_not_exist_is_an_error_of_its_own():
    child = start("/nonexistent")
    child.communicate(timeout=120)
    assert child.returncode == 127
