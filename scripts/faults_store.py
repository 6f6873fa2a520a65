"""The stores of a fault run: what stands in them, how somebody else holds them, and a disk that can be full.

Used by `scripts/faults.py`.
"""

import contextlib
import errno
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys

import with_postgres

MIB = 1024 * 1024
# Of the file system that the data of a run are on, which a fault fills.
DISK_BYTES = 128 * MIB
# Says to the script that it has the mounts for itself.
MOUNTS_VARIABLE = "KEYBEARER_FAULTS_OWN_MOUNTS"

# What stands in the books: the holds, the balances, what came without a call, and what was charged to calls.
BOOKS = """
    SELECT (SELECT count(*) FROM credit_holds),
           (SELECT sum(reserved) FROM credit_accounts),
           (SELECT sum(available + reserved) FROM credit_accounts),
           (SELECT coalesce(sum(e.amount), 0) FROM ledger_entries e
              JOIN ledger_transactions t ON t.id = e.transaction_id
              JOIN credit_accounts a ON a.account_id = e.ledger_account
             WHERE t.kind <> 'charge'),
           (SELECT coalesce(sum(charge), 0) FROM usage)
"""
# How many calls credits paid, and the least and the most that one of those was charged that the provider answered properly.
PAID = """
    SELECT count(*), min(u.charge), max(u.charge) FROM usage u JOIN usage_groups g ON g.id = u.group_id
     WHERE g.key_source = 'managed' AND g.model = 'small' AND u.status = 200
"""


def wrong_in_the_books(store):
    """What does not agree, to the nano-USD; `None`: all does."""
    [(holds, reserved, balance, granted, charged)] = store.query(BOOKS)
    if holds or reserved:
        return f"{holds} holds are left, {reserved} nano-USD are reserved"
    if balance != granted - charged:
        return f"the balance is {balance} nano-USD; {granted} were granted, {charged} charged"
    return None


def wrong_in_the_charges(store, whole, cost):
    """What is wrong with those calls that clients got whole, `whole` of them, each worth `cost` nano-USD."""
    [(count, least, most)] = store.query(PAID)
    if count < whole:
        return f"{whole} calls that credits pay were got whole, and {count} were charged"
    if count and (least, most) != (cost, cost):
        return f"a call of {cost} nano-USD was charged from {least} to {most}"
    return None


class Sqlite:
    """The embedded database, a file in the data directory."""

    def __init__(self, directory):
        self.path = directory / "data" / "keybearer.db"
        self.environment = {}

    def query(self, text):
        with contextlib.closing(self._connect()) as database:
            return database.execute(text).fetchall()

    @contextlib.contextmanager
    def locked(self):
        """Somebody else writes, and does not end."""
        with contextlib.closing(self._connect()) as database:
            # Ends with the connection.
            database.execute("BEGIN IMMEDIATE")
            yield

    def close(self):
        pass

    def _connect(self):
        return sqlite3.connect(self.path, isolation_level=None, timeout=30)


class Postgres:
    """A throw-away server of its own."""

    def __init__(self, directory):
        base = directory / "postgres"
        base.mkdir()
        # The server's user has to reach it.
        directory.chmod(0o755)
        self.server = with_postgres.Server(base)
        self.server.start()
        self.environment = {"KEYBEARER_DATABASE_URL": self.server.url()}

    def query(self, text):
        done = subprocess.run([*self._psql(), "-c", text], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise AssertionError(f"the store was not asked: {done.stderr}")
        return [tuple(map(_number, line.split("|"))) for line in done.stdout.splitlines()]

    @contextlib.contextmanager
    def locked(self):
        """Somebody else holds every table for himself: nothing can be read either."""
        [(tables,)] = self.query("SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = 'public'")
        child = subprocess.Popen(self._psql(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            print(f"BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE; SELECT 'held';", file=child.stdin, flush=True)
            while (line := child.stdout.readline()) != "held\n":
                if not line:
                    raise AssertionError("the tables could not be locked")
            yield
        finally:
            # A client that leaves ends its transaction.
            child.communicate()

    @contextlib.contextmanager
    def stopped(self):
        """It dies as at a crash, and is started again."""
        self.server.stop((signal.SIGQUIT,))
        try:
            yield
        finally:
            self.server.start_again()

    @contextlib.contextmanager
    def frozen(self):
        """It takes connections and queries, and answers nothing."""
        stopped = []
        try:
            # First who could start others.
            for pid in self._processes():
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
            yield
        finally:
            for pid in reversed(stopped):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def close(self):
        self.server.stop()

    def _processes(self):
        pid = self.server.process.pid
        yield pid
        yield from map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def _psql(self):
        return [f"{self.server.programs}/psql", self.server.url(), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]


def _number(text):
    try:
        return int(text)
    except ValueError:
        return text or None


STORES = {"sqlite": Sqlite, "postgres": Postgres}


def own_mounts():
    """Starts this program anew with mounts that nobody else sees, where that is allowed. Returns whether it has them."""
    if MOUNTS_VARIABLE in os.environ:
        return os.environ[MOUNTS_VARIABLE] == "yes"
    unshare = ["unshare", "--mount", "--propagation", "private"]
    trial = [*unshare, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/tmp"]
    try:
        allowed = subprocess.run(trial, capture_output=True, timeout=10, check=False).returncode == 0
    except OSError:
        allowed = False
    os.environ[MOUNTS_VARIABLE] = "yes" if allowed else "no"
    if allowed:
        os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])
    return False


class Disk:
    """A small file system in memory, at a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.ballast = directory / "ballast"
        directory.mkdir(mode=0o700)
        options = f"size={DISK_BYTES},mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True, timeout=10)

    @contextlib.contextmanager
    def full(self):
        """Not a byte is free."""
        try:
            with open(self.ballast, "wb", buffering=0) as file:
                for piece in (MIB, 4096, 1):
                    with contextlib.suppress(_NoSpace):
                        while True:
                            _write(file, bytes(piece))
            yield
        finally:
            self.ballast.unlink(missing_ok=True)

    def close(self):
        # At once, and really when the last file is closed.
        subprocess.run(["umount", "--lazy", self.directory], check=True, timeout=10)


class _NoSpace(Exception):
    """The disk is full."""


def _write(file, data):
    try:
        file.write(data)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _NoSpace from error
