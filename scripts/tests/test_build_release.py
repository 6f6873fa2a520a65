"""What merges the counts of a profile is found, and an older one is not taken."""

import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "build_release.py"


def program(path, text="exit 0"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def has_profdata(tmp_path):
    """Asks the script, with a toolchain whose folder is `sysroot` and with the programs in `bin` alone."""
    program(tmp_path / "bin" / "rustc", f'[ "$1" = -vV ] && echo "host: here" || echo {tmp_path}/sysroot')

    def ask():
        asked = [sys.executable, SCRIPT, "--has-profdata"]
        return subprocess.run(asked, env={"PATH": f"{tmp_path}/bin"}, check=False).returncode == 0

    return ask


def test_it_is_the_toolchains_own(tmp_path, has_profdata):
    assert not has_profdata()
    program(tmp_path / "sysroot" / "lib" / "rustlib" / "here" / "bin" / "llvm-profdata")
    assert has_profdata()


def test_else_it_is_one_that_reads_the_compilers_form(tmp_path, has_profdata):
    program(tmp_path / "bin" / "llvm-profdata")
    program(tmp_path / "bin" / "llvm-profdata-18")
    assert not has_profdata()
    program(tmp_path / "bin" / "llvm-profdata-19")
    assert has_profdata()
