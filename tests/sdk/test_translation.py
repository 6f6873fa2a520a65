"""The official SDKs against providers that speak another format: what they get is their own."""

import json

import anthropic
import openai
import pydantic
import pytest
from google.genai import errors, types

from test_google import client as google_client
from test_sdks import (
    ANTHROPIC_MODEL, HELLO, INPUT_TOKENS, OUTPUT_TOKENS, SAID, anthropic_client, check_usage, openai_client,
)

CHAT_MODEL = "cerebras/gpt-oss-120b"
CONTENT_MODEL = "content-only/gemini-3.5-flash-lite"
WEATHER = "what is the weather in Oslo?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}}
ARGUMENTS = {"city": "Oslo", "unit": "celsius"}
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
RESPONSES_TOOL = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}
MESSAGES_TOOL = {"name": "get_weather", "input_schema": SCHEMA}


@pytest.fixture
def chat_only(tenant, keys):
    """A tenant whose one provider speaks chat completions only."""
    assert tenant.submit("cerebras", keys.cerebras).is_success
    return tenant


@pytest.fixture
def messages_only(tenant, keys):
    """A tenant whose one provider speaks Anthropic's messages only."""
    assert tenant.submit("anthropic", keys.anthropic).is_success
    return tenant


@pytest.fixture
def content_only(tenant, keys):
    """A tenant whose one provider speaks Gemini's content only."""
    assert tenant.submit("content-only", keys.google).is_success
    return tenant


def check_translated(headers, upstream):
    assert headers["x-keybearer-translated"] == upstream


def test_anthropics_sdk_with_a_provider_of_chat_completions(chat_only, mock):
    mark = mock.mark()
    raw = anthropic_client(chat_only).messages.with_raw_response.create(model=CHAT_MODEL, max_tokens=64, messages=HELLO)
    message = raw.parse()
    assert message.content[0].text == SAID
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    check_translated(raw.headers, "openai_chat")
    check_usage(chat_only, raw.headers["x-keybearer-request-id"], "cerebras", streamed=False)
    [request] = mock.requests(mark)
    assert request["url"] == "/v1/chat/completions"
    assert not [name for name, _ in request["headers"] if name.startswith("anthropic")]


