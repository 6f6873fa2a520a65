"""SDKs for JavaScript, unmodified, against Keybearer in front of a third-party mock of their providers."""

import base64
import json
import sys
from dataclasses import dataclass

import pytest
from clients import in_javascript
from harness import wait_for
from test_images import ADDRESS, CHAT, CONTENT, MESSAGES, PICTURE, RESPONSES, is_picture, named, parts_of
from test_retries import refusal
from test_sdks import ANTHROPIC_MODEL, HELLO, INPUT_TOKENS, OPENAI_MODEL, OUTPUT_TOKENS, SAID

WEATHER = "what is the weather in Oslo?"
CITY = {"city": "Oslo", "unit": "celsius"}
SCHEMA = {
    "type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
    "required": ["city", "unit"], "additionalProperties": False,
}
# Vercel's provider takes a name with a slash for a whole path below the base URL.
GEMINI_MODEL = "models/google/gemini-3.5-flash-lite"


def pytest_generate_tests(metafunc):
    """Each test of an SDK that has newer versions for a newer Node.js is run with both."""
    both = metafunc.function.__name__.startswith(("test_openai", "test_vercel"))
    metafunc.parametrize("packages", ["older", "newer"] if both else ["older"], indirect=True)


@pytest.fixture(autouse=True)
def packages(request, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "NEWER", request.param == "newer")


NEWER = False


@dataclass
class Owner:
    """Whose refusal it is."""

    provider: str


@pytest.fixture(autouse=True)
def nothing_left_to_say(mock):
    yield
    mock.next()


@pytest.fixture
def own_keys(tenant, keys):
    """A tenant with a key of each provider here."""
    for provider in ("openai", "anthropic", "google"):
        assert tenant.submit(provider, getattr(keys, provider)).is_success
    return tenant


def call(tenant, script, method, *parameters, api_key=None):
    """What comes of one call with the SDK that the script drives."""
    return in_javascript(script, tenant.app.url, api_key or tenant.api_key, method, parameters, newer=NEWER)


def openai(tenant, method, *parameters, **options):
    return call(tenant, "openai.mjs", method, *parameters, **options)


def anthropic(tenant, **parameters):
    body = {"model": ANTHROPIC_MODEL, "max_tokens": 64, "messages": HELLO} | parameters
    return call(tenant, "anthropic.mjs", "messages.create", body)


def asked(text):
    return [{"role": "user", "content": text}]


def check_row(tenant, format_name, streamed):
    """The one call up to here has its row, with the tokens that the provider reported."""
    [row] = tenant.usage(1)
    assert (row["wire_format"], row["streamed"], row["status"]) == (format_name, streamed, 200)
    assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (INPUT_TOKENS, OUTPUT_TOKENS)


def check_credential(tenant, mock, mark, header, value):
    """The provider got its own key and not ours."""
    [request] = mock.requests(mark)
    assert dict(request["headers"])[header] == value
    assert tenant.api_key not in str(request)


def test_openai_chat(own_keys, mock, keys):
    mark = mock.mark()
    answer = openai(own_keys, "chat.completions.create", {"model": OPENAI_MODEL, "messages": HELLO})["answer"]
    assert answer["choices"][0]["message"]["content"] == SAID
    check_row(own_keys, "openai_chat", streamed=False)
    check_credential(own_keys, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_chat_streaming(own_keys):
    body = {"model": OPENAI_MODEL, "messages": HELLO, "stream": True}
    chunks = openai(own_keys, "chat.completions.create", body)["chunks"]
    pieces = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    assert "".join(pieces) == SAID and len(pieces) > 3
    check_row(own_keys, "openai_chat", streamed=True)


def test_openai_responses(own_keys):
    answer = openai(own_keys, "responses.create", {"model": OPENAI_MODEL, "input": "say hello"})["answer"]
    assert answer["output_text"] == SAID
    check_row(own_keys, "openai_responses", streamed=False)


def test_openai_responses_streaming(own_keys):
    body = {"model": OPENAI_MODEL, "input": "say hello", "stream": True}
    events = openai(own_keys, "responses.create", body)["chunks"]
    pieces = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(pieces) == SAID and len(pieces) > 3
    assert events[-1]["type"] == "response.completed"
    check_row(own_keys, "openai_responses", streamed=True)


def test_openai_tools_and_structured_output(own_keys):
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
    body = {"model": OPENAI_MODEL, "messages": asked(WEATHER), "tools": [tool]}
    answer = openai(own_keys, "chat.completions.create", body)["answer"]
    [tool_call] = answer["choices"][0]["message"]["tool_calls"]
    assert json.loads(tool_call["function"]["arguments"]) == CITY
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}
    body = {"model": OPENAI_MODEL, "messages": asked("name a city"), "response_format": wanted}
    answer = openai(own_keys, "chat.completions.parse", body)["answer"]
    assert answer["choices"][0]["message"]["parsed"] == CITY


