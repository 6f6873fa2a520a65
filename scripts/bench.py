#!/usr/bin/env python3
"""Measures what Keybearer costs beside a bare nginx, and prints a table. See docs/benchmarks.md.

    scripts/bench.py [--rounds N] [--seconds S]

A fast upstream is called directly, through nginx with a fixed `Authorization` header, and through Keybearer in full
service. Proxies run on core 0, which is never halted; the upstream and the load share core 1 and do not sleep during a
load. The three take turns within each round, so what else the machine does meets all of them alike; medians over the
rounds are reported.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import resource
import secrets
import select
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
PROXY_CORE, LOAD_CORE = "0", "1"
START_SECONDS, STOP_SECONDS = 30, 40
# A load asks once at least, and ends when the last answer is there.
LATE_SECONDS = 120
PROVIDER_KEY = "sk-bench-" + secrets.token_hex(20)
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
STARTS = 7
REST_SECONDS = 8


@dataclass(frozen=True)
class Case:
    """One kind of load."""

    name: str
    connections: int
    body_bytes: int = 1000
    kind: str = "json"


ONE, MANY = Case("1 KB, 1 connection", 1), Case("1 KB, 64 connections", 64)
LARGE = Case("100 KB, 16 connections", 16, 100_000)
TRANSLATED = Case("1 KB translated, 64 conn.", 64, 1000, "translated")
STREAM = Case("200 events, 64 streams", 64, 1000, "stream")
# For the comparison of few keys in the database, all of them in use, with a crowd around them.
KEYS_IN_USE, CROWD = 10, 1_000_000
KEYS = Case(f"1 KB, 64 connections, {KEYS_IN_USE} keys", 64)
OPEN_STREAMS = Case("5,000 open streams", 5000, 1000, "slow")
CASES = [ONE, Case("1 KB, 16 connections", 16), MANY, Case("1 KB, 256 connections", 256), LARGE, TRANSLATED, STREAM]


class Children:
    """The processes that were started here; they alone are ended."""

    def __init__(self, directory):
        self.directory = directory
        self.running = []

    def start(self, name, command, core, environment=None, stdin=subprocess.DEVNULL):
        with open(self.directory / f"{name}.stderr", "ab") as errors:
            child = subprocess.Popen(
                ["taskset", "-c", core, *map(str, command)], cwd=self.directory, stdin=stdin, stdout=subprocess.PIPE,
                stderr=errors, env=environment, text=True,
            )
        self.running.append(child)
        return child

    def stop(self, child):
        """Asks a child to end, then makes it."""
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(STOP_SECONDS)
        child.stdout.close()
        if child.stdin:
            # What it did not live to read.
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
        self.running.remove(child)

    def stop_all(self):
        for child in list(reversed(self.running)):
            self.stop(child)

    def stderr(self, name):
        return (self.directory / f"{name}.stderr").read_text(errors="replace")[-2000:]


@dataclass
class Target:
    """Something that is measured: where it listens, and the process whose CPU time counts."""

    name: str
    address: str
    api_key: str
    process: int | None


class Peers:
    """The upstream and the load: one process, which does not sleep while a load runs.

    Else the proxy that is measured would pay for waking it.
    """

    def __init__(self, children):
        self.children = children
        # Ends with its standard input: also when nobody is left to end it.
        self.child = children.start("peers", [BUILT / "bench", "peers"], LOAD_CORE, stdin=subprocess.PIPE)
        self.address = self.child.stdout.readline().strip()
        if not self.address:
            sys.exit(f"the upstream did not start: {children.stderr('peers')}")

    def load(self, case, target, seconds, watch=None):
        """One load. Returns what it saw. `watch` is called now and then while it runs."""
        words = [
            target.address, case.connections, int(seconds * 1000), case.body_bytes, case.kind, target.api_key,
        ]
        what = f"{case.name} through {target.name}"
        # Where the process has ended, that is told below.
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.write(" ".join(map(str, words)) + "\n")
            self.child.stdin.flush()
        until = time.monotonic() + seconds + LATE_SECONDS
        while not select.select([self.child.stdout], [], [], 0.1 if watch else seconds + LATE_SECONDS)[0]:
            if time.monotonic() > until:
                sys.exit(f"{what}: not over after {seconds + LATE_SECONDS:.0f} seconds")
            if watch:
                watch()
        line = self.child.stdout.readline()
        if not line:
            sys.exit(f"{what}: upstream and load have ended: {self.children.stderr('peers')}")
        seen = json.loads(line)
        if "error" in seen:
            sys.exit(f"{what}: {seen['error']}")
        return seen


def keep_awake(children):
    """Keeps the proxies' core from being halted while they wait, by a process that spins and yields to all others.

    Waking a halted core of a virtual machine takes longer than a call.
    """
    # Ends with its standard input, as above.
    command = ["chrt", "--idle", "0", BUILT / "bench", "idle"]
    child = children.start("idle", command, PROXY_CORE, stdin=subprocess.PIPE)
    if not child.stdout.readline():
        sys.exit(f"core {PROXY_CORE} is not kept awake: {children.stderr('idle')}")


NGINX_CONF = """
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    # What is large stays in memory, as it does in Keybearer.
    client_body_buffer_size 256k;
    proxy_buffers 16 64k;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream provider {{
        server {upstream};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Authorization "Bearer {key}";
        }}
    }}
}}
"""


def start_nginx(children, upstream):
    address = f"127.0.0.1:{free_port()}"
    # The worker gives up root, and must still reach its directories.
    children.directory.chmod(0o755)
    conf = children.directory / "nginx.conf"
    conf.write_text(NGINX_CONF.format(
        directory=children.directory, upstream=upstream, address=address, key=PROVIDER_KEY,
    ))
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    child = children.start("nginx", [program, "-p", children.directory, "-c", conf], PROXY_CORE)
    until = time.monotonic() + START_SECONDS
    while True:
        workers = pathlib.Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection(address, timeout=5)
            connection.connect()
            connection.close()
            if len(workers) == 1:
                return Target("nginx", address, "none", int(workers[0]))
        if child.poll() is not None or time.monotonic() > until:
            sys.exit(f"nginx did not start: {children.stderr('nginx')}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PROVIDER = """
