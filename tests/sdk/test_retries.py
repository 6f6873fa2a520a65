"""Who tries again: Keybearer once where a provider fails, the official SDKs where they are told an error, as they do it."""

import time

import anthropic
import httpx2
import openai
import pytest
from clients import ANTHROPIC, EVERY_SDK, GOOGLE, OPENAI
from harness import wait_for
from test_sdks import SAID

# What comes of a call does not depend on the database.
pytestmark = pytest.mark.parametrize("app", ["sqlite"], indirect=True)


def refusal(sdk, status, headers=None):
    """A provider's error, in its own form."""
    message = "the provider's own words"
    if sdk.provider == "openai":
        body = {"error": {"message": message, "type": "some_error", "param": None, "code": "some_code"}}
    elif sdk.provider == "anthropic":
        body = {"type": "error", "error": {"type": "some_error", "message": message}}
    else:
        body = {"error": {"code": status, "message": message, "status": "UNAVAILABLE"}}
    return {"status": status, "headers": headers or {}, "body": body}


class Case:
    """A tenant with a key for the SDK's provider, and what the provider is asked from here on."""

    def __init__(self, sdk, tenant, mock):
        self.sdk, self.tenant, self.mock = sdk, tenant, mock
        self.mark = mock.mark()

    def ask(self, *answers, **options):
        """What comes of one call when the provider answers the first requests so."""
        self.mock.next(*answers)
        return self.sdk.ask(self.tenant, **options)

    def check(self, *rows):
        """The calls, newest first: the status that each was told, and how many requests reached the provider for it."""
        found = self.tenant.usage(len(rows))
        assert [(row["status"], len(row["attempts"])) for row in found] == list(rows)
        assert len(self.mock.requests(self.mark)) == sum(requests for _, requests in rows)


@pytest.fixture
def case(sdk, tenant, keys, mock):
    assert tenant.submit(sdk.provider, getattr(keys, sdk.provider)).is_success
    yield Case(sdk, tenant, mock)
    mock.next()


@pytest.mark.parametrize("sdk", EVERY_SDK, ids=repr)
def test_a_limited_call_is_made_again_by_the_sdk(case, sdk):
    began = time.monotonic()
    assert case.ask(refusal(sdk, 429, {"retry-after": "1"}), retries=2) == {"text": SAID}
    # Google's SDKs do not read the header.
    assert sdk in GOOGLE or time.monotonic() - began >= 1
    case.check((200, 1), (429, 1))


@pytest.mark.parametrize("sdk", EVERY_SDK, ids=repr)
def test_a_failing_provider_is_asked_again_before_the_sdk_hears_of_it(case, sdk):
    assert case.ask(refusal(sdk, 500), retries=2) == {"text": SAID}
    case.check((200, 2))


@pytest.mark.parametrize("sdk", EVERY_SDK, ids=repr)
def test_a_provider_that_fails_twice_is_asked_again_by_the_sdk(case, sdk):
    assert case.ask(refusal(sdk, 503), refusal(sdk, 503), retries=2) == {"text": SAID}
    case.check((200, 1), (503, 2))


@pytest.mark.parametrize("sdk", OPENAI + ANTHROPIC, ids=repr)
def test_a_provider_says_whether_another_try_is_of_use(case, sdk):
    error = case.ask(refusal(sdk, 429, {"x-should-retry": "false"}), retries=2)["error"]
    assert (error["kind"], error["status"]) == ("RateLimitError", 429)
    case.check((429, 1))
    assert case.ask(refusal(sdk, 400, {"x-should-retry": "true"}), retries=2) == {"text": SAID}
    case.check((200, 1), (400, 1), (429, 1))


@pytest.mark.parametrize("sdk", OPENAI + ANTHROPIC, ids=repr)
def test_no_sdk_tries_again_where_the_key_is_turned_away(case, sdk):
    error = case.ask(refusal(sdk, 401), refusal(sdk, 401), retries=2)["error"]
    assert error["status"] == 502 and "upstream_credentials_exhausted" in str(error)
    case.check((502, 1))


@pytest.mark.parametrize("sdk", EVERY_SDK, ids=repr)
def test_an_sdk_that_gives_up_takes_the_call_at_the_provider_along(case, sdk):
    error = case.ask({"silent": True}, timeout=2)["error"]
    assert error["kind"] in KINDS_OF_TIMEOUT, error
    wait_for("the provider is left", 20, lambda: case.mock.left(case.mark))
    case.check((499, 1))
    assert case.tenant.usage(1)[0]["error_code"] == "client_closed"
    # No other row comes later.
    assert case.ask() == {"text": SAID}
    case.check((200, 1), (499, 1))


# A stream's beginning, in the form of each provider.
BEGUN = {
    "openai": 'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    '{"role":"assistant","content":"Hello"},"finish_reason":null}]}\n\n',
    "anthropic": 'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant",'
    '"model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":21,"output_tokens":1}}}\n\n'
    'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}\n\n',
}  # fmt: skip


@pytest.mark.parametrize("sdk", [OPENAI[0], ANTHROPIC[0]], ids=repr)
def test_an_sdk_that_gives_up_a_stream_takes_it_along(case, sdk):
    case.mock.next({"pieces": [BEGUN[sdk.provider]]})
    said = []
    with pytest.raises((httpx2.ReadTimeout, openai.APITimeoutError, anthropic.APITimeoutError)):
        for piece in sdk.stream(case.tenant, timeout=2):
            said.append(piece)
    assert "".join(said) == "Hello"
    wait_for("the provider is left", 20, lambda: case.mock.left(case.mark))
    case.check((499, 1))
    [row] = case.tenant.usage(1)
    assert (row["streamed"], row["error_code"], row["pricing"]) == (True, "client_closed", "estimated")
    assert row["usage"]["input_tokens"] > 0


KINDS_OF_TIMEOUT = {"APITimeoutError", "APIConnectionTimeoutError", "ReadTimeout", "DOMException"}


@pytest.mark.parametrize("sdk", OPENAI + ANTHROPIC, ids=repr)
def test_an_sdk_that_gives_up_asks_again(case, sdk):
    assert case.ask({"silent": True}, retries=1, timeout=3) == {"text": SAID}
    wait_for("the provider is left", 20, lambda: case.mock.left(case.mark) == 1)
    rows = case.tenant.usage(2)
    assert sorted((row["status"], len(row["attempts"])) for row in rows) == [(200, 1), (499, 1)]
    assert len(case.mock.requests(case.mark)) == 2
