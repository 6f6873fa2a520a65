"""The official SDKs' asynchronous clients, unmodified: whole, streamed, and many calls at once."""

import asyncio
import contextlib

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from harness import wait_for
from test_google import MODEL as GEMINI_MODEL
from test_sdks import ANTHROPIC_MODEL, HELLO, INPUT_TOKENS, OPENAI_MODEL, OUTPUT_TOKENS, SAID, check_usage

AT_ONCE = 12


async def chat(client):
    raw = await client.chat.completions.with_raw_response.create(model=OPENAI_MODEL, messages=HELLO)
    return raw.parse().choices[0].message.content, raw.headers


async def chat_streamed(client):
    raw = await client.chat.completions.with_raw_response.create(model=OPENAI_MODEL, messages=HELLO, stream=True)
    pieces = [chunk.choices[0].delta.content or "" async for chunk in raw.parse() if chunk.choices]
    return pieces, raw.headers


async def responses(client):
    raw = await client.responses.with_raw_response.create(model=OPENAI_MODEL, input="say hello")
    return raw.parse().output_text, raw.headers


async def responses_streamed(client):
    raw = await client.responses.with_raw_response.create(model=OPENAI_MODEL, input="say hello", stream=True)
    return [event.delta async for event in raw.parse() if event.type == "response.output_text.delta"], raw.headers


async def messages(client):
    raw = await client.messages.with_raw_response.create(model=ANTHROPIC_MODEL, max_tokens=64, messages=HELLO)
    return (await raw.parse()).content[0].text, raw.headers


async def messages_streamed(client):
    async with client.messages.stream(model=ANTHROPIC_MODEL, max_tokens=64, messages=HELLO) as stream:
        return [text async for text in stream.text_stream], stream.response.headers


async def content(client):
    answer = await client.models.generate_content(model=GEMINI_MODEL, contents="say hello")
    return answer.text, answer.sdk_http_response.headers


async def content_streamed(client):
    pieces, headers = [], {}
    async for chunk in await client.models.generate_content_stream(model=GEMINI_MODEL, contents="say hello"):
        pieces.append(chunk.text or "")
        headers = chunk.sdk_http_response.headers
    return pieces, headers


@contextlib.asynccontextmanager
async def client_of(provider, tenant):
    options = {"api_key": tenant.api_key, "max_retries": 0, "timeout": 60}
    if provider == "openai":
        async with openai.AsyncOpenAI(base_url=f"{tenant.app.url}/v1", **options) as client:
            yield client
    elif provider == "anthropic":
        async with anthropic.AsyncAnthropic(base_url=tenant.app.url, **options) as client:
            yield client
    else:
        http_options = types.HttpOptions(base_url=tenant.app.url, timeout=60_000)
        async with genai.Client(api_key=tenant.api_key, http_options=http_options).aio as client:
            yield client


CALLS = pytest.mark.parametrize(
    ("provider", "whole", "streamed"),
    [
        ("openai", chat, chat_streamed), ("openai", responses, responses_streamed),
        ("anthropic", messages, messages_streamed), ("google", content, content_streamed),
    ],
    ids=["chat", "responses", "messages", "content"],
)  # fmt: skip


@pytest.fixture
def keyed(tenant, keys, provider):
    assert tenant.submit(provider, getattr(keys, provider)).is_success
    return tenant


@CALLS
def test_a_call_and_a_stream(keyed, provider, whole, streamed):
    async def both():
        async with client_of(provider, keyed) as client:
            return await whole(client), await streamed(client)

    (text, headers), (pieces, streams_headers) = asyncio.run(both())
    assert text == SAID
    assert "".join(pieces) == SAID and len(pieces) > 3
    keyed.usage(2)
    check_usage(keyed, headers["x-keybearer-request-id"], provider, streamed=False)
    check_usage(keyed, streams_headers["x-keybearer-request-id"], provider, streamed=True)


@CALLS
def test_many_calls_at_once(keyed, mock, provider, whole, streamed):
    async def all_of_them():
        async with client_of(provider, keyed) as client:
            return await asyncio.gather(*[call(client) for call in (whole, streamed) for _ in range(AT_ONCE // 2)])

    mark = mock.mark()
    answers = asyncio.run(all_of_them())
    assert ["".join(said) for said, _ in answers] == [SAID] * AT_ONCE
    rows = keyed.usage(AT_ONCE)
    assert {row["request_id"] for row in rows} == {headers["x-keybearer-request-id"] for _, headers in answers}
    tokens = [(row["status"], row["usage"]["input_tokens"], row["usage"]["output_tokens"]) for row in rows]
    assert tokens == [(200, INPUT_TOKENS, OUTPUT_TOKENS)] * AT_ONCE
    assert len(mock.requests(mark)) == AT_ONCE


@CALLS
def test_a_task_that_is_cancelled_takes_the_call_at_the_provider_along(keyed, mock, provider, whole, streamed):
    async def cancelled():
        async with client_of(provider, keyed) as client:
            task = asyncio.create_task(whole(client))
            while not mock.requests(mark):
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    mark = mock.mark()
    mock.next({"silent": True})
    asyncio.run(cancelled())
    wait_for("the provider is left", 20, lambda: mock.left(mark))
    [row] = keyed.usage(1)
    assert (row["status"], row["error_code"], len(row["attempts"])) == (499, "client_closed", 1)
    assert len(mock.requests(mark)) == 1
