"""What merges the counts of a profile is found, and counts that are of no use are noticed."""

import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "build_release.py"
sys.path.insert(0, str(SCRIPT.parent))

import build_release  # noqa: E402


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


def test_counts_of_another_build_are_noticed(tmp_path):
    program(tmp_path / "merge", "echo 'gateway.0123456789abcdef-cgu.0;_ZN7gateway4pump: Counters: 7'")
    library = tmp_path / "deps" / "libgateway-1.rlib"
    library.parent.mkdir()
    library.write_bytes(b"!<arch>\ngateway-1.gateway.0123456789abcdef-cgu.0.rcgu.o/")
    build_release.check(tmp_path / "merge", "some.profdata", tmp_path)
    library.write_bytes(b"!<arch>\ngateway-2.gateway.fedcba9876543210-cgu.0.rcgu.o/")
    with pytest.raises(SystemExit, match="another build"):
        build_release.check(tmp_path / "merge", "some.profdata", tmp_path)
