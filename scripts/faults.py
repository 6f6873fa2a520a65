#!/usr/bin/env python3
"""Breaks what is around a running Keybearer, and checks that nothing is lost, memory stays bounded and it recovers alone.

    scripts/faults.py [--seconds S] [--clients N] [--only NAME]...

One process serves throughout and is never restarted. Each fault is followed by an ordinary call; every call that a
client got whole must have its usage row, once. Takes about two minutes. See docs/adversarial-tests.md.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import pathlib
import resource
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

import bench

MIB = 1024 * 1024
# More than an idle process has, for what a fault may take beside it. A debug build needs more than a release.
BOUND = 192 * MIB
# Above what the provider and the clients of this script take; one descriptor for each side of a connection.
SPARE_FILES = 500
FIRST_BYTE_MS, IDLE_MS = 8_000, 8_000
SOON = 20


class Children(bench.Children):
    """Writes beyond a limit fail in them, as on a full disk, and do not end them."""

    def start(self, name, command, core, environment=None):
        with open(self.directory / f"{name}.stderr", "ab") as errors:
            child = subprocess.Popen(
                list(map(str, command)), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=errors, env=environment, text=True, restore_signals=False,
            )
        self.running.append(child)
        return child


class Keybearer(bench.Keybearer):
    MORE = {"KEYBEARER_FIRST_BYTE_TIMEOUT_MS": str(FIRST_BYTE_MS), "KEYBEARER_IDLE_TIMEOUT_MS": str(IDLE_MS)}

    def rss(self, name):
        """`VmRSS`: what it has now; `VmHWM`: the most since `forget`. In bytes."""
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise AssertionError("the process is gone")

    def forget(self):
        """The most memory is counted anew."""
        pathlib.Path(f"/proc/{self.child.pid}/clear_refs").write_text("5")

    def files(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def database(self):
        path = self.children.directory / "data" / "keybearer.db"
        return sqlite3.connect(path, isolation_level=None, timeout=30)

    def rows(self):
        """How many calls with status 200 the database has, and how many ids they have."""
        with contextlib.closing(self.database()) as database:
            [row] = database.execute("SELECT count(*), count(DISTINCT request_id) FROM usage WHERE status = 200")
        return row


    def tokens(self):
        """How many calls with status 200 the database has, and the least and the most tokens of one of them."""
        counts = ("coalesce(input_tokens, 0)", "coalesce(output_tokens, 0)")
        text = "SELECT count(*), min(min({0}, {1})), max(max({0}, {1})) FROM usage WHERE status = 200".format(*counts)
        with contextlib.closing(self.database()) as database:
            [row] = database.execute(text)
        return row


# ---- The provider

ANSWER = json.dumps({
    "id": "1", "object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"},
    ], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}).encode()
HEAD = "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 1000 + b'"}}]}\n\n'


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


async def provide(reader, writer):
    """Answers as the model's name says."""
    # At the end of the run it is cut off in whatever it does.
    gone = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
    with contextlib.suppress(*gone):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            model = json.loads(await reader.readexactly(length))["model"]
            await FAULTS.get(model, answer)(writer)
            if model in FAULTS:
                break
    writer.close()


async def answer(writer):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
    await writer.drain()


async def endless(writer, first, piece):
    writer.write(first)
    while True:
        writer.write(piece)
        await writer.drain()


def reset(writer):
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def flood_of_heads(writer):
    await endless(writer, b"HTTP/1.1 200 OK\r\n", b"x-flood: " + b"x" * 8000 + b"\r\n")


async def flood_of_body(writer):
    await endless(writer, HEAD.format("application/json").encode(), chunk(b"[" * 65536))


async def flood_of_one_event(writer):
    await endless(writer, HEAD.format("text/event-stream").encode() + chunk(b"data: "), chunk(b"x" * 65536))


