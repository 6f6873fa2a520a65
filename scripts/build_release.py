#!/usr/bin/env python3
"""Builds the binary as it ships, `target/release/keybearer`, laid out by what a load of calls runs through.

    scripts/build_release.py

A call passes through some 400 KB of code and nearly no loop: what it costs is mostly that the processor has forgotten the
code when it comes to it. So the compiler is told what calls run through (a profile), and the binary is laid out once more
when it is linked, branch by branch. See docs/benchmarks.md for what that gains. The steps:

1. a build that counts (`target/profile`), and a load of some seconds against it on loopback, with the benchmark's provider and
   database of its own;
2. the build that uses the counts;
3. the same load against that build, with counters at its branches, and a layout by those;
4. the load once more, shortly, against what ships: it has to serve.

The first counts are merged by `llvm-profdata`, of the toolchain (the component `llvm-tools`) or of Debian (`llvm-19`), the layout
is made by `llvm-bolt` (Debian's `bolt-19` and `libbolt-19-dev`); see `scripts/install_release_requisites.sh`. What is missing is
left out, which is said: the binary works the same.
"""

import argparse
import hashlib
import os
import pathlib
import re
import resource
import shutil
import signal
import struct
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


def bolt():
    """The program that lays a binary out, with the library that counts for it; only of one kind of processor it is known to."""
    if not host().startswith("x86_64"):
        return None
    for version in range(22, 18, -1):
        found = shutil.which(f"llvm-bolt-{version}")
        # It looks for its library beside the place that it is called by.
        found = found and pathlib.Path(found).resolve()
        if found and (found.parent.parent / "lib" / "libbolt_rt_instr.a").exists():
            return str(found)
    return None


def build(programs, flags, directory):
    """Builds release binaries with flags for the compiler. Returns where they are."""
    # With a platform that is named the flags reach no build script and no macro.
    command = ["cargo", "build", "--release", "--locked", "--target", host(), "--target-dir", directory]
    packages = [word for program in programs for word in ("-p", program)]
    flags = f"{os.environ.get('RUSTFLAGS', '')} {flags}".strip()
    subprocess.run([*command, *packages], cwd=ROOT, env=os.environ | {"RUSTFLAGS": flags}, check=True)
    return directory / host() / "release"


class Loaded(bench.Keybearer):
    """The binary that gets the load."""

    def __init__(self, children, upstream, environment):
        self.MORE = environment
        super().__init__(children, upstream)


def run_loads(built, what, seconds=SECONDS, **environment):
    """Gives the binary in `built` its load. What it ran through is written when it has stopped."""
    bench.BUILT = built
    # Upstream and load may count as well, and nobody wants to know.
    os.environ["LLVM_PROFILE_FILE"] = "/dev/null"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    with tempfile.TemporaryDirectory(prefix="keybearer-profile-") as directory:
        children = bench.Children(pathlib.Path(directory))
        try:
            peers = bench.Peers(children)
            keybearer = Loaded(children, peers.address, environment)
            target = bench.Target("Keybearer", keybearer.address, keybearer.api_key, keybearer.child.pid)
            for case in LOADS:
                seen = bench.measure(case, target, seconds, peers)
                print(f"{what}: {case.name}: {seen['requests']} calls", flush=True)
            time.sleep(1)
            keybearer.stop()
        finally:
            children.stop_all()


def profile(merge, flags):
    """Counts what calls run through. Returns the file that the compiler reads. `flags` are those of the build that uses it."""
    counts = PROFILE / "counts"
    shutil.rmtree(counts, ignore_errors=True)
    counts.mkdir(parents=True)
    # With the very settings of the build that ships: functions are found again by their names, in which cargo hides a sum of
    # the settings.
    built = build(["keybearer", "bench"], f"-Cprofile-generate={counts} {flags}", PROFILE)
    run_loads(built, "profile", LLVM_PROFILE_FILE=str(counts / "keybearer-%p.profraw"))
    merged = counts / "merged"
    subprocess.run([merge, "merge", "-o", merged, *counts.glob("*.profraw")], check=True)
    # With another name for other counts: cargo builds anew when the flags change, and does not look into the file.
    named = PROFILE / f"{hashlib.sha256(merged.read_bytes()).hexdigest()[:16]}.profdata"
    for old in PROFILE.glob("*.profdata"):
        old.unlink()
    return merged.rename(named)