def test_anthropics_sdk_streams_from_a_provider_of_chat_completions(chat_only):
    with anthropic_client(chat_only).messages.stream(model=CHAT_MODEL, max_tokens=64, messages=HELLO) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
        headers = stream.response.headers
    assert "".join(pieces) == SAID and len(pieces) > 3
    assert message.content[0].text == SAID
    assert (message.usage.input_tokens, message.usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    check_translated(headers, "openai_chat")
    check_usage(chat_only, headers["x-keybearer-request-id"], "cerebras", streamed=True)


@pytest.mark.parametrize("streamed", [False, True])
def test_anthropics_sdk_uses_tools_of_a_provider_of_chat_completions(chat_only, streamed):
    client = anthropic_client(chat_only)
    ask = {"model": CHAT_MODEL, "max_tokens": 64, "tools": [MESSAGES_TOOL]}
    messages = [{"role": "user", "content": WEATHER}]
    if streamed:
        with client.messages.stream(messages=messages, **ask) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(messages=messages, **ask)
    [call] = [block for block in message.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("get_weather", ARGUMENTS)
    assert message.stop_reason == "tool_use"
    outcome = {"type": "tool_result", "tool_use_id": call.id, "content": "say hello"}
    messages += [
        {"role": "assistant", "content": [block.to_dict() for block in message.content]},
        {"role": "user", "content": [outcome]},
    ]
    assert client.messages.create(messages=messages, **ask).content


def test_openais_sdk_with_a_provider_of_messages(messages_only, mock):
    mark = mock.mark()
    raw = openai_client(messages_only).chat.completions.with_raw_response.create(model=ANTHROPIC_MODEL, messages=HELLO)
    completion = raw.parse()
    assert completion.choices[0].message.content == SAID
    assert completion.choices[0].finish_reason == "stop"
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    check_translated(raw.headers, "anthropic_messages")
    check_usage(messages_only, raw.headers["x-keybearer-request-id"], "anthropic", streamed=False)
    [request] = mock.requests(mark)
    assert request["url"] == "/v1/messages"
    assert ["anthropic-version", "2023-06-01"] in [list(it) for it in request["headers"]]


def test_openais_sdk_streams_from_a_provider_of_messages(messages_only):
    raw = openai_client(messages_only).chat.completions.with_raw_response.create(
        model=ANTHROPIC_MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True},
    )
    chunks = list(raw.parse())
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(filter(None, pieces)) == SAID and len(pieces) > 3
    assert chunks[-1].usage.completion_tokens == OUTPUT_TOKENS
    check_usage(messages_only, raw.headers["x-keybearer-request-id"], "anthropic", streamed=True)


@pytest.mark.parametrize("streamed", [False, True])
def test_openais_sdk_uses_tools_of_a_provider_of_messages(messages_only, streamed):
    client = openai_client(messages_only)
    ask = {"model": ANTHROPIC_MODEL, "tools": [CHAT_TOOL]}
    messages = [{"role": "user", "content": WEATHER}]
    if streamed:
        with client.chat.completions.stream(messages=messages, **ask) as stream:
            completion = stream.get_final_completion()
    else:
        completion = client.chat.completions.create(messages=messages, **ask)
    message = completion.choices[0].message
    [call] = message.tool_calls
    assert call.function.name == "get_weather"
    assert call.function.arguments == '{"city":"Oslo","unit":"celsius"}'
    assert completion.choices[0].finish_reason == "tool_calls"
    messages += [
        {"role": "assistant", "tool_calls": [call.to_dict()]},
        {"role": "tool", "tool_call_id": call.id, "content": "3 degrees"},
    ]
    assert client.chat.completions.create(messages=messages, **ask).choices


@pytest.mark.parametrize("model, upstream", [(ANTHROPIC_MODEL, "anthropic_messages"), (CHAT_MODEL, "openai_chat")])
def test_openais_responses_with_providers_of_other_formats(tenant, keys, model, upstream):
    assert tenant.submit("cerebras", keys.cerebras).is_success
    assert tenant.submit("anthropic", keys.anthropic).is_success
    client = openai_client(tenant)
    raw = client.responses.with_raw_response.create(model=model, input="say hello")
    response = raw.parse()
    assert response.output_text == SAID
    assert response.status == "completed"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    check_translated(raw.headers, upstream)
    with client.responses.stream(model=model, input="say hello") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == SAID
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(pieces) == SAID and len(pieces) > 3
    assert [event.sequence_number for event in events if hasattr(event, "sequence_number")][0] == 0
    with client.responses.stream(model=model, input=WEATHER, tools=[RESPONSES_TOOL]) as stream:
        final = stream.get_final_response()
    [call] = [item for item in final.output if item.type == "function_call"]
    assert (call.name, call.arguments) == ("get_weather", '{"city":"Oslo","unit":"celsius"}')
    turn = [{"role": "user", "content": WEATHER}, *[item.to_dict() for item in final.output]]
    turn.append({"type": "function_call_output", "call_id": call.call_id, "output": "3 degrees"})
    assert client.responses.create(model=model, input=turn, tools=[RESPONSES_TOOL]).output


def test_errors_keep_their_class_across_formats(chat_only, messages_only):
    with pytest.raises(openai.RateLimitError):
        openai_client(messages_only).chat.completions.create(
            model=ANTHROPIC_MODEL, messages=[{"role": "user", "content": "be busy"}],
        )
    with pytest.raises(anthropic.RateLimitError):
        anthropic_client(chat_only).messages.create(
            model=CHAT_MODEL, max_tokens=64, messages=[{"role": "user", "content": "be busy"}],
        )
    broken = [{"role": "user", "content": "break off"}]
    with pytest.raises(openai.APIError, match="broke off"):
        list(openai_client(messages_only).chat.completions.create(model=ANTHROPIC_MODEL, messages=broken, stream=True))
    with pytest.raises(anthropic.APIError, match="broke off"):
        list(anthropic_client(chat_only).messages.create(
            model=CHAT_MODEL, max_tokens=64, messages=broken, stream=True,
        ))
    with pytest.raises(openai.APIError, match="broke off"):
        list(openai_client(messages_only).responses.create(model=ANTHROPIC_MODEL, input="break off", stream=True))


def test_what_cannot_be_said_is_refused_by_name(messages_only, mock):
    mark = mock.mark()
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client(messages_only).chat.completions.create(model=ANTHROPIC_MODEL, messages=HELLO, n=2)
    assert (caught.value.code, caught.value.body["field"]) == ("not_translatable", "n")
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client(messages_only).responses.create(
            model=ANTHROPIC_MODEL, input="say hello", previous_response_id="resp_1",
        )
    assert caught.value.body["field"] == "previous_response_id"
    assert mock.requests(mark) == []


class City(pydantic.BaseModel):
    city: str
    unit: str


# A provider of another format for Google's SDK.
GOOGLES_OTHERS = pytest.mark.parametrize(
    "provider, model, upstream",
    [("cerebras", CHAT_MODEL, "openai_chat"), ("anthropic", ANTHROPIC_MODEL, "anthropic_messages")],
)


@GOOGLES_OTHERS
def test_googles_sdk_with_providers_of_other_formats(tenant, keys, mock, provider, model, upstream):
    assert tenant.submit(provider, getattr(keys, provider)).is_success
    mark = mock.mark()
    google = google_client(tenant)
    response = google.models.generate_content(model=model, contents="say hello")
    assert response.text == SAID
    assert response.candidates[0].finish_reason == types.FinishReason.STOP
    usage = response.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (INPUT_TOKENS, OUTPUT_TOKENS)
    headers = response.sdk_http_response.headers
    check_translated(headers, upstream)
    check_usage(tenant, headers["x-keybearer-request-id"], provider, streamed=False)
    [request] = mock.requests(mark)
    assert not [name for name, _ in request["headers"] if name.startswith("x-goog")]
    chunks = list(google.models.generate_content_stream(model=model, contents="say hello"))
    assert "".join(chunk.text for chunk in chunks) == SAID and len(chunks) > 3
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.candidates_token_count == OUTPUT_TOKENS
    row = next(row for row in tenant.usage(2) if row["streamed"])
    check_usage(tenant, row["request_id"], provider, streamed=True)
    assert row["wire_format"] == "gemini_generate_content"


@GOOGLES_OTHERS
@pytest.mark.parametrize("streamed", [False, True])
def test_googles_sdk_uses_tools_of_providers_of_other_formats(tenant, keys, provider, model, upstream, streamed):
    assert tenant.submit(provider, getattr(keys, provider)).is_success
    google = google_client(tenant)
    weather = types.FunctionDeclaration(name="get_weather", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[weather])])
    if streamed:
        chunks = list(google.models.generate_content_stream(model=model, contents=WEATHER, config=config))
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
        content = types.Content(role="model", parts=parts)
    else:
        content = google.models.generate_content(model=model, contents=WEATHER, config=config).candidates[0].content
    [call] = [part.function_call for part in content.parts if part.function_call]
    assert (call.name, call.args) == ("get_weather", ARGUMENTS)
    outcome = types.FunctionResponse(id=call.id, name=call.name, response={"output": "3 degrees"})
    turn = [
        types.Content(role="user", parts=[types.Part(text=WEATHER)]), content,
        types.Content(role="user", parts=[types.Part(function_response=outcome)]),
    ]
    assert google.models.generate_content(model=model, contents=turn, config=config).candidates