async def flood_of_events(writer):
    await endless(writer, HEAD.format("text/event-stream").encode(), chunk(EVENT * 60))


async def drip_of_events(writer):
    writer.write(HEAD.format("text/event-stream").encode())
    while True:
        writer.write(chunk(EVENT))
        await writer.drain()
        await asyncio.sleep(2)


async def reset_at_once(writer):
    reset(writer)


async def reset_in_the_middle(writer):
    writer.write(HEAD.format("application/json").encode() + chunk(ANSWER[:40]))
    await writer.drain()
    await asyncio.sleep(0.1)
    reset(writer)


async def silence(writer):
    await asyncio.sleep(600)


async def silence_in_the_middle(writer):
    writer.write(HEAD.format("text/event-stream").encode() + chunk(EVENT))
    await writer.drain()
    await asyncio.sleep(600)


# What no call can have used: more tokens than any model reads or a request asks for, and what is no number of them.
HUGE = 10**15
LIES = [json.dumps({"prompt_tokens": prompt, "completion_tokens": completion}) for prompt, completion in (
    (HUGE, 1), (3, HUGE), (10**12 + 1, 10**12 + 1), (2**64, 2**64), (-3, -1), ("3", "1"), (1e300, 1.5), (None, []),
)] + [
    "[" * 60 + "]" * 60, '{"prompt_tokens":3,"prompt_tokens":%d,"completion_tokens":1}' % HUGE, '"%s"' % ("9" * 70_000), "null",
]
told = itertools.cycle(LIES)


async def lie(writer):
    body = ANSWER.replace(ANSWER[ANSWER.index(b'"usage": ') + 9:-1], next(told).encode())
    writer.write(HEAD.format("application/json").encode() + chunk(body) + b"0\r\n\r\n")
    await writer.drain()


async def lie_in_a_stream(writer):
    usage = b'data: {"choices":[],"usage":' + next(told).encode() + b"}\n\ndata: [DONE]\n\n"
    writer.write(HEAD.format("text/event-stream").encode() + chunk(EVENT) + chunk(usage) + b"0\r\n\r\n")
    await writer.drain()


FAULTS = {
    fault.__name__: fault for fault in (
        flood_of_heads, flood_of_body, flood_of_one_event, flood_of_events, drip_of_events, reset_at_once,
        reset_in_the_middle, silence, silence_in_the_middle, lie, lie_in_a_stream,
    )
}


# ---- The clients


class Clients:
    """Calls of one instance, and how many of them were got whole with status 200."""

    def __init__(self, keybearer):
        self.keybearer = keybearer
        self.host, port = keybearer.address.split(":")
        self.port = int(port)
        self.whole = 0

    async def connect(self):
        return await asyncio.open_connection(self.host, self.port)

    def request(self, model, stream=False):
        body = json.dumps({"model": f"bench/{model}", "stream": stream, "messages": []})
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {self.keybearer.address}\r\nconnection: close\r\n"
            f"authorization: Bearer {self.keybearer.api_key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}"
        ).encode()

    async def call(self, model="small", stream=False, most=None):
        """The status of one call, 0 if there was none. Reads to the end, or `most` bytes and leaves."""
        reader, writer = await self.connect()
        try:
            writer.write(self.request(model, stream))
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            if most is None:
                await reader.read(-1)
            while most and most > 0:
                data = await reader.read(65536)
                most = most - len(data) if data else 0
        except (ConnectionError, asyncio.IncompleteReadError):
            return 0
        finally:
            writer.close()
        self.whole += model == "small" and status == 200
        return status

    async def must_serve(self):
        status = await self.call()
        expect(status == 200, f"a call beside them was answered with {status}")

    async def served(self):
        """Whether an ordinary call is served soon."""
        until = time.monotonic() + SOON
        while time.monotonic() < until:
            if await self.call() == 200:
                return True
            await asyncio.sleep(0.2)
        return False

    async def crowd(self, seconds, at_once=20):
        """How often which status was met by callers who go on for so long."""
        met = {}
        until = time.monotonic() + seconds

        async def one():
            while time.monotonic() < until:
                status = await self.call()
                met[status] = met.get(status, 0) + 1
                await asyncio.sleep(0.02)

        await asyncio.gather(*(one() for _ in range(at_once)))
        return met


