"""LiteLLM as a client, unmodified, against Keybearer in front of a third-party mock of the providers' APIs."""

import asyncio
import os

# Prices are not fetched; they are not ours.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
import openai  # noqa: E402
import pytest  # noqa: E402
from harness import wait_for  # noqa: E402
from pydantic import BaseModel  # noqa: E402
from test_images import CHAT, CONTENT, MESSAGES, is_picture, named, parts_of  # noqa: E402
from test_retries import refusal  # noqa: E402
from test_sdks import HELLO, INPUT_TOKENS, OUTPUT_TOKENS, SAID, check_upstream, check_usage  # noqa: E402


# The clients keep their connections, which belong to the loop that made them.
together = asyncio.new_event_loop().run_until_complete


class Kind:
    """One of its providers: what it calls the model there, where it calls, and what the provider gets for pictures."""

    def __init__(self, provider, model, path, header, scheme, pictures):
        self.provider, self.model, self.path, self.header, self.scheme = provider, model, path, header, scheme
        self.pictures = pictures

    def __repr__(self):
        return self.provider


KINDS = [
    Kind("openai", "openai/gpt-4o-mini", "/v1", "authorization", "Bearer ", CHAT),
    Kind("anthropic", "anthropic/claude-haiku-4-5", "", "x-api-key", "", MESSAGES),
    Kind("google", "gemini/gemini-3.5-flash-lite", "/v1beta", "x-goog-api-key", "", CONTENT),
]


@pytest.fixture(params=KINDS, ids=repr)
def kind(request):
    return request.param


@pytest.fixture
def to(kind, tenant, keys):
    """What every call says of its way."""
    assert tenant.submit(kind.provider, getattr(keys, kind.provider)).is_success
    return way(kind, tenant, tenant.api_key)


def way(kind, tenant, api_key):
    return {
        "model": kind.model, "api_base": tenant.app.url + kind.path, "api_key": api_key, "num_retries": 0, "timeout": 30,
    }


def check_metered(tenant, kind, streamed):
    [row] = tenant.usage(1)
    # It leaves a stream at its last event, sometimes before the end of the body: then the client went away, with all of it.
    statuses = (200, 499) if streamed else (200,)
    check_usage(tenant, row["request_id"], kind.provider, streamed, statuses=statuses)


def test_a_chat(kind, to, tenant, mock, keys):
    mark = mock.mark()
    answer = litellm.completion(messages=HELLO, **to)
    assert answer.choices[0].message.content == SAID
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    check_metered(tenant, kind, streamed=False)
    check_upstream(tenant, mock, mark, kind.header, kind.scheme + getattr(keys, kind.provider))


def test_a_stream(kind, to, tenant):
    chunks = list(litellm.completion(messages=HELLO, stream=True, **to))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
    assert len(chunks) > 3
    check_metered(tenant, kind, streamed=True)


def test_async_calls_at_once(to, tenant):
    async def streamed():
        chunks = await litellm.acompletion(messages=HELLO, stream=True, **to)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    async def all_of_them():
        answers = [litellm.acompletion(messages=HELLO, **to) for _ in range(3)]
        *answers, said = await asyncio.gather(*answers, streamed())
        return [answer.choices[0].message.content for answer in answers] + [said]

    assert together(all_of_them()) == [SAID] * 4
    # One of them is a stream, see `check_metered`.
    assert {row["status"] for row in tenant.usage(4)} <= {200, 499}


