#!/usr/bin/env python3
"""Measures how long the page Usage waits for its answers with many calls in one workspace, and prints a table.

    scripts/bench_usage.py [--calls N] [--times N]

A new instance serves one call of each API key; then its SQLite database gets ten million more of them, over the last 90
days, past the server: what it would have written, sums by day included. Each request of the page is made several times,
from asking to the last byte; of an export to the first one. See docs/benchmarks.md.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import pathlib
import sqlite3
import statistics
import sys
import tempfile
import time
import urllib.parse

import bench

DAYS = 90
API_KEYS, MODELS = 20, 6
DAY_MS = 86_400_000
PAGE_ITEMS = 50
# The page is to feel at once: what a person takes for that, with room for the way and the browser.
WANTED_MS = 300
# One call in so many failed.
FAILS_EVERY = 50


class Keybearer(bench.Keybearer):
    """An instance with a member beside the owner, and a key of each for programs."""

    MORE = {"KEYBEARER_LOG": "warn"}

    def populate(self):
        listed, _ = self.call("GET", "/api/v1/workspaces", headers=self.session, expected=200)
        self.workspace = listed["data"][0]["id"]
        path = f"/api/v1/workspaces/{self.workspace}"
        invited, _ = self.call(
            "POST", f"{path}/invitations", {"email": "member@example.com", "role": "member"}, self.session,
        )
        password = "correct horse battery"
        self.call("POST", "/api/v1/invitations/accept", {"token": invited["token"], "password": password})
        _, cookie = self.call(
            "POST", "/api/v1/sessions", {"email": "member@example.com", "password": password},
        )
        self.member = {"cookie": cookie.split(";")[0]}
        self.keys = []
        for number in range(API_KEYS):
            session = self.member if number == 0 else self.session
            body = {"name": f"program {number}", "scopes": ["inference:invoke"]}
            minted, _ = self.call("POST", f"{path}/api-keys", body, session)
            self.keys.append(minted["id"])
            body = {"model": "bench/small", "messages": [{"role": "user", "content": "hello"}]}
            self.call(
                "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {minted['key']}"}, expected=200,
            )


def fill(path, calls, now_ms):
    """Adds calls like the newest one of each group, under more models, evenly over the days until now."""
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "cache_size = -500000"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    indexes = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'usage' AND sql IS NOT NULL"
    ).fetchall()
    database.execute("BEGIN IMMEDIATE")
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    columns = [row[1] for row in database.execute("PRAGMA table_info(usage_groups)")]
    changed = {
        "id": "g.id + 1000 * m.n", "model": "'small-' || m.n", "model_requested": "'bench/small-' || m.n",
    }
    database.execute(
        f"INSERT INTO usage_groups ({', '.join(columns)})"
        f" SELECT {', '.join(changed.get(column, f'g.{column}') for column in columns)}"
        " FROM usage_groups g, (WITH RECURSIVE m(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM m LIMIT ?) SELECT n FROM m) m",
        [MODELS - 1],
    )
    database.execute("CREATE TEMPORARY TABLE chosen (place INTEGER PRIMARY KEY, group_id INTEGER)")
    database.execute("INSERT INTO chosen SELECT row_number() OVER (ORDER BY id) - 1, id FROM usage_groups")
    (groups,) = database.execute("SELECT count(*) FROM chosen").fetchone()
    columns = [row[1] for row in database.execute("PRAGMA table_info(usage)")]
    fails = f"n.n % {FAILS_EVERY} = 0"
    changed = {
        # Sorts before the ids of calls that are made later.
        "request_id": "'req_' || printf('%026d', n.n)",
        "at": f"{now_ms - DAYS * DAY_MS} + n.n * {DAYS * DAY_MS} / {calls}",
        # Neighbours are of different groups, and no group has all that failed.
        "group_id": "c.group_id",
        "status": f"CASE WHEN {fails} THEN 429 ELSE 200 END",
        "error_code": f"CASE WHEN {fails} THEN 'rate_limited' END",
        "input_tokens": "n.n % 5000", "output_tokens": "n.n % 900", "latency_ms": "100 + n.n % 4000", "cost": "n.n % 900000",
    }
    database.execute(
        f"INSERT INTO usage ({', '.join(columns)})"
        " WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT ?)"
        f" SELECT {', '.join(changed.get(column, f'one.{column}') for column in columns)}"
        f" FROM n JOIN chosen c ON c.place = (n.n * 7919 / {FAILS_EVERY} + n.n) % {groups},"
        " (SELECT * FROM usage LIMIT 1) AS one",
        [calls],
    )
    # As the migration that brought these sums made them; before the indexes, by one of which every call would be looked up.
    database.execute("DELETE FROM usage_days")
    database.execute("""
        INSERT INTO usage_days (workspace_id, day, provider, model, key_source, provider_key_id, api_key_id, user_id,
            account_id, calls, failed, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
            reasoning_tokens, cost, unpriced, charge, latency_ms, first_byte_ms, first_bytes)
        SELECT g.workspace_id, s.day, COALESCE(g.provider, ''), COALESCE(g.model, ''), COALESCE(g.key_source, ''),
               COALESCE(g.provider_key_id, ''), g.api_key_id, g.user_id, g.account_id, sum(s.calls), sum(s.failed),
               sum(s.input), 0, 0, sum(s.output), 0, sum(s.cost), 0, 0, sum(s.latency), sum(s.first), sum(s.calls)
        FROM (SELECT group_id, at / 86400000 AS day, count(*) AS calls, sum(status >= 400) AS failed,
                     sum(input_tokens) AS input, sum(output_tokens) AS output, sum(COALESCE(cost, 0)) AS cost,
                     sum(latency_ms) AS latency, sum(COALESCE(first_byte_ms, 0)) AS first
              FROM usage GROUP BY group_id, at / 86400000) s JOIN usage_groups g ON g.id = s.group_id
        GROUP BY g.workspace_id, s.day, g.provider, g.model, g.key_source, g.provider_key_id, g.api_key_id, g.user_id,
                 g.account_id""")
    for _, sql in indexes:
        database.execute(sql)
    database.execute("COMMIT")
    database.close()


def moment(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(ms):
    return moment(ms)[:10]


class Page:
    """Makes the page's requests, and remembers how long they took."""

    def __init__(self, keybearer, times):
        self.keybearer, self.times = keybearer, times
        self.base = f"/api/v1/workspaces/{keybearer.workspace}"
        self.rows = []

    def get(self, what, path, query, session=None, whole=True):
        """One request, several times; gives back the answer. Not `whole`: the connection ends after the first bytes."""
        took, body = [], b""
        target = f"{path}?{urllib.parse.urlencode(query)}"
        connection = None
        for _ in range(self.times):
            connection = connection or http.client.HTTPConnection(self.keybearer.address, timeout=120)
            began = time.monotonic()
            connection.request("GET", target, headers=session or self.keybearer.session)
            answer = connection.getresponse()
            if answer.status != 200:
                sys.exit(f"{target} was answered with {answer.status}: {answer.read().decode()}")
            body = answer.read() if whole else answer.read(1)
            took.append((time.monotonic() - began) * 1000)
            if not whole:
                connection.close()
                connection = None
        self.rows.append((what, took))
        return json.loads(body) if whole else None

    def measure(self, now_ms):
        month = {"from": day(now_ms - 29 * DAY_MS), "to": day(now_ms)}
        quarter = {"from": day(now_ms - (DAYS - 1) * DAY_MS), "to": day(now_ms)}
        summary = f"{self.base}/usage/summary"
        for name, period in (("30 days", month), ("90 days", quarter)):
            self.get(f"figures and chart by day, {name}", summary, period | {"group_by": "day,key_source"})
            for by in ("model", "api_key", "provider_key", "member"):
                self.get(f"sums by {by}, {name}", summary, period | {"group_by": by})
        calls = f"{self.base}/usage"
        since = {"from": moment(now_ms - DAYS * DAY_MS), "to": moment(now_ms + DAY_MS), "limit": PAGE_ITEMS}
        newest = self.get("table, newest", calls, since)
        self.get("table, its second part", calls, since | {"after": newest["next"]})
        middle = since | {"to": moment(now_ms - DAYS // 2 * DAY_MS)}
        deep = self.get("table, from the middle", calls, middle)
        self.get("table, a part from the middle", calls, middle | {"after": deep["next"]})
        self.get("table, failed alone", calls, since | {"status": "failed"})
        self.get("table, one model", calls, since | {"model": "small-3"})
        self.get("table, one API key", calls, since | {"api_key_id": self.keybearer.keys[3]})
        one = self.get("table, a model and an API key, failed", calls, since | {
            "model": "small-3", "api_key_id": self.keybearer.keys[3], "status": "failed",
        })
        if one.get("next"):
            self.get("the same, second part", calls, since | {
                "model": "small-3", "api_key_id": self.keybearer.keys[3], "status": "failed", "after": one["next"],
            })
        self.get("table, a status that no call has", calls, since | {"status": "418"})
        self.get("table of a member, newest", calls, since, self.keybearer.member)
        self.get("sums of a member by model, 90 days", summary, quarter | {"group_by": "model"}, self.keybearer.member)
        request = deep["data"][-1]["request_id"]
        self.get("one call", f"{calls}/{request}", {})
        export = {name: since[name] for name in ("from", "to")}
        self.get("CSV, the first 10,000 calls", f"{calls}.csv", export, whole=False)
        self.get("CSV, the first 10,000 that failed", f"{calls}.csv", export | {"status": "failed"}, whole=False)

    def print(self):
        print(f"\n{'milliseconds':44} {'least':>10} {'median':>10} {'worst':>10}")
        slow = 0
        for what, took in self.rows:
            is_slow = statistics.median(took) > WANTED_MS
            slow += is_slow
            told = " ".join(f"{figure:10.1f}" for figure in (min(took), statistics.median(took), max(took)))
            print(f"{what:44} {told}{'  SLOW' if is_slow else ''}")
        print(f"\nmedian at most {WANTED_MS} ms: {'met' if slow == 0 else f'MISSED by {slow}'}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=10_000_000)
    options.add_argument("--times", type=int, default=15)
    options = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="keybearer-usage-") as directory, contextlib.ExitStack() as stack:
        children = bench.Children(pathlib.Path(directory))
        stack.callback(children.stop_all)
        keybearer = Keybearer(children, bench.Peers(children).address)
        keybearer.populate()
        keybearer.stop()
        now_ms = int(time.time() * 1000)
        database = children.directory / "data" / "keybearer.db"
        began = time.monotonic()
        fill(database, options.calls, now_ms)
        size = database.stat().st_size / 1e9
        print(f"{options.calls:,} calls in {time.monotonic() - began:.0f} s; the database has {size:.1f} GB")
        started_ms = keybearer.start()
        print(f"started on it within {started_ms:.0f} ms")
        page = Page(keybearer, options.times)
        page.measure(now_ms)
        page.print()


if __name__ == "__main__":
    main()