def lay_out(bolt, binary, load):
    """Lays a binary out by what calls run through. Returns where the one that ships is. `load` is the benchmark's program."""
    place = PROFILE / "layout"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    shutil.copy2(load, place / "bench")
    counts, program, result = place / "counts", place / "keybearer", place / "laid-out"
    with open(place / "bolt.log", "w") as log:
        # What is written by hand for the processor keeps its place: there is nothing to gain, and branches into tables.
        command = [bolt, binary, "--skip-funcs=aws_lc.*,bn_.*"]
        told = {"check": True, "stdout": log, "stderr": log}
        # By its path it is found again also where a process may not ask which file it is of.
        counting = ["--instrument", f"--instrumentation-file={counts}", f"--instrumentation-binpath={program}"]
        subprocess.run([*command, *counting, "-o", program], **told)
        run_loads(place, "layout")
        how = ["--reorder-blocks=ext-tsp", "--reorder-functions=cdsort", "--split-functions", "--split-all-cold"]
        # `strip` would break what it has moved.
        subprocess.run([*command, f"--data={counts}", *how, "--remove-symtab", "-o", result], **told)
    if has_executable_stack(result):
        raise OSError("its stacks would be executable")
    result.rename(program)
    run_loads(place, "laid out", 0.5)
    return program


def has_executable_stack(binary):
    """Whether a 64-bit ELF file asks for stacks that are executable, or does not say."""
    data = binary.read_bytes()
    start, size, number = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<II", data, start + size * at) for at in range(number)]
    flags = [flags for kind, flags in headers if kind == 0x6474E551]
    return not flags or any(it & 1 for it in flags)


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
    parser.add_argument("--has-bolt", action="store_true", help="only say, by the exit status, whether a layout can be made")
    options = parser.parse_args()
    programs = ["keybearer", *(["bench"] if options.bench else [])]
    merge, layouter = profdata(), bolt()
    if options.has_profdata or options.has_bolt:
        sys.exit((merge if options.has_profdata else layouter) is None)
    if merge is None:
        print("profile: no llvm-profdata of LLVM 19 or newer is here; the binary is built without a profile", file=sys.stderr)
    elif layouter is None:
        print("profile: no llvm-bolt of LLVM 19 or newer is here; the binary keeps the compiler's layout", file=sys.stderr)
    # A layout needs the names of functions, and what refers to where.
    flags = "-Cstrip=none -Clink-arg=-Wl,--emit-relocs" if merge and layouter else ""
    counted = merge and profile(merge, flags)
    built = build(programs, f"-Cprofile-use={counted} {flags}" if counted else "", TARGET)
    results = {program: built / program for program in programs}
    if counted:
        check(merge, counted, built)
    if flags:
        try:
            results["keybearer"] = lay_out(layouter, built / "keybearer", PROFILE / host() / "release" / "bench")
        except (subprocess.CalledProcessError, OSError, SystemExit) as error:
            print(f"layout: {error}; see {PROFILE}/layout/bolt.log. The binary keeps the compiler's layout", file=sys.stderr)
            results["keybearer"] = PROFILE / "stripped"
            subprocess.run(["strip", "-o", results["keybearer"], built / "keybearer"], check=True)
    place = TARGET / "release"
    place.mkdir(exist_ok=True)
    for program, result in results.items():
        # Not into a program that runs.
        (place / program).unlink(missing_ok=True)
        shutil.copy2(result, place / program)


if __name__ == "__main__":
    # Ended from outside: what it started is ended as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