def test_a_tool_is_called_and_answered(to):
    tools = [{
        "type": "function",
        "function": {
            "name": "get_weather", "description": "What the weather is.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }]
    question = {"role": "user", "content": "what is the weather in Oslo?"}
    called = litellm.completion(messages=[question], tools=tools, **to).choices[0].message
    [call] = called.tool_calls
    assert (call.function.name, call.function.arguments.replace(" ", "")) == (
        "get_weather", '{"city":"Oslo","unit":"celsius"}',
    )
    answer = {"role": "tool", "tool_call_id": call.id, "content": "12 celsius"}
    told = litellm.completion(messages=[question, called.model_dump(), answer, *HELLO], tools=tools, **to)
    assert told.choices[0].message.content == SAID


def test_structured_output(kind, to):
    class City(BaseModel):
        city: str
        unit: str

    answer = litellm.completion(
        messages=[{"role": "user", "content": "name a city"}], response_format=City, **to,
    )
    assert City.model_validate_json(answer.choices[0].message.content) == City(city="Oslo", unit="celsius")


def test_refusals_are_told_in_the_clients_own_errors(kind, tenant, keys):
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(messages=HELLO, **way(kind, tenant, tenant.api_key[:-4] + "aaaa"))
    to = way(kind, tenant, tenant.api_key)
    with pytest.raises(openai.APIError, match="provider key for .* is missing"):
        litellm.completion(messages=HELLO, **to)
    assert tenant.submit(kind.provider, getattr(keys, kind.provider)).is_success
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(messages=[{"role": "user", "content": "be busy"}], **to)


@pytest.fixture
def calls(kind, to, tenant, mock):
    """Checks the calls from here on, newest first: the status that each was told, and the requests that reached the provider."""
    mark = mock.mark()

    def check(*rows):
        found = tenant.usage(len(rows))
        assert [(row["status"], len(row["attempts"])) for row in found] == list(rows)
        assert len(mock.requests(mark)) == sum(requests for _, requests in rows)
        return mark

    yield check
    mock.next()


def test_a_limited_call_is_made_again(kind, to, calls, mock):
    mock.next(refusal(kind, 429, {"retry-after": "1"}))
    answer = litellm.completion(messages=HELLO, **to | {"num_retries": 2})
    assert answer.choices[0].message.content == SAID
    calls((200, 1), (429, 1))


def test_a_failing_provider_is_asked_again_before_it_hears_of_it(kind, to, calls, mock):
    mock.next(refusal(kind, 500))
    answer = litellm.completion(messages=HELLO, **to)
    assert answer.choices[0].message.content == SAID
    calls((200, 2))


def test_who_gives_up_takes_the_call_at_the_provider_along(to, tenant, calls, mock):
    mark = mock.mark()
    mock.next({"silent": True})
    with pytest.raises(litellm.Timeout):
        litellm.completion(messages=HELLO, **to | {"timeout": 4, "max_retries": 0})
    wait_for("the provider is left", 20, lambda: mock.left(mark))
    calls((499, 1))
    assert tenant.usage(1)[0]["error_code"] == "client_closed"


def test_pictures(kind, to, mock):
    # What has an address it fetches itself for Gemini.
    pictures = CHAT[:1] if kind.provider == "google" else CHAT
    mark = mock.mark()
    content = [*pictures, {"type": "text", "text": "say hello"}]
    answer = litellm.completion(messages=[{"role": "user", "content": content}], **to)
    assert answer.choices[0].message.content == SAID
    found = [part for body in mock.bodies(mark) for part in parts_of(body) if is_picture(part)]
    assert [named(part) for part in found] == kind.pictures[:len(pictures)]


def test_embeddings(tenant, keys):
    assert tenant.submit("openai", keys.openai).is_success
    assert tenant.submit("google", keys.google).is_success
    texts = ["say hello", "and again"]
    of_openai = way(KINDS[0], tenant, tenant.api_key) | {"model": "openai/text-embedding-3-small"}
    vectors = litellm.embedding(input=texts, **of_openai).data
    assert len(vectors) == 2 and all(isinstance(value, float) for value in vectors[0]["embedding"])
    again = together(litellm.aembedding(input=texts, **of_openai)).data
    assert again[0]["embedding"] == vectors[0]["embedding"]
    of_google = way(KINDS[2], tenant, tenant.api_key) | {"model": "gemini/gemini-embedding-001"}
    assert [it["embedding"] for it in litellm.embedding(input=texts, **of_google).data] == [[0.5, -0.25]] * 2
    assert {row["status"] for row in tenant.usage(3)} == {200}