def test_openai_embeddings(own_keys):
    body = {"model": "openai/text-embedding-3-small", "input": ["say hello"], "encoding_format": "float"}
    [row] = openai(own_keys, "embeddings.create", body)["answer"]["data"]
    assert row["embedding"] == [0.5, -0.25]
    # Unless told otherwise it asks for base64, which this provider does not heed, and takes numbers for zeros.
    del body["encoding_format"]
    [row] = openai(own_keys, "embeddings.create", body)["answer"]["data"]
    assert row["embedding"] == [0.5, -0.25]


def test_openai_images(own_keys, mock, keys):
    mark = mock.mark()
    body = {"model": "openai/gpt-image-1", "prompt": "a dot"}
    answer = openai(own_keys, "images.generate", body)["answer"]
    assert answer["data"][0]["b64_json"] == "iVBORw0KGgo="
    [row] = own_keys.usage(1)
    assert (row["operation"], row["status"], row["pricing"]) == ("image_generations", 200, "unpriced")
    check_credential(own_keys, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_image_edits_and_variations(own_keys):
    picture = {"image": base64.b64encode(b"\x89PNG\r\n" + bytes(range(256)) * 512).decode()}
    edit = {"model": "openai/gpt-image-1", "prompt": "a dot"}
    for method, more in [("edit", edit), ("createVariation", {"model": "openai/dall-e-2"})]:
        answer = openai(own_keys, f"images.{method}", picture | more)["answer"]
        assert answer["data"][0]["b64_json"] == "iVBORw0KGgo="
    assert [(row["operation"], row["status"]) for row in own_keys.usage(2)] == [
        ("image_variations", 200), ("image_edits", 200),
    ]


def test_openai_tries_a_busy_provider_again(own_keys, mock):
    mark = mock.mark()
    body = {"model": OPENAI_MODEL, "messages": asked("be busy")}
    error = openai(own_keys, "chat.completions.create", body, {"maxRetries": 1})["error"]
    assert (error["kind"], error["status"]) == ("RateLimitError", 429)
    assert [row["status"] for row in own_keys.usage(2)] == [429, 429]
    assert len(mock.requests(mark)) == 2


def test_openai_errors(tenant, keys):
    body = {"model": OPENAI_MODEL, "messages": HELLO}
    error = openai(tenant, "chat.completions.create", body)["error"]
    assert (error["status"], error["code"]) == (402, "byok_key_missing")
    error = openai(tenant, "chat.completions.create", body, api_key="sk-proj-not-ours")["error"]
    assert error["kind"] == "AuthenticationError"
    assert tenant.submit("openai", keys.openai).is_success
    broken = {"model": OPENAI_MODEL, "messages": asked("break off"), "stream": True}
    error = openai(tenant, "chat.completions.create", broken)["error"]
    assert error["kind"] == "APIError" and "broke off" in error["message"]


def test_anthropic_messages(own_keys, mock, keys):
    mark = mock.mark()
    assert anthropic(own_keys)["answer"]["content"][0]["text"] == SAID
    check_row(own_keys, "anthropic_messages", streamed=False)
    check_credential(own_keys, mock, mark, "x-api-key", keys.anthropic)


def test_anthropic_messages_streaming(own_keys):
    events = anthropic(own_keys, stream=True)["chunks"]
    pieces = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(pieces) == SAID and len(pieces) > 3
    check_row(own_keys, "anthropic_messages", streamed=True)


def test_anthropic_tools(own_keys):
    tool = {"name": "get_weather", "input_schema": SCHEMA}
    answer = anthropic(own_keys, messages=asked(WEATHER), tools=[tool])["answer"]
    [use] = [block for block in answer["content"] if block["type"] == "tool_use"]
    assert (use["name"], use["input"]) == ("get_weather", CITY)


def test_anthropic_counts_tokens(own_keys):
    body = {"model": ANTHROPIC_MODEL, "messages": HELLO}
    assert call(own_keys, "anthropic.mjs", "messages.countTokens", body)["answer"] == {"input_tokens": 2}
    [row] = own_keys.usage(1)
    assert (row["operation"], row["status"]) == ("count_tokens", 200)


def test_anthropic_batches(own_keys, keys, mock):
    assert own_keys.submit_to_workspace("anthropic", keys.anthropic).is_success
    mark = mock.mark()
    params = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": HELLO}
    body = {"requests": [{"custom_id": "a", "params": params}]}
    batch = call(own_keys, "anthropic.mjs", "messages.batches.create", body)["answer"]
    [result] = call(own_keys, "anthropic.mjs", "messages.batches.results", batch["id"])["chunks"]
    assert (result["custom_id"], result["result"]["message"]["content"][0]["text"]) == ("a", SAID)
    requests = mock.requests(mark)
    assert {dict(request["headers"])["x-api-key"] for request in requests} == {keys.anthropic}
    assert [row["status"] for row in own_keys.usage(3)] == [200] * len(requests)


def test_anthropic_errors(tenant, keys):
    error = anthropic(tenant)["error"]
    assert error["status"] == 402 and "byok_key_missing" in error["message"]
    assert tenant.submit("anthropic", keys.anthropic).is_success
    assert anthropic(tenant, messages=asked("be busy"))["error"]["kind"] == "RateLimitError"
    error = anthropic(tenant, messages=asked("break off"), stream=True)["error"]
    assert "broke off" in error["message"]


VERCEL = [
    ("chat", OPENAI_MODEL, "openai_chat"),
    ("responses", OPENAI_MODEL, "openai_responses"),
    ("messages", ANTHROPIC_MODEL, "anthropic_messages"),
    ("gemini", GEMINI_MODEL, "gemini_generate_content"),
]


def vercel(tenant, what, provider, model, **parameters):
    return call(tenant, "vercel.mjs", what, {"provider": provider, "model": model} | parameters)


@pytest.mark.parametrize(("provider", "model", "format_name"), VERCEL)
def test_vercels_text(own_keys, provider, model, format_name):
    answer = vercel(own_keys, "text", provider, model, prompt="say hello")
    assert (answer["text"], answer["finishReason"]) == (SAID, "stop")
    assert (answer["usage"]["inputTokens"], answer["usage"]["outputTokens"]) == (INPUT_TOKENS, OUTPUT_TOKENS)
    check_row(own_keys, format_name, streamed=False)


@pytest.mark.parametrize(("provider", "model", "format_name"), VERCEL)
def test_vercels_streams(own_keys, provider, model, format_name):
    answer = vercel(own_keys, "stream", provider, model, prompt="say hello")
    assert "".join(answer["pieces"]) == SAID and len(answer["pieces"]) > 3
    assert answer["usage"]["outputTokens"] == OUTPUT_TOKENS
    check_row(own_keys, format_name, streamed=True)


@pytest.mark.parametrize(("provider", "model", "format_name"), VERCEL)
def test_vercels_tools(own_keys, provider, model, format_name):
    answer = vercel(own_keys, "tool", provider, model, prompt=WEATHER)
    assert answer["calls"] == [["get_weather", CITY]]
    # The mock ends Gemini's tool calls with a word of its own.
    assert provider == "gemini" or answer["finishReason"] == "tool-calls"
    check_row(own_keys, format_name, streamed=False)


@pytest.mark.parametrize("provider", ["chat", "responses", "gemini"])
def test_vercels_structured_output(own_keys, provider):
    model = GEMINI_MODEL if provider == "gemini" else OPENAI_MODEL
    assert vercel(own_keys, "object", provider, model, prompt="name a city") == {"output": CITY}


@pytest.mark.parametrize(("provider", "model"), [
    ("embeddings", "openai/text-embedding-3-small"), ("gemini_embeddings", "google/gemini-embedding-001"),
])
def test_vercels_embeddings(own_keys, provider, model):
    answer = vercel(own_keys, "embed", provider, model, values=["say hello", "say hello"])
    assert answer["embeddings"] == [[0.5, -0.25]] * 2


def test_vercels_pictures_that_are_made(own_keys, mock, keys):
    mark = mock.mark()
    assert vercel(own_keys, "picture", "images", "gpt-image-1", prompt="a dot") == {"base64": "iVBORw0KGgo="}
    check_credential(own_keys, mock, mark, "authorization", f"Bearer {keys.openai}")


PICTURES = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES, "gemini": CONTENT}


