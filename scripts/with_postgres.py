#!/usr/bin/env python3
"""Runs a command beside a throw-away PostgreSQL server.

    scripts/with_postgres.py COMMAND [ARGUMENT...]

The command finds the server in KEYBEARER_TEST_POSTGRES_URL (a superuser's URL) and its files in
KEYBEARER_TEST_POSTGRES_DATA. The server listens on loopback only, keeps its files in a temporary directory,
trusts everybody who connects, and does not wait for the disk: it is for tests. It is stopped and removed when
the command ends, however it ends. Exits with the command's status, or 2 if the server cannot be started.

Needs PostgreSQL's server programs (Debian: `apt-get install postgresql`). PostgreSQL refuses to run as root, so
root runs it as the user `postgres`.
"""

import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

START_SECONDS = 60
STOP_SECONDS = 30
SERVER_USER = "postgres"


class CannotStart(Exception):
    """The server cannot be started; the text says what is missing."""


def find_programs():
    """The directory with `initdb` and `postgres`, newest version first."""

    def version(path):
        name = pathlib.Path(path).parent.name
        return int(name) if name.isdigit() else 0

    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=version, reverse=True)
    in_path = shutil.which("initdb")
    if in_path:
        found.append(str(pathlib.Path(in_path).resolve().parent))
    for directory in found:
        if all(os.access(os.path.join(directory, name), os.X_OK) for name in ("initdb", "postgres")):
            return directory
    raise CannotStart("initdb is missing; install it with: apt-get install -y postgresql")


def account():
    """The user and group to run the server as; None: as oneself."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        raise CannotStart(
            f"PostgreSQL does not run as root and there is no user {SERVER_USER}; "
            "install it with: apt-get install -y postgresql"
        ) from None


def become(user):
    """What a child process needs to run as `user`."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running server."""

    def __init__(self, base):
        self.base = pathlib.Path(base)
        self.data = self.base / "data"
        self.log = self.base / "server.log"
        self.user = account()
        self.programs = find_programs()
        self.process = None
        self.port = None

    def start(self):
        if self.user is not None:
            os.chown(self.base, self.user.pw_uid, self.user.pw_gid)
        self._run_initdb()
        # Another process can take the port between the look and the start; then another port is tried.
        for _ in range(3):
            self.port = free_port()
            if self._try_start():
                return
        raise CannotStart(f"PostgreSQL did not start:\n{self._log_tail()}")

    def start_again(self):
        """After a stop, on the same files and the same port."""
        if not self._try_start():
            raise CannotStart(f"PostgreSQL did not start again:\n{self._log_tail()}")

    def stop(self, kinds=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)):
        """Asks it to end, by one signal after the other."""
        if self.process is None or self.process.poll() is not None:
            return
        for kind in kinds:
            self.process.send_signal(kind)
            try:
                self.process.wait(STOP_SECONDS if kind == signal.SIGINT else 10)
                return
            except subprocess.TimeoutExpired:
                continue

    def url(self):
        return f"postgres://{SERVER_USER}@127.0.0.1:{self.port}/postgres"

    def _run_initdb(self):
        command = [
            f"{self.programs}/initdb", f"--pgdata={self.data}", f"--username={SERVER_USER}", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
        ]
        done = subprocess.run(
            command, cwd=self.base, env=self._environment(), capture_output=True, text=True, timeout=120,
            check=False, **become(self.user),
        )
        if done.returncode != 0:
            raise CannotStart(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _try_start(self):
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.base,
            "fsync": "off", "full_page_writes": "off",
            "max_connections": 200, "shared_buffers": "64MB", "logging_collector": "off",
            "dynamic_shared_memory_type": "mmap", "max_wal_size": "256MB",
        }
        command = [f"{self.programs}/postgres", "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.log, "ab") as log:
            # A session of its own: Ctrl-C reaches the command first, and the server is stopped after it.
            self.process = subprocess.Popen(
                command, cwd=self.base, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **become(self.user),
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            if self._answers():
                return True
            time.sleep(0.05)
        self.stop()
        return False

    def _answers(self):
        """Whether the server takes connections: it answers a start-up message with `R` (log-in goes on)."""
        body = b"\0\3\0\0user\0" + SERVER_USER.encode() + b"\0database\0postgres\0\0"
        message = (len(body) + 4).to_bytes(4, "big") + body
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(message)
                return connection.recv(1) == b"R"
        except OSError:
            return False

    def _environment(self):
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.base)}

    def _log_tail(self):
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""


def run_command(command, server):
    """Runs the command; a signal that would end us is handed on to it and answered by its end."""
    environment = os.environ | {
        "KEYBEARER_TEST_POSTGRES_URL": server.url(),
        "KEYBEARER_TEST_POSTGRES_DATA": str(server.data),
    }
    child = subprocess.Popen(command, env=environment)
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, lambda number, _frame: child.poll() is None and child.send_signal(number))
    status = child.wait()
    return status if status >= 0 else 128 - status


def main():
    command = sys.argv[1:]
    if not command or command[0] in ("-h", "--help"):
        print(__doc__, file=sys.stderr)
        return 2
    # Directly under /tmp: the path of a Unix socket has at most 107 bytes.
    base = tempfile.mkdtemp(prefix="kb-pg-", dir="/tmp")
    server = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        server = Server(base)
        server.start()
        return run_command(command, server)
    except CannotStart as error:
        print(f"with_postgres: {error}", file=sys.stderr)
        return 2
    except FileNotFoundError as error:
        print(f"with_postgres: {error}", file=sys.stderr)
        return 127
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