def expect(fact, text):
    if not fact:
        raise AssertionError(text)


async def soon(fact, text, seconds=SOON):
    until = time.monotonic() + seconds
    while not fact():
        expect(time.monotonic() < until, text)
        await asyncio.sleep(0.2)


# ---- The faults


async def half_sent_heads(clients, options):
    """Clients that send a byte now and then: others are served meanwhile, and they are cut."""
    writers = []
    begun = clients.request("small")[:60]
    for _ in range(options.clients):
        _, writer = await clients.connect()
        writer.write(begun)
        writers.append(writer)
    for _ in range(3):
        await clients.must_serve()
        for writer in writers:
            writer.write(b"x")
        await asyncio.sleep(0.5)
    files = clients.keybearer.files()
    expect(files > options.clients, f"{files} descriptors: they were not all let in")
    await soon(lambda: clients.keybearer.files() < 200, "half-sent heads are never cut", 60)
    for writer in writers:
        writer.close()
    return f"{options.clients} clients"


async def clients_that_do_not_read(clients, options):
    """Streams that nobody takes: each waits with what fits into its buffers, and the provider with it."""
    drips, floods = options.clients // 2, 20
    writers = []
    for number in range(drips + floods):
        _, writer = await clients.connect()
        writer.transport.pause_reading()
        writer.write(clients.request("drip_of_events" if number < drips else "flood_of_events", stream=True))
        writers.append(writer)
    # A stream has a connection to either side.
    await soon(lambda: clients.keybearer.files() > 2 * (drips + floods), "the streams did not all begin", 60)
    for _ in range(5):
        await clients.must_serve()
        await asyncio.sleep(0.5)
    for writer in writers:
        writer.transport.abort()
    await soon(lambda: clients.keybearer.files() < 200, "streams whose clients are gone go on", 60)
    return f"{drips} that drip, {floods} that flood"


async def wild_providers(clients, options):
    """Floods, resets and silence of a provider, many at once."""
    for model, stream, statuses in (
        ("flood_of_heads", False, {502}),
        ("flood_of_body", False, {200}),
        ("flood_of_one_event", True, {200, 502}),
        ("reset_at_once", False, {502, 503}),
        ("reset_in_the_middle", False, {0, 200, 502}),
        ("silence", False, {504}),
        ("silence_in_the_middle", True, {200}),
    ):
        most = 8 * MIB if model.startswith("flood") else None
        calls = (clients.call(model, stream, most) for _ in range(20))
        met = set(await asyncio.wait_for(asyncio.gather(*calls), 90))
        expect(met <= statuses, f"{model} was answered with {sorted(met)}")
        expect(await clients.served(), f"after {model} nothing is served")
    return "20 calls of each kind"


async def lying_provider(clients, options):
    """Reports of usage that cannot be true: every call is served and has its row, and no row has what was reported."""
    await soon(lambda: clients.keybearer.tokens()[0] >= clients.whole, "the calls before have no rows")
    before = clients.keybearer.tokens()[0]
    kinds = (("lie", False), ("lie_in_a_stream", True))
    for model, stream in kinds:
        met = {await clients.call(model, stream) for _ in range(4 * len(LIES))}
        expect(met == {200}, f"{model} was answered with {sorted(met)}")
    calls = len(kinds) * 4 * len(LIES)
    await soon(lambda: clients.keybearer.tokens()[0] >= before + calls, f"not all of {calls} calls have a row")
    _, least, most = clients.keybearer.tokens()
    # A model that nobody knows may read two million tokens.
    expect(0 <= least and most <= 3_000_000, f"rows have {least} to {most} tokens")
    return f"{calls} lies, at most {most} tokens in a row"


