#!/usr/bin/env python3
"""Builds the binary as it ships, `target/release/keybearer`, laid out by what a load of calls runs through.

    scripts/build_release.py

A call passes through some 400 KB of code and nearly no loop: what it costs is mostly that the processor has forgotten the
code when it comes to it. So the compiler is told what calls run through (a profile), and puts that together. Three steps:
a build that counts (`target/profile`), a load of some seconds against it on loopback, with the benchmark's provider and
database of its own, and the build that uses the counts. See docs/benchmarks.md for what it gains.

The counts are merged by `llvm-profdata`, of the toolchain (the component `llvm-tools`) or of Debian (`llvm-19`); see
`scripts/install_release_requisites.sh`. Without one the binary is built plainly, which is said: it works the same.
"""

import argparse
import hashlib
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import bench

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROFILE = TARGET / "profile"
SECONDS = 4
# What the load is made of. The kinds that most calls are of, none for long: a profile weighs by counts.
LOADS = [bench.ONE, bench.MANY, bench.TRANSLATED, bench.STREAM, bench.LARGE]


def rustc(*arguments):
    return subprocess.run(["rustc", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def host():
    """The platform that is built on, and for."""
    lines = rustc("-vV").splitlines()
    return next(line.removeprefix("host: ") for line in lines if line.startswith("host: "))


def profdata():
    """The program that merges counts: the toolchain's own, else one that reads the compiler's form of them."""
    own = pathlib.Path(rustc("--print", "sysroot")) / "lib" / "rustlib" / host() / "bin" / "llvm-profdata"
    if own.exists():
        return str(own)
    found = (shutil.which(f"llvm-profdata-{version}") for version in range(22, 18, -1))
    return next(filter(None, found), None)


def build(programs, flags, directory):
    """Builds release binaries with flags for the compiler. Returns where they are."""
    # With a platform that is named the flags reach no build script and no macro.
    command = ["cargo", "build", "--release", "--locked", "--target", host(), "--target-dir", directory]
    packages = [word for program in programs for word in ("-p", program)]
    flags = f"{os.environ.get('RUSTFLAGS', '')} {flags}".strip()
    subprocess.run([*command, *packages], cwd=ROOT, env=os.environ | {"RUSTFLAGS": flags}, check=True)
    return directory / host() / "release"


class Counting(bench.Keybearer):
    """The binary that counts."""

    def __init__(self, children, upstream, counts):
        self.MORE = {"LLVM_PROFILE_FILE": str(counts / "keybearer-%p.profraw")}
        super().__init__(children, upstream)


def run_loads(built, counts):
    """Gives the counting binary its load. What it ran through is in `counts` when it has stopped."""
    bench.BUILT = built
    # Upstream and load count as well, and nobody wants to know.
    os.environ["LLVM_PROFILE_FILE"] = "/dev/null"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    with tempfile.TemporaryDirectory(prefix="keybearer-profile-") as directory:
        children = bench.Children(pathlib.Path(directory))
        try:
            peers = bench.Peers(children)
            keybearer = Counting(children, peers.address, counts)
            target = bench.Target("Keybearer", keybearer.address, keybearer.api_key, keybearer.child.pid)
            for case in LOADS:
                seen = bench.measure(case, target, SECONDS, peers)
                print(f"profile: {case.name}: {seen['requests']} calls", flush=True)
            time.sleep(1)
            keybearer.stop()
        finally:
            children.stop_all()


def profile(merge):
    """Counts what calls run through. Returns the file that the compiler reads."""
    counts = PROFILE / "counts"
    shutil.rmtree(counts, ignore_errors=True)
    counts.mkdir(parents=True)
    # With the very settings of the build that ships: functions are found again by their names, in which cargo hides a sum of
    # the settings.
    built = build(["keybearer", "bench"], f"-Cprofile-generate={counts}", PROFILE)
    run_loads(built, counts)
    merged = counts / "merged"
    subprocess.run([merge, "merge", "-o", merged, *counts.glob("*.profraw")], check=True)
    # With another name for other counts: cargo builds anew when the flags change, and does not look into the file.
    named = PROFILE / f"{hashlib.sha256(merged.read_bytes()).hexdigest()[:16]}.profdata"
    for old in PROFILE.glob("*.profdata"):
        old.unlink()
    return merged.rename(named)


def units(data):
    """The names of a crate's units in a library, or in what is told of a profile."""
    return set(re.findall(rb"\bgateway\.[0-9a-f]{16}-cgu\.\d+", data))


def check(merge, profile, built):
    """Ends the script if what was counted is of other names than what was built: the compiler says nothing then."""
    told = subprocess.run([merge, "show", "--all-functions", profile], check=True, capture_output=True).stdout
    newest = max((built / "deps").glob("libgateway-*.rlib"), key=lambda library: library.stat().st_mtime)
    if not units(told) & units(newest.read_bytes()):
        sys.exit("profile: the counts are of another build of these sources; the binary has no use of them")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bench", action="store_true", help="build the benchmark's program as well")
    parser.add_argument("--has-profdata", action="store_true", help="only say, by the exit status, whether a profile can be made")
    options = parser.parse_args()
    programs = ["keybearer", *(["bench"] if options.bench else [])]
    merge = profdata()
    if options.has_profdata:
        sys.exit(merge is None)
    if merge is None:
        print("profile: no llvm-profdata of LLVM 19 or newer is here; the binary is built without a profile", file=sys.stderr)
    counted = merge and profile(merge)
    built = build(programs, f"-Cprofile-use={counted}" if counted else "", TARGET)
    if counted:
        check(merge, counted, built)
    place = TARGET / "release"
    place.mkdir(exist_ok=True)
    for program in programs:
        # Not into a program that runs.
        (place / program).unlink(missing_ok=True)
        shutil.copy2(built / program, place / program)


if __name__ == "__main__":
    main()