@pytest.mark.parametrize(("provider", "model", "format_name"), VERCEL)
def test_vercels_pictures_in_prompts(own_keys, mock, provider, model, format_name):
    # What has an address it fetches itself for Gemini.
    pictures = [{"type": "image", "image": PICTURE, "mediaType": "image/png"}]
    if provider != "gemini":
        pictures.append({"type": "image", "image": {"url": ADDRESS}, "mediaType": "image/png"})
    mark = mock.mark()
    messages = [{"role": "user", "content": [*pictures, {"type": "text", "text": "say hello"}]}]
    assert vercel(own_keys, "text", provider, model, messages=messages)["text"] == SAID
    found = [part for body in mock.bodies(mark) for part in parts_of(body) if is_picture(part)]
    assert [named(part) for part in found] == PICTURES[provider][:len(pictures)]


@pytest.mark.parametrize(("provider", "model", "format_name"), VERCEL)
def test_vercels_retries(own_keys, mock, provider, model, format_name):
    owner = Owner(model.removeprefix("models/").split("/")[0])
    calls = 0
    for answers, rows in [
        ([refusal(owner, 429, {"retry-after": "1"})], [(200, 1), (429, 1)]),
        ([refusal(owner, 500)], [(200, 2)]),
        ([refusal(owner, 503), refusal(owner, 503)], [(200, 1), (503, 2)]),
    ]:
        mark = mock.mark()
        mock.next(*answers)
        assert vercel(own_keys, "text", provider, model, prompt="say hello", maxRetries=2)["text"] == SAID
        calls += len(rows)
        found = own_keys.usage(calls)[:len(rows)]
        assert [(row["status"], len(row["attempts"])) for row in found] == rows
        assert len(mock.requests(mark)) == sum(requests for _, requests in rows)


