"""Starts what the tests talk to: the mock of the providers, and Keybearer itself. Ends only what it started."""

import base64
import contextlib
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import string
import subprocess
import time
from dataclasses import dataclass

import httpx
from nacl.public import PublicKey, SealedBox

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
START_SECONDS = 60
STOP_SECONDS = 40


def binary():
    """The binary under test."""
    return pathlib.Path(os.environ.get("KEYBEARER_BIN", ROOT / "target" / "debug" / "keybearer"))


def random_key(prefix, length=48):
    """A unique provider key in a vendor's shape."""
    letters = string.ascii_letters + string.digits
    return prefix + "".join(secrets.choice(letters) for _ in range(length))


def wait_for(what, seconds, look, process=None):
    """Calls `look` until it returns something. Fails after `seconds`, or when `process` ends."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{what}: the process ended with {process.returncode}")
        assert time.monotonic() < deadline, f"{what}: nothing after {seconds} s"
        time.sleep(0.02)


def stop(process):
    """Asks a child to end, then makes it. Returns its status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(STOP_SECONDS)


class Mock:
    """The third-party mock of the providers' APIs."""

    def __init__(self, directory, keys):
        self.requests_file = directory / "requests.jsonl"
        self.events_file = directory / "events.jsonl"
        self.requests_file.touch()
        self.events_file.touch()
        self.errors = open(directory / "mock.stderr", "wb")
        self.process = subprocess.Popen(
            ["node", HERE / "mock_provider.mjs", self.requests_file, self.events_file], cwd=HERE,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )
        self.url = self._ask({"keys": keys})["url"]

    def _ask(self, what):
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, pathlib.Path(self.errors.name).read_text()
        return json.loads(line)

    def next(self, *answers):
        """What the next requests get; see mock_provider.mjs. Those after them get the mock's own answers."""
        self._ask({"next": answers})

    def mark(self):
        """A place in the list of requests."""
        return len(self._lines())

    def requests(self, since=0):
        """The requests since a place: method, path, and headers as (lower-case name, value)."""
        found = []
        for line in self._lines()[since:]:
            request = json.loads(line)
            raw = request.pop("rawHeaders")
            names = [name.lower() for name in raw[0::2]]
            found.append(request | {"headers": list(zip(names, raw[1::2], strict=True))})
        return found

    def bodies(self, since=0):
        """The bodies of JSON since a place."""
        return [event["body"] for event in self._events(since) if "body" in event]

    def left(self, since=0):
        """How many callers went away since a place, before their answer was whole."""
        return len([event for event in self._events(since) if "left" in event])

    def _events(self, since):
        events = [json.loads(line) for line in self.events_file.read_text().splitlines()]
        return [event for event in events if event["request"] >= since]

    def everything(self):
        """All that the mock was sent but for bodies, as text."""
        return self.requests_file.read_text()

    def close(self):
        stop(self.process)
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()

    def _lines(self):
        return self.requests_file.read_text().splitlines()


def psql(url, statement):
    """Runs one statement on the throw-away server with PostgreSQL's own client."""
    found = shutil.which("psql") or next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql"))), None)
    assert found, "psql is missing; install it with: apt-get install -y postgresql-client"
    command = [found, "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-c", statement, url]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def database(engine, directory):
    """The URL of an empty database."""
    if engine == "sqlite":
        yield f"sqlite://{directory}/data/keybearer.db"
        return
    server = os.environ["KEYBEARER_TEST_POSTGRES_URL"]
    name = f"kb_sdk_{secrets.token_hex(8)}"
    psql(server, f"CREATE DATABASE {name}")
    try:
        yield f"{server.rsplit('/', 1)[0]}/{name}"
    finally:
        psql(server, f"DROP DATABASE {name} WITH (FORCE)")


def provider_file(name, origin):
    """A bundled provider file with the scheme and host of its base URL replaced; the path stays."""
    text = (ROOT / "providers" / f"{name}.toml").read_text()
    text, replaced = re.subn(r'(?m)^(base_url = ")https://[^/"]+', rf"\g<1>{origin}", text)
    assert replaced == 1, f"{name}.toml has {replaced} base URLs"
    return text


