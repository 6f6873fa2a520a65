#!/usr/bin/env python3
"""Measures what one good client notices of thousands that are slow on purpose. See docs/adversarial-tests.md (T118).

    scripts/slow_clients.py [--clients N] [--calls N] [--rounds N]

A third of the slow clients send heads, a third bodies, a byte now and then; a third read nothing of a stream. Rounds without
and with them take turns. The good client's 99th percentile must stay below twice what it is without them: judged by the
best round of each, since what else the machine does makes rounds slower and none faster. Wants a build (`cargo build -p
keybearer`) and takes about a minute.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import multiprocessing
import os
import pathlib
import resource
import sys
import tempfile
import time

import bench

ANSWER = json.dumps({
    "id": "1", "object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"},
    ], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}).encode()
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 1000 + b'"}}]}\n\n'
# Well below the time that the server gives a head.
BYTE_SECONDS = 1.5
# Descriptors beside the connections of the slow clients.
SPARE_FILES = 500


class Keybearer(bench.Keybearer):
    MORE = {"KEYBEARER_MAX_CALLS_PER_KEY": "20000", "KEYBEARER_MAX_CONNECTIONS": "8000"}


async def provide(reader, writer):
    gone = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
    with contextlib.suppress(*gone):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            asked = json.loads(await reader.readexactly(length))
            if not asked.get("stream"):
                kind = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                writer.write(kind % len(ANSWER) + ANSWER)
                await writer.drain()
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
                await writer.drain()
                await asyncio.sleep(2)
    writer.close()


def provider(pipe):
    """A process that is the provider; says where it listens."""
    async def serve():
        server = await asyncio.start_server(provide, "127.0.0.1", 0, backlog=4096)
        pipe.send("127.0.0.1:%d" % server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def head(address, api_key, length):
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {api_key}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n"
    ).encode()


def attack(pipe, address, api_key, count):
    """A process that is the slow clients, from when it is told to begin until it is ended."""
    host, port = address.split(":")
    stream = json.dumps({"model": "bench/small", "stream": True, "messages": []}).encode()
    kinds = [
        # A head without an end; a body without one; a whole request whose answer is not read.
        (head(address, api_key, 5)[:60], b"x"),
        (head(address, api_key, 1_000_000) + b"\r\n{", b" "),
        (head(address, api_key, len(stream)) + b"\r\n" + stream, b""),
    ]

    async def one(begun, more, ready):
        while True:
            with contextlib.suppress(ConnectionError):
                _, writer = await asyncio.open_connection(host, int(port), limit=1)
                writer.transport.pause_reading()
                writer.write(begun)
                ready.release()
                while not writer.is_closing():
                    await asyncio.sleep(BYTE_SECONDS)
                    writer.write(more)
                    # It fails once the server has cut this one, and another takes its place.
                    await writer.drain()
            await asyncio.sleep(0.05)

    async def all_of_them():
        ready = asyncio.Semaphore(0)
        tasks = []
        for number in range(count):
            tasks.append(asyncio.create_task(one(*kinds[number % 3], ready)))
            await asyncio.sleep(0.002)
        for _ in range(count):
            await ready.acquire()
        pipe.send("all are there")
        await asyncio.gather(*tasks)

    pipe.recv()
    asyncio.run(all_of_them())


def percentile_ms(address, api_key, calls):
    """The 99th percentile of so many calls one after the other, in milliseconds."""
    body = json.dumps({"model": "bench/small", "messages": []})
    headers = {"content-type": "application/json", "authorization": f"Bearer {api_key}"}
    connection = http.client.HTTPConnection(address, timeout=30)
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        times.append((time.perf_counter() - begun) * 1000)
        if answer.status != 200:
            sys.exit(f"the good client was answered with {answer.status}: {text.decode()}")
    connection.close()
    return sorted(times)[calls * 99 // 100]


def main(options):
    context = multiprocessing.get_context("fork")
    others = []

    def start(job, *arguments):
        here, there = context.Pipe()
        child = context.Process(target=job, args=(there, *arguments), daemon=True)
        child.start()
        others.append(child)
        return child, here

    def end(child):
        child.terminate()
        child.join()
        others.remove(child)

    _, told = start(provider)
    upstream = told.recv()
    with tempfile.TemporaryDirectory(prefix="keybearer-slow-") as directory:
        children = bench.Children(pathlib.Path(directory))
        try:
            keybearer = Keybearer(children, upstream)
            address, api_key = keybearer.address, keybearer.api_key
            percentile_ms(address, api_key, 200)
            alone, beside = [], []
            for _ in range(options.rounds):
                alone.append(percentile_ms(address, api_key, options.calls))
                child, pipe = start(attack, address, api_key, options.clients)
                pipe.send("begin")
                pipe.recv()
                files = len(os.listdir(f"/proc/{keybearer.child.pid}/fd"))
                beside.append(percentile_ms(address, api_key, options.calls))
                end(child)
                if files < options.clients:
                    sys.exit(f"{files} descriptors: the slow clients were not all let in")
                time.sleep(1)
                print(f"99th percentile alone {alone[-1]:.2f} ms, beside {options.clients} slow clients {beside[-1]:.2f} ms")
        finally:
            children.stop_all()
            for child in list(others):
                end(child)
    ratio = min(beside) / min(alone)
    print(f"{'ok' if ratio < 2 else 'FAILED'}: {ratio:.2f} times, less than 2 is asked")
    return ratio < 2


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=2000, help="how many slow clients there are")
    parser.add_argument("--calls", type=int, default=1000, help="how many calls the good client makes in a round")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most != resource.RLIM_INFINITY and most < chosen.clients + SPARE_FILES:
        sys.exit(f"{most} descriptors are allowed, too few for {chosen.clients} clients")
    bench.BUILT = bench.BUILT.parent / "debug"
    sys.exit(0 if main(chosen) else 1)
