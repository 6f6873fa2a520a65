"""The count of tests is what the logs say, and silence is no success."""

import pathlib
import subprocess
import sys

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

from count_tests import count  # noqa: E402

CARGO = "test result: ok. 7 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.17s\n"
CARGO_FAILED = "test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.00s\n"


def counts(text):
    found = count(text)
    return found.passed, found.failed, found.skipped


def test_cargo_results_add_up():
    assert counts("running 9 tests\n" + CARGO + CARGO_FAILED) == (8, 3, 2)
    assert counts("a print without a line break" + CARGO) == (7, 0, 2)


def test_pytest_results_are_read_in_every_spelling():
    assert counts("12 passed in 3.21s\n") == (12, 0, 0)
    assert counts("=== 1 failed, 12 passed, 2 skipped, 1 warning, 3 errors in 3.21s ===\n") == (12, 4, 2)
    assert counts("\x1b[32m\x1b[1m4 passed\x1b[0m\x1b[32m in 0.5s\x1b[0m\n") == (4, 0, 0)
    assert counts("2 passed in 71.02s (0:01:11)\n") == (2, 0, 0)


def test_vitest_and_playwright_results_are_read():
    assert counts(" Test Files  2 passed (2)\n      Tests  13 passed (13)\n") == (13, 0, 0)
    assert counts("      Tests  1 failed | 12 passed | 2 skipped (15)\n") == (12, 1, 2)
    assert counts("\n  2 failed\n    [x] a.spec.ts\n  1 flaky\n  1 skipped\n  9 passed (34.5s)\n") == (9, 3, 1)
    assert counts("  3 did not run\n  9 passed (1.2m)\n") == (9, 3, 0)


def test_other_lines_are_no_results():
    assert counts("test result: broken\n3 passed the door\nno tests ran in 0.01s\n") == (0, 0, 0)


def run(tmp_path, text):
    log = tmp_path / "log"
    log.write_text(text)
    done = subprocess.run([SCRIPTS / "count_tests.py", log], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout


def test_the_command_fails_when_a_test_failed_or_none_ran(tmp_path):
    assert run(tmp_path, CARGO) == (0, "7 passed, 0 failed, 2 skipped\n")
    assert run(tmp_path, CARGO_FAILED)[0] == 1
    assert run(tmp_path, "") == (1, "0 passed, 0 failed\n")
