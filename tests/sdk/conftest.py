"""One mock and, for each database engine, one instance for the whole run; each test gets a tenant of its own."""

import contextlib
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from clients import end_javascript  # noqa: E402
from harness import Keybearer, Mock, database, random_key  # noqa: E402


class Keys:
    """The provider keys that the mock accepts, and some that it does not."""

    def __init__(self):
        self.openai = random_key("sk-proj-")
        self.openai_later = random_key("sk-proj-")
        self.anthropic = random_key("sk-ant-api03-", 93)
        self.google = random_key("AIza", 35)
        self.cerebras = random_key("csk-")
        self.wrong = random_key("sk-proj-")

    def accepted(self):
        return [self.openai, self.openai_later, self.anthropic, self.google, self.cerebras]

    def all(self):
        return [*self.accepted(), self.wrong]


@pytest.fixture(scope="session")
def keys():
    return Keys()


@pytest.fixture(scope="session")
def mock(tmp_path_factory, keys):
    with contextlib.closing(Mock(tmp_path_factory.mktemp("mock"), keys.accepted())) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def javascript():
    """The scripts that drive SDKs for JavaScript, which start when they are first needed."""
    yield
    end_javascript()


def engines():
    """Both engines; PostgreSQL only where a throw-away server is named, and always in CI."""
    skip = not os.environ.get("KEYBEARER_TEST_POSTGRES_URL") and not os.environ.get("CI")
    reason = "no KEYBEARER_TEST_POSTGRES_URL; see scripts/with_postgres.py"
    return ["sqlite", pytest.param("postgres", marks=pytest.mark.skipif(skip, reason=reason))]


@pytest.fixture(scope="session", params=engines())
def app(request, tmp_path_factory, mock):
    directory = tmp_path_factory.mktemp(f"app-{request.param}")
    directory.chmod(0o700)
    with database(request.param, directory) as url:
        running = Keybearer(directory, url, {name: mock.url for name in ("openai", "anthropic", "google", "cerebras")})
        try:
            yield running
        finally:
            running.close()


@pytest.fixture
def tenant(app):
    return app.tenant()