@GOOGLES_OTHERS
def test_googles_sdk_has_structured_output_of_providers_of_other_formats(tenant, keys, provider, model, upstream):
    assert tenant.submit(provider, getattr(keys, provider)).is_success
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    google = google_client(tenant)
    response = google.models.generate_content(model=model, contents="name a city", config=config)
    assert response.parsed == City(city="Oslo", unit="celsius")
    check_translated(response.sdk_http_response.headers, upstream)


@GOOGLES_OTHERS
def test_googles_sdk_keeps_its_errors_across_formats(tenant, keys, mock, provider, model, upstream):
    assert tenant.submit(provider, getattr(keys, provider)).is_success
    google = google_client(tenant)
    with pytest.raises(errors.ClientError) as caught:
        google.models.generate_content(model=model, contents="be busy")
    assert caught.value.code == 429
    with pytest.raises(errors.ServerError, match="broke off"):
        list(google.models.generate_content_stream(model=model, contents="break off"))
    mark = mock.mark()
    config = types.GenerateContentConfig(candidate_count=2)
    if upstream == "openai_chat":
        # It has several answers, too.
        response = google.models.generate_content(model=model, contents="say hello", config=config)
        assert response.text == SAID
        [body] = mock.bodies(mark)
        assert body["n"] == 2
        return
    with pytest.raises(errors.ClientError) as caught:
        google.models.generate_content(model=model, contents="say hello", config=config)
    info = caught.value.details["error"]["details"][0]
    assert (info["reason"], info["metadata"]["field"]) == ("not_translatable", "generationConfig.candidateCount")
    assert mock.requests(mark) == []