async def locked_database(clients, options):
    """Somebody holds the database: nobody is refused, and every row is there afterwards."""
    with contextlib.closing(clients.keybearer.database()) as database:
        database.execute("BEGIN IMMEDIATE")
        met = await clients.crowd(options.seconds)
        database.execute("ROLLBACK")
    expect(set(met) == {200}, f"met {met}")
    after = await clients.crowd(3)
    expect(set(after) == {200}, f"while it catches up: {after}")
    return f"{met[200]} calls in {options.seconds} s"


async def full_disk(clients, options):
    """No file may grow: calls are refused rather than served unrecorded, and it goes on once there is room."""
    pid = clients.keybearer.child.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    met = await clients.crowd(5)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    expect(met.get(503, 0) > 0, f"met {met}: nobody was refused")
    expect(set(met) <= {200, 503}, f"met {met}")
    expect(await clients.served(), "nothing is served although there is room again")
    after = await clients.crowd(3)
    expect(set(after) == {200}, f"with room again: {after}")
    return f"{met.get(200, 0)} served and {met[503]} refused meanwhile"


ALL = [half_sent_heads, clients_that_do_not_read, wild_providers, lying_provider, locked_database, full_disk]


async def run(fault, clients, options):
    """What is wrong after a fault, or how it went."""
    keybearer = clients.keybearer
    before = keybearer.rss("VmRSS")
    keybearer.forget()
    try:
        told = await fault(clients, options)
        expect(keybearer.child.poll() is None, "the process has ended")
        expect(await clients.served(), "nothing is served afterwards")
        await soon(lambda: keybearer.rows()[0] >= clients.whole, f"of {clients.whole} calls {keybearer.rows()[0]} have a row")
        rows, ids = keybearer.rows()
        expect(rows == ids, "a call has two rows")
        grown = keybearer.rss("VmHWM") - before
        expect(grown < BOUND, f"took {grown // MIB} MiB, more than {BOUND // MIB}")
        return True, f"{told}; took {max(grown, 0) // MIB} MiB"
    except AssertionError as error:
        return False, str(error)


async def main(options):
    provider = await asyncio.start_server(provide, "127.0.0.1", 0, backlog=4096)
    upstream = "127.0.0.1:%d" % provider.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="keybearer-faults-") as directory:
        children = Children(pathlib.Path(directory))
        try:
            # Setting up asks the provider, who lives in this thread's loop.
            keybearer = await asyncio.to_thread(Keybearer, children, upstream)
            clients = Clients(keybearer)
            expect(await clients.served(), "nothing is served to begin with")
            well = True
            for fault in ALL:
                if not options.only or fault.__name__ in options.only:
                    started = time.monotonic()
                    good, told = await run(fault, clients, options)
                    well &= good
                    took = time.monotonic() - started
                    print(f"{'ok    ' if good else 'FAILED'} {fault.__name__}: {told} ({took:.0f} s)", flush=True)
            if not well:
                print(children.stderr("keybearer"), file=sys.stderr)
        finally:
            await asyncio.to_thread(children.stop_all)
    return well


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=30, help="how long the database is locked")
    parser.add_argument("--clients", type=int, default=5000, help="how many slow clients there are")
    parser.add_argument("--only", action="append", choices=[fault.__name__ for fault in ALL])
    chosen = parser.parse_args()
    # A connection has an end here and one there, and a stream two of each.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most != resource.RLIM_INFINITY and chosen.clients > (most - SPARE_FILES) // 2:
        chosen.clients = (most - SPARE_FILES) // 2
        print(f"only {most} descriptors are allowed: {chosen.clients} clients")
    bench.BUILT = bench.BUILT.parent / "debug"
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sys.exit(0 if asyncio.run(main(chosen)) else 1)