id = "bench"
name = "Bench"
base_url = "http://{upstream}/v1"
status = "active"
kind = "third_party"

[payment]
modes = ["byok"]

[auth]
header = "authorization"
scheme = "Bearer"

[key]
pattern = "sk-*"
url = "https://models.example/keys"

[probe]
format = "openai_chat"
model = "small"

[[formats]]
format = "openai_chat"
path = "/chat/completions"

[[models]]
id = "small"
"""


class Keybearer:
    """An instance with one user, one workspace, one own key and one API key."""

    # Further options.
    MORE = {}

    def __init__(self, children, upstream):
        self.children = children
        self.child = None
        providers = children.directory / "providers"
        providers.mkdir()
        (providers / "bench.toml").write_text(PROVIDER.format(upstream=upstream))
        self.environment = {
            "PATH": os.environ["PATH"],
            "KEYBEARER_LISTEN": f"127.0.0.1:{free_port()}",
            "KEYBEARER_DATA_DIR": str(children.directory / "data"),
            "KEYBEARER_PROVIDERS_DIR": str(providers),
            "KEYBEARER_ALLOW_ADDRESSES": "127.0.0.0/8",
            "KEYBEARER_MAX_CONNECTIONS": "6000",
            # Counted for each call, and never reached.
            "KEYBEARER_MAX_CALLS_PER_KEY": "6000",
        } | self.MORE
        self.address = self.environment["KEYBEARER_LISTEN"]
        self.start()
        self.api_key = self.set_up()

    def start(self):
        """Starts it. Returns the milliseconds until it answered."""
        started_at = time.monotonic()
        self.child = self.children.start(
            "keybearer", [BUILT / "keybearer", "serve"], PROXY_CORE, self.environment,
        )
        line = self.child.stdout.readline()
        if not line.startswith("listening on "):
            sys.exit(f"Keybearer did not start: {self.children.stderr('keybearer')}")
        self.call("GET", "/health", expected=200)
        return (time.monotonic() - started_at) * 1000

    def stop(self):
        self.children.stop(self.child)

    def set_up(self):
        token = (self.children.directory / "data" / "setup-token").read_text().strip()
        who = {"token": token, "email": "owner@example.com", "password": secrets.token_urlsafe(16)}
        _, cookie = self.call("POST", "/api/v1/setup", who)
        self.session = {"cookie": cookie.split(";")[0]}
        listed, _ = self.call("GET", "/api/v1/workspaces", headers=self.session, expected=200)
        first = listed["data"][0]
        self.call(
            "PUT", f"/api/v1/admin/accounts/{first['account_id']}/subscription", {"plan": "enterprise"}, self.session,
            expected=200,
        )
        return self.equip(first["id"])

    def equip(self, workspace):
        """Gives a workspace a provider key, and returns an API key of it."""
        path = f"/api/v1/workspaces/{workspace}"
        minted, _ = self.call(
            "POST", f"{path}/api-keys", {"name": "bench", "scopes": ["inference:invoke"]}, self.session,
        )
        self.call("POST", f"{path}/provider-keys", {"provider": "bench", "key": PROVIDER_KEY}, self.session)
        return minted["key"]

    def workspaces(self, count):
        """API keys of new workspaces, one each."""
        made = []
        for number in range(count):
            workspace, _ = self.call("POST", "/api/v1/workspaces", {"name": f"Team {number}"}, self.session)
            made.append(self.equip(workspace["id"]))
        return made

    def crowd(self, count):
        """Adds workspaces with an API key and a provider key each that nobody uses, past the server."""
        self.stop()
        database = sqlite3.connect(self.children.directory / "data" / "keybearer.db", isolation_level=None)
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("BEGIN IMMEDIATE")
        database.execute(
            "CREATE TEMPORARY TABLE crowd AS WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT ?)"
            " SELECT printf('%026d', n) AS digits FROM n", [count],
        )
        for table, changed in (
            ("workspaces", {"id": "'ws_' || digits"}),
            ("members", {"workspace_id": "'ws_' || digits"}),
            ("api_keys", {"id": "'ak_' || digits", "workspace_id": "'ws_' || digits", "hash": "randomblob(32)"}),
            ("data_keys", {"id": "'dk_' || digits", "owner_id": "'ws_' || digits", "workspace_id": "'ws_' || digits"}),
            ("provider_keys", {
                "id": "'pk_' || digits", "owner_id": "'ws_' || digits", "workspace_id": "'ws_' || digits",
                "data_key_id": "'dk_' || digits",
            }),
        ):
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(column, f"one.{column}") for column in columns)
            database.execute(
                f"INSERT INTO {table} ({', '.join(columns)})"
                f" SELECT {values} FROM crowd, (SELECT * FROM {table} LIMIT 1) AS one"
            )
        database.execute("COMMIT")
        database.close()
        self.start()

    def call(self, method, path, body=None, headers=None, expected=201):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        headers = {"content-type": "application/json"} | (headers or {})
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != expected:
            sys.exit(f"{method} {path} was answered with {answer.status}: {text.decode()}")
        return json.loads(text), answer.headers.get("set-cookie")

    def target(self, api_keys=None):
        # `taskset` became the program: the pid is its own.
        return Target("Keybearer", self.address, ",".join(api_keys or [self.api_key]), self.child.pid)


def cpu_seconds(process):
    """User and system time of all threads, those that ended too."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def cpu_seconds_at_rest(process):
    """The same, once the process has done what it does behind the answers, such as writing usage rows."""
    last = cpu_seconds(process)
    for _ in range(20):
        time.sleep(0.25)
        now = cpu_seconds(process)
        if now - last <= TICK_SECONDS:
            return now
        last = now
    return last


