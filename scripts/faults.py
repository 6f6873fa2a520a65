#!/usr/bin/env python3
"""Breaks what is around a running Keybearer, and checks that nothing is lost, memory stays bounded and it recovers alone.

    scripts/faults.py [--store STORE] [--seconds S] [--clients N] [--only NAME]...

One process serves throughout and is never restarted, of each store one. Some calls are on a key of the workspace's own,
others are paid by credits. Each fault is followed by an ordinary call of either; every call that a client got whole must
have its usage row, once, no credits may stay held, and the balance must be what was granted less what was charged. Takes
about ten minutes. See docs/adversarial-tests.md.
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
import struct
import subprocess
import sys
import tempfile
import time

import bench
import faults_store
from faults_store import MIB
from with_postgres import CannotStart

# More than an idle process has, for what a fault may take beside it. A debug build needs more than a release.
BOUND = 192 * MIB
# Above what the provider and the clients of this script take; one descriptor for each side of a connection.
SPARE_FILES = 500
FIRST_BYTE_MS, IDLE_MS = 8_000, 8_000
SOON = 20
# How long a request body may take.
BODY_SECONDS = 120


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

    def __init__(self, children, upstream, store):
        self.store = store
        self.MORE = self.MORE | store.environment
        super().__init__(children, upstream)

    def set_up(self):
        """The API key of a workspace with a key of its own; and `managed_key`, of one whose calls credits pay."""
        own = super().set_up()
        price = {"provider": "bench", "model": "*", "price": {"input": "2", "output": "8"}}
        self.call("PATCH", "/api/v1/admin/settings", {"prices": [price]}, self.session, expected=200)
        self.call("POST", "/api/v1/admin/platform-keys", {"provider": "bench", "key": bench.PROVIDER_KEY}, self.session)
        workspace, _ = self.call("POST", "/api/v1/workspaces", {"name": "Managed"}, self.session)
        path = f"/api/v1/workspaces/{workspace['id']}"
        self.call("PATCH", f"{path}/policy", {"mode": "managed"}, self.session, expected=200)
        grant = {"kind": "grant", "credits": "1000000"}
        self.call("POST", f"/api/v1/admin/accounts/{workspace['account_id']}/credits", grant, self.session)
        body = {"name": "bench", "scopes": ["inference:invoke"]}
        minted, _ = self.call("POST", f"{path}/api-keys", body, self.session)
        self.managed_key = minted["key"]
        return own

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

    def rows(self):
        """How many calls with status 200 the store has, and how many ids they have."""
        [row] = self.store.query("SELECT count(*), count(DISTINCT request_id) FROM usage WHERE status = 200")
        return row

    def tokens(self):
        """How many calls with status 200 the store has, and the least and the most tokens of one of them."""
        [(count, *extremes)] = self.store.query(
            "SELECT count(*), min(coalesce(input_tokens, 0)), min(coalesce(output_tokens, 0)),"
            " max(coalesce(input_tokens, 0)), max(coalesce(output_tokens, 0)) FROM usage WHERE status = 200"
        )
        return count, min(it or 0 for it in extremes), max(it or 0 for it in extremes)

    def calls_with(self, status):
        """How many calls with this status the store has."""
        [(count,)] = self.store.query(f"SELECT count(*) FROM usage WHERE status = {status}")
        return count


# ---- The provider

# What the answer below costs, in nano-USD: three tokens at 2,000 and one at 8,000.
COST = 14_000
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

# Whose key serves: the workspace's own, or the instance's, paid by credits.
PAYERS = ("own", "managed")


def unchunked(body):
    """The data of a chunked body; `None`: it is cut off."""
    data = b""
    while line := body.partition(b"\r\n")[0]:
        length = int(line, 16)
        piece, body = body[len(line) + 2:][:length], body[len(line) + 2 + length:]
        if len(piece) != length or body[:2] != b"\r\n":
            return None
        if length == 0:
            return data
        data, body = data + piece, body[2:]
    return None


class Clients:
    """Calls of one instance, and how many of them were got whole with status 200."""

    def __init__(self, keybearer):
        self.keybearer = keybearer
        self.host, port = keybearer.address.split(":")
        self.port = int(port)
        self.keys = {"own": keybearer.api_key, "managed": keybearer.managed_key}
        self.whole = dict.fromkeys(PAYERS, 0)

    async def connect(self):
        return await asyncio.open_connection(self.host, self.port)

    def head(self, payer, framing):
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {self.keybearer.address}\r\nconnection: close\r\n"
            f"authorization: Bearer {self.keys[payer]}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
        ).encode()

    def request(self, model, payer="own", stream=False):
        body = json.dumps({"model": f"bench/{model}", "stream": stream, "messages": []})
        return self.head(payer, f"content-length: {len(body)}") + body.encode()

    async def call(self, model="small", payer="own", stream=False, most=None):
        """The status of one call, 0 if there was none. Reads to the end, or `most` bytes and leaves."""
        reader, writer = await self.connect()
        try:
            writer.write(self.request(model, payer, stream))
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            body = b""
            if most is None:
                body = await reader.read(-1)
            while most and most > 0:
                data = await reader.read(65536)
                most = most - len(data) if data else 0
        except (ConnectionError, asyncio.IncompleteReadError):
            return 0
        finally:
            writer.close()
        if model == "small" and status == 200:
            # One that is cut off is none.
            if (unchunked(body) if b"transfer-encoding: chunked" in head.lower() else body) != ANSWER:
                return 0
            self.whole[payer] += 1
        return status

    async def must_serve(self):
        for payer in PAYERS:
            status = await self.call(payer=payer)
            expect(status == 200, f"a call beside them ({payer}) was answered with {status}")

    async def served(self, payer="own"):
        """Whether an ordinary call is served soon."""
        until = time.monotonic() + SOON
        while time.monotonic() < until:
            if await self.call(payer=payer) == 200:
                return True
            await asyncio.sleep(0.2)
        return False

    async def must_be_served_soon(self, when):
        for payer in PAYERS:
            expect(await self.served(payer), f"{when}, nothing is served ({payer})")

    async def crowd(self, seconds, at_once=20):
        """How often which status was met by callers who go on for so long, for each payer."""
        met = {payer: {} for payer in PAYERS}
        until = time.monotonic() + seconds

        async def one(payer):
            while time.monotonic() < until:
                status = await self.call(payer=payer)
                met[payer][status] = met[payer].get(status, 0) + 1
                await asyncio.sleep(0.02)

        await asyncio.gather(*(one(PAYERS[number % 2]) for number in range(at_once)))
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


async def half_sent_bodies(clients, options):
    """Bodies of which a byte comes now and then, or no more at all, long by what they say or without a length: others are
    served meanwhile, and they are told that they were too slow, and recorded."""
    before = clients.keybearer.calls_with(408)
    slow = []
    for number in range(options.clients):
        reader, writer = await clients.connect()
        begun = json.dumps({"model": "bench/small", "messages": [" " * 2000]})[:-4].encode()
        # Of those whose bytes go on to come and of the others, each payer and each framing has as many.
        chunked, payer = number // 2 % 2, PAYERS[number // 4 % 2]
        framing = "transfer-encoding: chunked" if chunked else f"content-length: {16 * MIB}"
        writer.write(clients.head(payer, framing) + (chunk(begun) if chunked else begun))
        slow.append((reader, writer, chunk(b" ") if chunked else b" "))
    for _ in range(3):
        await clients.must_serve()
        for _, writer, more in slow:
            writer.write(more)
        await asyncio.sleep(0.5)
    files = clients.keybearer.files()
    expect(files > options.clients, f"{files} descriptors: they were not all let in")

    async def drip():
        while True:
            await asyncio.sleep(5)
            for _, writer, more in slow[::2]:
                writer.write(more)

    # Nothing but the end of their time ends these; of the others, that nothing comes.
    dripping = asyncio.create_task(drip())
    lines = (reader.readline() for reader, _, _ in slow)
    told = {line[:12] for line in await asyncio.wait_for(asyncio.gather(*lines), BODY_SECONDS + SOON)}
    dripping.cancel()
    expect(told == {b"HTTP/1.1 408"}, f"they were told {told}")
    for _, writer, _ in slow:
        writer.close()
    await soon(lambda: clients.keybearer.files() < 200, "half-sent bodies are never cut", 60)
    count = len(slow)
    await soon(
        lambda: clients.keybearer.calls_with(408) == before + count,
        f"of {count} calls {clients.keybearer.calls_with(408) - before} have a row", 60,
    )
    return f"{count} clients"


async def clients_that_do_not_read(clients, options):
    """Streams that nobody takes: each waits with what fits into its buffers, and the provider with it."""
    drips, floods = options.clients, 20
    writers = []
    # No more begin at once than the store can set credits aside for before they are refused.
    gate = asyncio.Semaphore(50)

    async def begin(number):
        model = "drip_of_events" if number < drips else "flood_of_events"
        async with gate:
            reader, writer = await clients.connect()
            writers.append(writer)
            writer.write(clients.request(model, PAYERS[number % 10 == 0], stream=True))
            head = await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()
        return head[:12]

    met = set(await asyncio.wait_for(asyncio.gather(*map(begin, range(drips + floods))), 120))
    expect(met == {b"HTTP/1.1 200"}, f"streams began with {met}")
    # A stream has a connection to either side.
    files = clients.keybearer.files()
    expect(files > 2 * (drips + floods), f"{files} descriptors: the streams are not all open")
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
        calls = (clients.call(model, PAYERS[number % 2], stream, most) for number in range(20))
        met = set(await asyncio.wait_for(asyncio.gather(*calls), 90))
        expect(met <= statuses, f"{model} was answered with {sorted(met)}")
        await clients.must_be_served_soon(f"after {model}")
    return "20 calls of each kind"


async def lying_provider(clients, options):
    """Reports of usage that cannot be true: every call is served and has its row, and no row has what was reported."""
    before = clients.keybearer.tokens()[0]
    kinds = (("lie", False), ("lie_in_a_stream", True))
    for model, stream in kinds:
        met = {await clients.call(model, PAYERS[number // len(LIES) % 2], stream) for number in range(4 * len(LIES))}
        expect(met == {200}, f"{model} was answered with {sorted(met)}")
    calls = len(kinds) * 4 * len(LIES)
    await soon(lambda: clients.keybearer.tokens()[0] >= before + calls, f"not all of {calls} calls have a row")
    _, least, most = clients.keybearer.tokens()
    # A model that nobody knows may read two million tokens.
    expect(0 <= least and most <= 3_000_000, f"rows have {least} to {most} tokens")
    return f"{calls} lies, at most {most} tokens in a row"


def never_refused(met, when):
    """Own keys do not wait for the store; credits cannot be held without it, and are refused with a code that says so."""
    expect(set(met["own"]) == {200}, f"{when}: own keys met {met['own']}")
    expect(set(met["managed"]) <= {200, 503}, f"{when}: credits met {met['managed']}")
    return f"{met['own'][200]} calls on own keys were served, of those on credits {met['managed'].get(503, 0)} refused"


def all_served(met, when):
    expect(all(set(statuses) == {200} for statuses in met.values()), f"{when}: {met}")


async def away(clients, options, fault):
    """Nobody with an own key is refused while the store is away, nobody at all when it is back."""
    with fault:
        told = never_refused(await clients.crowd(options.seconds), "meanwhile")
    await clients.must_be_served_soon("afterwards")
    all_served(await clients.crowd(3), "while it catches up")
    return f"{told} in {options.seconds} s"


async def locked_database(clients, options):
    """Somebody holds the database, of PostgreSQL every table."""
    return await away(clients, options, clients.keybearer.store.locked())


async def stopped_database(clients, options):
    """The database server dies, and is started again later."""
    return await away(clients, options, clients.keybearer.store.stopped())


async def frozen_database(clients, options):
    """The database server keeps its connections, and answers nothing."""
    return await away(clients, options, clients.keybearer.store.frozen())


async def without_room(clients, options, fault):
    """Calls are refused rather than served unrecorded, and it goes on once there is room."""
    with fault:
        met = await clients.crowd(min(5, options.seconds))
    refused = sum(statuses.get(503, 0) for statuses in met.values())
    expect(met["own"].get(503, 0) > 0, f"met {met}: nobody was refused")
    expect(all(set(statuses) <= {200, 503} for statuses in met.values()), f"met {met}")
    await clients.must_be_served_soon("although there is room again")
    all_served(await clients.crowd(3), "with room again")
    return f"{sum(statuses.get(200, 0) for statuses in met.values())} served and {refused} refused meanwhile"


async def full_disk(clients, options):
    """No byte is free on the file system of the data directory."""
    if options.disk is None:
        return "left out: this user may not mount a file system for it"
    return await without_room(clients, options, options.disk.full())


@contextlib.contextmanager
def no_growth(pid):
    """Writes of the process beyond the present end of any file fail."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