@pytest.mark.parametrize(("provider", "model", "format_name"), VERCEL)
def test_vercels_timeouts_take_the_call_at_the_provider_along(own_keys, mock, provider, model, format_name):
    mark = mock.mark()
    mock.next({"silent": True})
    error = vercel(own_keys, "text", provider, model, prompt="say hello", timeout=4000)["error"]
    assert error["name"] in ("TimeoutError", "AbortError"), error
    wait_for("the provider is left", 20, lambda: mock.left(mark))
    [row] = own_keys.usage(1)
    assert (row["status"], row["error_code"], len(row["attempts"])) == (499, "client_closed", 1)


@pytest.mark.parametrize(("provider", "format_name"), [("chat", "openai_chat"), ("responses", "openai_responses")])
def test_vercel_speaks_as_a_developer_to_models_that_think(own_keys, mock, provider, format_name):
    mark = mock.mark()
    assert vercel(own_keys, "text", provider, "gpt-5.4-nano", system="Be brief.", prompt="say hello")["text"] == SAID
    [body] = mock.bodies(mark)
    assert (body.get("messages") or body["input"])[0] == {"role": "developer", "content": "Be brief."}
    check_row(own_keys, format_name, streamed=False)


@pytest.mark.parametrize(("provider", "model", "format_name"), VERCEL)
def test_vercels_errors(tenant, keys, provider, model, format_name):
    error = vercel(tenant, "text", provider, model, prompt="say hello")["error"]
    assert (error["kind"], error["status"]) == ("APICallError", 402)
    owner = model.removeprefix("models/").split("/")[0]
    assert tenant.submit(owner, getattr(keys, owner)).is_success
    assert vercel(tenant, "text", provider, model, prompt="be busy")["error"]["status"] == 429
