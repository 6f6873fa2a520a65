#!/usr/bin/env python3
"""Adds up the results of test runs from their output.

    scripts/count_tests.py LOG...

Understands cargo's `test result: ...` lines, and the last lines of pytest, vitest and Playwright. Prints `N passed, N failed`, with `N skipped`
behind it when tests were left out. Exits with 1 when a test failed or none passed.
"""

import pathlib
import re
import sys
from dataclasses import dataclass

# Anywhere in a line: the output of a test without a line break can stand before it.
CARGO = re.compile(r"test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored;")
PYTEST = re.compile(r"^=*\s*(\d+ (?:passed|failed|error|skipped|xfailed|xpassed|warning|deselected|rerun)[^=]*) in [\d.]+s")
PYTEST_PART = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
# `      Tests  1 failed | 12 passed | 2 skipped (15)`
VITEST = re.compile(r"^\s*Tests\s+(\d+ (?:passed|failed|skipped|todo).*) \(\d+\)$")
# `  12 passed (34.5s)`, each kind on a line of its own; only the first has the time.
PLAYWRIGHT = re.compile(r"^  (\d+) (passed|failed|skipped|flaky|did not run|interrupted)(?: \([\d.]+(?:ms|s|m|h)\))?$")
COLOR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Counts:
    """How many tests ended how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def count(text):
    """The counts in the output of one run."""
    counts = Counts()
    for line in COLOR.sub("", text).splitlines():
        cargo = CARGO.search(line)
        if cargo:
            passed, failed, ignored = map(int, cargo.groups())
            counts.add(Counts(passed, failed, ignored))
            continue
        summary = PYTEST.match(line) or VITEST.match(line)
        parts = PYTEST_PART.findall(summary.group(1)) if summary else PLAYWRIGHT.findall(line)
        for number, kind in parts:
            # A flaky test failed at first: no success either.
            name = {"passed": "passed", "skipped": "skipped"}.get(kind, "failed")
            setattr(counts, name, getattr(counts, name) + int(number))
    return counts


def main():
    counts = Counts()
    for path in sys.argv[1:]:
        counts.add(count(pathlib.Path(path).read_text(errors="replace")))
    print(counts)
    return 0 if counts.passed > 0 and counts.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