async def files_that_may_not_grow(clients, options):
    """No file may grow, the log's neither."""
    return await without_room(clients, options, no_growth(clients.keybearer.child.pid))


# With the stores that each is for: what a client or a provider does meets the same code with any.
FAULTS_OF = {
    half_sent_heads: {"sqlite"},
    half_sent_bodies: {"sqlite"},
    clients_that_do_not_read: {"sqlite"},
    wild_providers: {"sqlite", "postgres"},
    lying_provider: {"sqlite", "postgres"},
    locked_database: {"sqlite", "postgres"},
    stopped_database: {"postgres"},
    frozen_database: {"postgres"},
    full_disk: {"sqlite", "postgres"},
    files_that_may_not_grow: {"sqlite", "postgres"},
}


async def everything_recorded(clients):
    """What clients got whole has its row, and nothing stays held."""
    keybearer, whole = clients.keybearer, sum(clients.whole.values())
    await soon(lambda: keybearer.rows()[0] >= whole, f"of {whole} calls {keybearer.rows()[0]} have a row")
    rows, ids = keybearer.rows()
    expect(rows == ids, "a call has two rows")
    wrong = ["it was not looked at"]

    def agree():
        wrong[:] = [
            faults_store.wrong_in_the_books(keybearer.store)
            or faults_store.wrong_in_the_charges(keybearer.store, clients.whole["managed"], COST)
        ]
        return wrong == [None]

    with contextlib.suppress(AssertionError):
        await soon(agree, "they do not agree", 60)
    expect(wrong == [None], wrong[0])