def resident_mb(process):
    for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    sys.exit(f"process {process} has no resident memory")


def measure(case, target, seconds, peers, watch=None):
    """One load. Returns what the load saw, and the microseconds of CPU time a request and an event took."""
    before = target.process and cpu_seconds(target.process)
    seen = peers.load(case, target, seconds, watch)
    if target.process:
        spent = (cpu_seconds_at_rest(target.process) - before) * 1e6
        seen["cpu_us"] = spent / (seen["events"] or seen["requests"])
    seen["per_second"] = (seen["events"] or seen["requests"]) / seen["seconds"]
    return seen


class Results:
    """What was seen, by case and target; each figure is the median over the rounds."""

    def __init__(self):
        self.seen = {}

    def add(self, case, target, seen):
        self.seen.setdefault((case, target.name), []).append(seen)

    def median(self, case, name, figure):
        return statistics.median(seen[figure] for seen in self.seen[case, name])

    def ratio(self, case, figure):
        """Keybearer's to nginx's, round by round: both were measured within seconds of each other."""
        pairs = zip(self.seen[case, "Keybearer"], self.seen[case, "nginx"], strict=True)
        return statistics.median(ours[figure] / theirs[figure] for ours, theirs in pairs)

    def print_table(self):
        print(f"{'':24} {'':10} {'per second':>11} {'CPU us each':>12} {'p50 us':>9} {'p99 us':>9}")
        for case in CASES:
            for name in ("direct", "nginx", "Keybearer"):
                cpu = "" if name == "direct" else f"{self.median(case, name, 'cpu_us'):.1f}"
                print(
                    f"{case.name:24} {name:10} {self.median(case, name, 'per_second'):11.0f} {cpu:>12}"
                    f" {self.median(case, name, 'p50_us'):9.0f} {self.median(case, name, 'p99_us'):9.0f}"
                )
            print(
                f"{'':24} {'ratio':10} {self.ratio(case, 'per_second'):11.2f} {self.ratio(case, 'cpu_us'):12.2f}"
                f" {self.ratio(case, 'p50_us'):9.2f} {self.ratio(case, 'p99_us'):9.2f}"
            )


def with_streams_open(keybearer, peers):
    """The most resident memory while 5,000 streams are open, in MB."""
    target, most = keybearer.target(), [0]

    def watch():
        most[0] = max(most[0], resident_mb(target.process))

    measure(OPEN_STREAMS, target, 1, peers, watch)
    return most[0]