def content_only(origin):
    """Google's file without its endpoint for chat completions: a provider that speaks Gemini's content and nothing else."""
    text = provider_file("google", origin)
    for old, new in [
        ('id = "google"', 'id = "content-only"'),
        ('native_patterns = ["gemini-*"]\n', ""),
        ('[probe]\nformat = "openai_chat"', '[probe]\nformat = "gemini_generate_content"'),
        ('[[formats]]\nformat = "openai_chat"\npath = "/chat/completions"\n', ""),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


class Keybearer:
    """A running instance with its first user."""

    # Small, so that tests need not send much to exceed it.
    max_body_bytes = 2 << 20

    def __init__(self, directory, database_url, providers):
        self.directory = directory
        files = directory / "providers"
        files.mkdir()
        for name, origin in providers.items():
            (files / f"{name}.toml").write_text(provider_file(name, origin))
        (files / "content-only.toml").write_text(content_only(providers["google"]))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "KEYBEARER_LISTEN": "127.0.0.1:0",
            "KEYBEARER_DATA_DIR": str(directory / "data"),
            "KEYBEARER_DATABASE_URL": database_url,
            "KEYBEARER_PROVIDERS_DIR": str(files),
            "KEYBEARER_ALLOW_ADDRESSES": "127.0.0.0/8",
            "KEYBEARER_MAX_BODY_BYTES": str(self.max_body_bytes),
            "KEYBEARER_LOG": "trace",
        }
        self.output = directory / "stdout"
        self.log = directory / "stderr"
        with open(self.output, "wb") as output, open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [binary(), "serve"], cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=log,
            )
        try:
            self.url = self._printed(r"listening on (http://\S+)\n").rstrip("/")
            self.setup_token = self._printed(r"#token=(kbsetup_\S+)\n")
            self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
            self._set_up()
        except BaseException:
            stop(self.process)
            raise

    def _printed(self, pattern):
        def look():
            return re.search(pattern, self.output.read_text())

        try:
            return wait_for(f"a line like {pattern}", START_SECONDS, look, self.process).group(1)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output.read_text()}{self.log.read_text()[-4000:]}") from None

    def _set_up(self):
        body = {"token": self.setup_token, "email": "owner@example.com", "password": secrets.token_urlsafe(16)}
        answer = self.client.post("/api/v1/setup", json=body)
        assert answer.status_code == 201, answer.text
        # The cookie is for https; here it is sent by hand. Nothing else may send it.
        self.session = {"cookie": answer.headers["set-cookie"].split(";")[0]}
        self.client.cookies.clear()

    def tenant(self):
        """A new person with an account and a workspace of their own, and an API key that may do everything."""
        who = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_urlsafe(16)}
        self._made("/api/v1/users", who, self.session)
        answer = self.client.post("/api/v1/sessions", json=who)
        assert answer.status_code == 201, answer.text
        self.client.cookies.clear()
        session = {"cookie": answer.headers["set-cookie"].split(";")[0]}
        [workspace] = self.client.get("/api/v1/workspaces", headers=session).json()["data"]
        wanted = {"name": "test", "scopes": SCOPES}
        minted = self._made(f"/api/v1/workspaces/{workspace['id']}/api-keys", wanted, session)
        return Tenant(self, workspace["id"], minted["key"])

    def _made(self, path, body, headers):
        answer = self.client.post(path, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def close(self):
        """Ends the instance as an operator would. Returns its status."""
        self.client.close()
        return stop(self.process)


SCOPES = [
    "inference:invoke", "keys:write", "byok:read", "byok:write", "usage:read", "policy:read", "policy:write",
    "billing:read",
]


@dataclass
class Tenant:
    """Somebody's workspace, and the API key of a program that uses it."""

    app: Keybearer
    workspace: str
    api_key: str

    @property
    def headers(self):
        return {"authorization": f"Bearer {self.api_key}"}

    def get(self, path):
        return self.app.client.get(path, headers=self.headers)

    def post(self, path, body):
        return self.app.client.post(path, json=body, headers=self.headers)

    def sealing_key(self):
        """The current sealing key: its id, and the public half as base64."""
        answer = self.get("/v1/byok/encryption-pubkey")
        assert answer.status_code == 200, answer.text
        return answer.json()["kek_id"], answer.json()["public_key"]

    def submit(self, provider, key, seal=None, kek_id=None):
        """Seals a provider key and submits it in the founding form, for the account."""
        current, public_key = self.sealing_key()
        sealed = (seal or seal_with_pynacl)(public_key, key)
        body = {
            "provider_name": provider, "kek_id": kek_id or current, "ciphertext_b64": sealed, "key_prefix": key[:4],
        }
        return self.post("/v1/byok/keys", body)

    def submit_to_workspace(self, provider, key, **more):
        """Seals a provider key and submits it for the workspace instead of the account; `more`: its label, its level."""
        kek_id, public_key = self.sealing_key()
        sealed = seal_with_pynacl(public_key, key)
        body = {"provider": provider, "kek_id": kek_id, "ciphertext_b64": sealed} | more
        return self.post(f"/api/v1/workspaces/{self.workspace}/provider-keys", body)

    def usage(self, count):
        """The usage rows, newest first, once there are `count`: they are written behind the responses."""

        def look():
            answer = self.get(f"/api/v1/workspaces/{self.workspace}/usage")
            assert answer.status_code == 200, answer.text
            rows = answer.json()["data"]
            return rows if len(rows) >= count else None

        return wait_for(f"{count} usage rows", 15, look)


def seal_with_pynacl(public_key, key):
    """A sealed box by PyNaCl."""
    sealed = SealedBox(PublicKey(base64.b64decode(public_key, validate=True))).encrypt(key.encode())
    return base64.b64encode(sealed).decode()


def seal_with_libsodium_js(public_key, key):
    """A sealed box by libsodium-wrappers."""
    command = ["node", HERE / "seal.mjs", public_key]
    done = subprocess.run(command, cwd=HERE, input=key.encode(), capture_output=True, check=True, timeout=60)
    return done.stdout.decode()