async def run(fault, clients, options):
    """What is wrong after a fault, or how it went."""
    keybearer = clients.keybearer
    try:
        # Without its store a process serves the callers that it knows. What is counted below is counted from here.
        await clients.must_be_served_soon("to begin with")
        await everything_recorded(clients)
        before = keybearer.rss("VmRSS")
        keybearer.forget()
        told = await fault(clients, options)
        expect(keybearer.child.poll() is None, "the process has ended")
        await clients.must_be_served_soon("afterwards")
        await everything_recorded(clients)
        grown = keybearer.rss("VmHWM") - before
        expect(grown < BOUND, f"took {grown // MIB} MiB, more than {BOUND // MIB}")
        return True, f"{told}; took {max(grown, 0) // MIB} MiB"
    except AssertionError as error:
        return False, str(error)


async def run_all(faults, name, options):
    """Breaks what is around one process with this store. Returns whether all went well."""
    provider = await asyncio.start_server(provide, "127.0.0.1", 0, backlog=4096)
    upstream = "127.0.0.1:%d" % provider.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="keybearer-faults-") as directory, contextlib.ExitStack() as ends:
        children = Children(pathlib.Path(directory))
        options.disk = None
        if options.own_mounts:
            options.disk = faults_store.Disk(children.directory / "data")
            ends.callback(options.disk.close)
        store = faults_store.STORES[name](children.directory)
        ends.callback(store.close)
        ends.callback(children.stop_all)
        # Setting up asks the provider, who lives in this thread's loop.
        keybearer = await asyncio.to_thread(Keybearer, children, upstream, store)
        clients = Clients(keybearer)
        well = True
        for fault in faults:
            started = time.monotonic()
            good, told = await run(fault, clients, options)
            well &= good
            took = time.monotonic() - started
            print(f"{'ok    ' if good else 'FAILED'} {name} {fault.__name__}: {told} ({took:.0f} s)", flush=True)
        if well:
            await asyncio.to_thread(keybearer.stop)
            doctor = subprocess.run(
                [bench.BUILT / "keybearer", "doctor"], cwd=directory, env=keybearer.environment, capture_output=True,
                text=True, timeout=120, check=False,
            )
            well = doctor.returncode == 0
            print(f"{'ok    ' if well else 'FAILED'} {name} doctor: {'' if well else doctor.stdout + doctor.stderr}")
        else:
            print(children.stderr("keybearer"), file=sys.stderr)
    return well