def with_a_crowd(keybearer, nginx, rounds, seconds, peers):
    """How much more a request costs with a million keys in the database than with few, and the memory with them."""
    # Its own was there from the start.
    api_keys = [keybearer.api_key, *keybearer.workspaces(KEYS_IN_USE - 1)]

    def cpu_us(case, target):
        return measure(case, target, seconds, peers)["cpu_us"]

    def cost():
        # Beside nginx, so that it does not matter what the machine does at the time.
        pairs = [(cpu_us(KEYS, keybearer.target(api_keys)), cpu_us(MANY, nginx)) for _ in range(rounds)]
        return statistics.median(ours / theirs for ours, theirs in pairs)

    few = cost()
    keybearer.crowd(CROWD)
    return cost() / few, resident_mb(keybearer.child.pid)


def print_targets(results, idle_mb, loaded_mb, ready_ms, open_mb, crowd, crowd_mb):
    added = results.median(ONE, "Keybearer", "p50_us") - results.median(ONE, "direct", "p50_us")
    added_by_nginx = results.median(ONE, "nginx", "p50_us") - results.median(ONE, "direct", "p50_us")
    rows = [
        ("CPU per request, 64 connections", results.ratio(MANY, "cpu_us"), "at most", 1.5, "x nginx (stretch: 1.35)"),
        ("CPU per request, 100 KB bodies", results.ratio(LARGE, "cpu_us"), "at most", 1.2, "x nginx"),
        ("CPU per translated request, 1 KB", results.ratio(TRANSLATED, "cpu_us"), "at most", 2.5, "x nginx"),
        ("CPU per streamed event", results.ratio(STREAM, "cpu_us"), "at most", 1.3, "x nginx"),
        ("throughput on one core, 64 connections", results.ratio(MANY, "per_second"), "at least", 0.7, "x nginx"),
        ("added latency, 1 connection, p50", added, "at most", 40, f"us over direct (nginx: {added_by_nginx:.0f})"),
        ("latency, 1 connection, p99", results.ratio(ONE, "p99_us"), "at most", 1.5, "x nginx"),
        ("resident memory, idle", idle_mb, "at most", 30, "MB"),
        ("resident memory, after the load", loaded_mb, "at most", 60, "MB"),
        ("resident memory, 5,000 open streams", open_mb, "at most", 150, "MB"),
        ("start to ready, existing database", ready_ms, "at most", 100, "ms"),
        ("CPU per request, 1,000,000 keys", crowd, "at most", 1.15, f"x the same with {KEYS_IN_USE}"),
        ("resident memory, 1,000,000 keys", crowd_mb, "at most", 300, "MB"),
    ]
    print(f"\n{'target':40} {'seen':>8}   {'wanted':14}")
    for what, seen, bound, wanted, unit in rows:
        met = seen <= wanted if bound == "at most" else seen >= wanted
        print(f"{what:40} {seen:8.2f}   {bound} {wanted} {unit}: {'met' if met else 'MISSED'}")


def main():
    parser = argparse.ArgumentParser(description="Measures Keybearer beside a bare nginx; see docs/benchmarks.md.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    options = parser.parse_args()
    if not {0, 1} <= os.sched_getaffinity(0):
        sys.exit("the benchmark needs cores 0 and 1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Keybearer has two sockets for each open stream, and so have its peers.
    if hard != resource.RLIM_INFINITY and hard < 12_000:
        sys.exit(f"the benchmark needs 12,000 open files a process; the limit here is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 12_000), hard))
    results = Results()
    with tempfile.TemporaryDirectory(prefix="keybearer-bench-") as directory:
        children = Children(pathlib.Path(directory))
        try:
            keep_awake(children)
            peers = Peers(children)
            nginx = start_nginx(children, peers.address)
            keybearer = Keybearer(children, peers.address)
            starts = []
            for _ in range(STARTS):
                keybearer.stop()
                starts.append(keybearer.start())
            # Until what the start needed was given back.
            time.sleep(REST_SECONDS)
            targets = [Target("direct", peers.address, "none", None), nginx, keybearer.target()]
            idle_mb = resident_mb(targets[-1].process)
            for number in range(options.rounds):
                print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
                for case in CASES:
                    for target in targets:
                        results.add(case, target, measure(case, target, options.seconds, peers))
            loaded_mb = resident_mb(targets[-1].process)
            print("5,000 open streams", file=sys.stderr, flush=True)
            open_mb = with_streams_open(keybearer, peers)
            print("1,000,000 keys", file=sys.stderr, flush=True)
            crowd, crowd_mb = with_a_crowd(keybearer, nginx, options.rounds, options.seconds, peers)
        finally:
            children.stop_all()
    results.print_table()
    print_targets(results, idle_mb, loaded_mb, statistics.median(starts), open_mb, crowd, crowd_mb)


if __name__ == "__main__":
    main()
