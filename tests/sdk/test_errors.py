"""Each official SDK raises its own class for each refusal, with a message and a code that can be read."""

import pytest
from clients import ANTHROPIC, EVERY_SDK, OPENAI, AnthropicJavascript, AnthropicPython, GoogleJavascript, GooglePython
from clients import OpenAiJavascript, OpenAiPython
from test_retries import refusal

# What is told does not depend on the database.
pytestmark = pytest.mark.parametrize("app", ["sqlite"], indirect=True)

OPENAIS = {
    400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
    409: "ConflictError", 422: "UnprocessableEntityError", 429: "RateLimitError", 502: "InternalServerError",
    503: "InternalServerError",
}  # fmt: skip
ANTHROPICS = OPENAIS | {402: "PaymentRequiredError", 413: "ContentTooLargeError", 503: "ServiceUnavailableError"}
# The classes by status, and the one for every other.
KINDS = {
    OpenAiPython: (OPENAIS, "APIStatusError"),
    AnthropicPython: (ANTHROPICS, "APIStatusError"),
    GooglePython: ({502: "ServerError", 503: "ServerError"}, "ClientError"),
    OpenAiJavascript: (OPENAIS, "APIError"),
    AnthropicJavascript: (ANTHROPICS, "APIError"),
    GoogleJavascript: ({}, "ApiError"),
}

every_sdk = pytest.mark.parametrize("sdk", EVERY_SDK, ids=repr)


def check(sdk, came, status, code, message=""):
    error = came["error"]
    kinds, other = KINDS[type(sdk)]
    assert (error["status"], error["kind"]) == (status, kinds.get(status, other)), error
    # Where an SDK has no field for the code, its message has it.
    assert code in (error.get("code"), None) or code in error["message"], error
    assert error["message"] and message in error["message"], error


@pytest.fixture
def keyed(tenant, keys, sdk):
    assert tenant.submit(sdk.provider, getattr(keys, sdk.provider)).is_success
    return tenant


@every_sdk
def test_refusals_of_ours(tenant, keys, mock, sdk):
    mark = mock.mark()
    check(sdk, sdk.ask(tenant), 402, "byok_key_missing", "is missing")
    assert tenant.submit(sdk.provider, getattr(keys, sdk.provider)).is_success
    mark = mock.mark()
    check(sdk, sdk.ask(tenant, api_key=tenant.api_key[:-6] + "aaaaaa"), 401, "api_key_invalid")
    reader = {"name": "reader", "scopes": ["usage:read"]}
    minted = tenant.post(f"/api/v1/workspaces/{tenant.workspace}/api-keys", reader)
    assert minted.status_code == 201, minted.text
    check(sdk, sdk.ask(tenant, api_key=minted.json()["key"]), 403, "permission_denied")
    check(sdk, sdk.ask(tenant, model="nobody/knows-this"), 404, "model_not_found")
    assert mock.requests(mark) == []


@every_sdk
def test_a_body_that_is_too_large(keyed, mock, sdk):
    mark = mock.mark()
    check(sdk, sdk.ask(keyed, text="a" * (keyed.app.max_body_bytes + 1)), 413, "request_too_large")
    assert mock.requests(mark) == []


@every_sdk
def test_what_the_provider_says_of_the_request(keyed, mock, sdk):
    for status in (400, 404, 409, 413, 422, 429):
        mock.next(refusal(sdk, status))
        code = "some_code" if sdk in OPENAI else None
        check(sdk, sdk.ask(keyed), status, code, "the provider's own words")


@every_sdk
def test_a_provider_that_fails(keyed, mock, sdk):
    for status, told, code in [(500, 502, "upstream_bad_gateway"), (503, 503, "upstream_unavailable")]:
        mock.next(refusal(sdk, status), refusal(sdk, status))
        check(sdk, sdk.ask(keyed), told, code)


@pytest.mark.parametrize("sdk", OPENAI + ANTHROPIC, ids=repr)
def test_a_key_that_the_provider_turns_away_is_not_the_callers(keyed, mock, sdk):
    mock.next(refusal(sdk, 401))
    check(sdk, sdk.ask(keyed), 502, "upstream_credentials_exhausted")