async def main(options):
    well = True
    for name in options.store or faults_store.STORES:
        faults = [
            fault for fault, stores in FAULTS_OF.items()
            if name in stores and (not options.only or fault.__name__ in options.only)
        ]
        if faults:
            well &= await run_all(faults, name, options)
    return well


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", action="append", choices=list(faults_store.STORES), help="all stores if none is named")
    parser.add_argument("--seconds", type=int, default=30, help="how long the database is away")
    parser.add_argument("--clients", type=int, default=5000, help="how many slow clients there are")
    parser.add_argument("--only", action="append", choices=[fault.__name__ for fault in FAULTS_OF])
    chosen = parser.parse_args()
    chosen.own_mounts = faults_store.own_mounts()
    # A connection has an end here and one there, and a stream two of each.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most != resource.RLIM_INFINITY and chosen.clients > (most - SPARE_FILES) // 2:
        chosen.clients = (most - SPARE_FILES) // 2
        print(f"only {most} descriptors are allowed: {chosen.clients} clients")
    bench.BUILT = bench.BUILT.parent / "debug"
    bench.PROVIDER = bench.PROVIDER.replace('modes = ["byok"]', 'modes = ["byok", "managed"]')
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # Ended from outside: what it started is ended as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(0 if asyncio.run(main(chosen)) else 1)
    except CannotStart as error:
        sys.exit(f"faults: {error}")