def test_anthropics_sdk_with_a_provider_of_content(content_only, mock):
    mark = mock.mark()
    client = anthropic_client(content_only)
    raw = client.messages.with_raw_response.create(model=CONTENT_MODEL, max_tokens=64, messages=HELLO)
    message = raw.parse()
    assert (message.content[0].text, message.stop_reason) == (SAID, "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    check_translated(raw.headers, "gemini_generate_content")
    check_usage(content_only, raw.headers["x-keybearer-request-id"], "content-only", streamed=False)
    with client.messages.stream(model=CONTENT_MODEL, max_tokens=64, messages=HELLO) as stream:
        assert "".join(stream.text_stream) == SAID
        assert stream.get_final_message().usage.output_tokens == OUTPUT_TOKENS
        request_id = stream.response.headers["x-keybearer-request-id"]
    content_only.usage(2)
    check_usage(content_only, request_id, "content-only", streamed=True)
    below = "/v1beta/models/gemini-3.5-flash-lite"
    paths = [request["url"] for request in mock.requests(mark)]
    assert paths == [f"{below}:generateContent", f"{below}:streamGenerateContent?alt=sse"]


@pytest.mark.parametrize("streamed", [False, True])
def test_anthropics_sdk_uses_tools_of_a_provider_of_content(content_only, streamed):
    client = anthropic_client(content_only)
    ask = {"model": CONTENT_MODEL, "max_tokens": 64, "tools": [MESSAGES_TOOL]}
    messages = [{"role": "user", "content": WEATHER}]
    if streamed:
        with client.messages.stream(messages=messages, **ask) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(messages=messages, **ask)
    [call] = [block for block in message.content if block.type == "tool_use"]
    assert (call.name, call.input, message.stop_reason) == ("get_weather", ARGUMENTS, "tool_use")
    messages += [
        {"role": "assistant", "content": [block.to_dict() for block in message.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "3 degrees"}]},
    ]
    assert client.messages.create(messages=messages, **ask).content


def test_openais_sdk_with_a_provider_of_content(content_only):
    client = openai_client(content_only)
    raw = client.chat.completions.with_raw_response.create(model=CONTENT_MODEL, messages=HELLO)
    completion = raw.parse()
    assert (completion.choices[0].message.content, completion.choices[0].finish_reason) == (SAID, "stop")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    check_translated(raw.headers, "gemini_generate_content")
    raw = client.chat.completions.with_raw_response.create(
        model=CONTENT_MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True},
    )
    chunks = list(raw.parse())
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(filter(None, pieces)) == SAID and len(pieces) > 3
    assert chunks[-1].usage.completion_tokens == OUTPUT_TOKENS
    content_only.usage(2)
    check_usage(content_only, raw.headers["x-keybearer-request-id"], "content-only", streamed=True)


@pytest.mark.parametrize("streamed", [False, True])
def test_openais_sdk_uses_tools_of_a_provider_of_content(content_only, streamed):
    client = openai_client(content_only)
    ask = {"model": CONTENT_MODEL, "tools": [CHAT_TOOL]}
    messages = [{"role": "user", "content": WEATHER}]
    if streamed:
        with client.chat.completions.stream(messages=messages, **ask) as stream:
            completion = stream.get_final_completion()
    else:
        completion = client.chat.completions.create(messages=messages, **ask)
    message = completion.choices[0].message
    [call] = message.tool_calls
    assert (call.function.name, completion.choices[0].finish_reason) == ("get_weather", "tool_calls")
    assert json.loads(call.function.arguments) == ARGUMENTS
    messages += [
        {"role": "assistant", "tool_calls": [call.to_dict()]},
        {"role": "tool", "tool_call_id": call.id, "content": "3 degrees"},
    ]
    assert client.chat.completions.create(messages=messages, **ask).choices


def test_openais_sdk_has_structured_output_of_a_provider_of_content(content_only):
    client = openai_client(content_only)
    ask = [{"role": "user", "content": "name a city"}]
    completion = client.chat.completions.parse(model=CONTENT_MODEL, messages=ask, response_format=City)
    assert completion.choices[0].message.parsed == City(city="Oslo", unit="celsius")
    response = client.responses.parse(model=CONTENT_MODEL, input="name a city", text_format=City)
    assert response.output_parsed == City(city="Oslo", unit="celsius")


def test_openais_responses_with_a_provider_of_content_and_of_chat_completions(tenant, keys):
    """Google speaks both; content is the one that keeps what was thought."""
    assert tenant.submit("google", keys.google).is_success
    client = openai_client(tenant)
    model = "google/gemini-3.5-flash-lite"
    raw = client.responses.with_raw_response.create(model=model, input="say hello")
    assert raw.parse().output_text == SAID
    check_translated(raw.headers, "gemini_generate_content")
    with client.responses.stream(model=model, input=WEATHER, tools=[RESPONSES_TOOL]) as stream:
        final = stream.get_final_response()
    [call] = [item for item in final.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", ARGUMENTS)
    turn = [{"role": "user", "content": WEATHER}, *[item.to_dict() for item in final.output]]
    turn.append({"type": "function_call_output", "call_id": call.call_id, "output": "3 degrees"})
    assert client.responses.create(model=model, input=turn, tools=[RESPONSES_TOOL]).output
