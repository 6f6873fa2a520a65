"""The official SDKs, unmodified, against Keybearer in front of a third-party mock of their providers."""

import base64
import json

import anthropic
import openai
import pytest
import websockets.exceptions
import websockets.sync.client

from harness import seal_with_pynacl

SAID = "Hello from the mock, said in several pieces."
HELLO = [{"role": "user", "content": "say hello"}]
INPUT_TOKENS, OUTPUT_TOKENS = 21, 9

OPENAI_MODEL = "openai/gpt-4o-mini"
ANTHROPIC_MODEL = "anthropic/claude-haiku-4-5"


@pytest.fixture
def own_openai_key(tenant, keys):
    assert tenant.submit("openai", keys.openai).is_success
    return tenant


@pytest.fixture
def own_anthropic_key(tenant, keys):
    assert tenant.submit("anthropic", keys.anthropic).is_success
    return tenant


def openai_client(tenant, **options):
    options = {"api_key": tenant.api_key, "max_retries": 0, "timeout": 30} | options
    return openai.OpenAI(base_url=f"{tenant.app.url}/v1", **options)


def anthropic_client(tenant, **options):
    options = {"api_key": tenant.api_key, "max_retries": 0, "timeout": 30} | options
    return anthropic.Anthropic(base_url=tenant.app.url, **options)


def check_headers(headers, provider, model):
    """The response says whose key served."""
    assert headers["x-keybearer-request-id"].startswith("req_")
    assert headers["x-keybearer-provider"] == provider
    assert headers["x-keybearer-model"] == model
    assert headers["x-keybearer-key-source"] == "byok"
    assert headers["x-keybearer-key-label"] == "primary"


def check_usage(tenant, request_id, provider, streamed, tokens=(INPUT_TOKENS, OUTPUT_TOKENS), statuses=(200,)):
    """The call has its row, with the tokens that the provider reported."""
    [row] = [row for row in tenant.usage(1) if row["request_id"] == request_id]
    assert row["provider"] == provider
    assert row["streamed"] is streamed
    assert row["status"] in statuses
    assert row["key_source"] == "byok"
    assert row["key_label"] == "primary"
    assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == tokens


def check_unpriced(tenant, operation, rows=1):
    """The one call of this kind has its row, which does not pretend that the call cost nothing."""
    [row] = [row for row in tenant.usage(rows) if row["operation"] == operation]
    assert row["status"] == 200
    assert (row["usage"], row["cost_nano_usd"], row["pricing"]) == (None, None, "unpriced")


def check_upstream(tenant, mock, mark, header, value):
    """The provider got its own key, in its own header, and nothing of ours."""
    [request] = mock.requests(mark)
    headers = dict(request["headers"])
    assert len(headers) == len(request["headers"]), "a header came twice"
    assert headers[header] == value
    assert tenant.api_key not in str(request)
    assert not [name for name in headers if name in {"authorization", "x-api-key", "api-key", "cookie"} - {header}]
    assert not [name for name in headers if name.startswith("x-keybearer")]


def test_openai_chat(own_openai_key, mock, keys):
    mark = mock.mark()
    raw = openai_client(own_openai_key).chat.completions.with_raw_response.create(model=OPENAI_MODEL, messages=HELLO)
    completion = raw.parse()
    assert completion.choices[0].message.content == SAID
    assert completion.usage.completion_tokens == OUTPUT_TOKENS
    check_headers(raw.headers, "openai", "gpt-4o-mini")
    check_usage(own_openai_key, raw.headers["x-keybearer-request-id"], "openai", streamed=False)
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_chat_streaming_with_usage(own_openai_key, mock, keys):
    mark = mock.mark()
    raw = openai_client(own_openai_key).chat.completions.with_raw_response.create(
        model=OPENAI_MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True},
    )
    chunks = list(raw.parse())
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(filter(None, pieces)) == SAID
    assert len(pieces) > 3
    assert chunks[-1].usage.prompt_tokens == INPUT_TOKENS
    check_headers(raw.headers, "openai", "gpt-4o-mini")
    check_usage(own_openai_key, raw.headers["x-keybearer-request-id"], "openai", streamed=True)
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_chat_by_native_model_name(own_openai_key):
    raw = openai_client(own_openai_key).chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=HELLO)
    assert raw.parse().choices[0].message.content == SAID
    check_headers(raw.headers, "openai", "gpt-4o-mini")


def test_openai_tool_call_passes_through(own_openai_key):
    tool = {
        "type": "function",
        "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
    completion = openai_client(own_openai_key).chat.completions.create(
        model=OPENAI_MODEL, messages=[{"role": "user", "content": "what is the weather in Oslo?"}], tools=[tool],
    )
    [call] = completion.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert call.function.arguments == '{"city":"Oslo","unit":"celsius"}'


def test_openai_responses(own_openai_key, mock, keys):
    mark = mock.mark()
    raw = openai_client(own_openai_key).responses.with_raw_response.create(model=OPENAI_MODEL, input="say hello")
    response = raw.parse()
    assert response.output_text == SAID
    assert response.usage.output_tokens == OUTPUT_TOKENS
    check_headers(raw.headers, "openai", "gpt-4o-mini")
    check_usage(own_openai_key, raw.headers["x-keybearer-request-id"], "openai", streamed=False)
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_responses_streaming(own_openai_key):
    raw = openai_client(own_openai_key).responses.with_raw_response.create(
        model=OPENAI_MODEL, input="say hello", stream=True,
    )
    events = list(raw.parse())
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(pieces) == SAID
    assert len(pieces) > 3
    assert events[-1].type == "response.completed"
    check_usage(own_openai_key, raw.headers["x-keybearer-request-id"], "openai", streamed=True)


def test_openai_responses_tool_call_passes_through(own_openai_key):
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
    response = openai_client(own_openai_key).responses.create(
        model=OPENAI_MODEL, input="what is the weather in Oslo?", tools=[tool],
    )
    [call] = [item for item in response.output if item.type == "function_call"]
    assert (call.name, call.arguments) == ("get_weather", '{"city":"Oslo","unit":"celsius"}')


def test_openai_responses_that_break_off_raise(own_openai_key):
    stream = openai_client(own_openai_key).responses.create(model=OPENAI_MODEL, input="break off", stream=True)
    with pytest.raises(openai.APIError, match="broke"):
        list(stream)


def test_openai_embeddings(own_openai_key, mock, keys):
    mark = mock.mark()
    raw = openai_client(own_openai_key).embeddings.with_raw_response.create(
        model="openai/text-embedding-3-small", input=["say hello", "and again"], encoding_format="float",
    )
    embeddings = raw.parse()
    assert len(embeddings.data) == 2
    assert all(isinstance(value, float) for value in embeddings.data[0].embedding)
    check_headers(raw.headers, "openai", "text-embedding-3-small")
    row = own_openai_key.usage(1)[-1]
    assert (row["operation"], row["status"]) == ("embeddings", 200)
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_embeddings_as_its_sdk_asks_for_them(own_openai_key, mock):
    """As base64, which this provider does not heed."""
    mark = mock.mark()
    answer = openai_client(own_openai_key).embeddings.create(model="openai/text-embedding-3-small", input=["say hello"])
    assert answer.data[0].embedding == [0.5, -0.25]
    [body] = mock.bodies(mark)
    assert body["encoding_format"] == "base64"


def test_openai_moderations(own_openai_key, mock, keys):
    mark = mock.mark()
    raw = openai_client(own_openai_key).moderations.with_raw_response.create(
        model="omni-moderation-latest", input=["say hello"],
    )
    assert raw.parse().results[0].flagged
    check_headers(raw.headers, "openai", "omni-moderation-latest")
    check_unpriced(own_openai_key, "moderations")
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_images(own_openai_key, mock, keys):
    mark = mock.mark()
    raw = openai_client(own_openai_key).images.with_raw_response.generate(model="gpt-image-1", prompt="a dot")
    assert raw.parse().data[0].b64_json == "iVBORw0KGgo="
    check_headers(raw.headers, "openai", "gpt-image-1")
    check_unpriced(own_openai_key, "image_generations")
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_speech(own_openai_key, mock, keys):
    mark = mock.mark()
    raw = openai_client(own_openai_key).audio.speech.with_raw_response.create(
        model="openai/gpt-4o-mini-tts", voice="alloy", input="say hello",
    )
    assert raw.parse().read() == base64.b64decode("SUQzBAAAAAAAAP/7kGQ=")
    assert raw.headers["content-type"] == "audio/mpeg"
    check_headers(raw.headers, "openai", "gpt-4o-mini-tts")
    check_unpriced(own_openai_key, "speech")
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_transcriptions(own_openai_key, mock, keys):
    mark = mock.mark()
    sound = ("hello.mp3", b"ID3\r\n--\x00\xff" * 20_000, "audio/mpeg")
    raw = openai_client(own_openai_key).audio.transcriptions.with_raw_response.create(
        model="openai/gpt-4o-transcribe", file=sound, language="en",
    )
    assert raw.parse().text == "say hello"
    check_headers(raw.headers, "openai", "gpt-4o-transcribe")
    check_unpriced(own_openai_key, "transcriptions")
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")
    raw = openai_client(own_openai_key).audio.translations.with_raw_response.create(model="whisper-1", file=sound)
    assert raw.parse().text == "say hello"
    check_unpriced(own_openai_key, "translations", rows=2)


def said_in(connection):
    """What the model says, spoken or written, up to the end of its response."""
    said = []
    for event in connection:
        assert event.type != "error", event
        if event.type == "response.output_text.delta":
            said.append(event.delta)
        if event.type == "response.done":
            return "".join(said), event.response


def test_openai_realtime(own_openai_key, mock, keys):
    mark = mock.mark()
    client = openai_client(own_openai_key)
    with client.realtime.connect(model="openai/gpt-realtime") as connection:
        assert next(iter(connection)).type == "session.created"
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        reported = []
        for _ in range(2):
            content = [{"type": "input_text", "text": "say hello"}]
            connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
            connection.response.create()
            said, response = said_in(connection)
            assert said == SAID
            reported.append((response.usage.input_tokens, response.usage.output_tokens))
    [row] = own_openai_key.usage(1)
    assert (row["operation"], row["status"], row["streamed"]) == ("realtime", 101, True)
    assert (row["provider"], row["model"], row["key_source"]) == ("openai", "gpt-realtime", "byok")
    tokens = tuple(map(sum, zip(*reported)))
    assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == tokens
    assert row["request_bytes"] > 0 and row["response_bytes"] > 0
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_realtime_as_in_a_browser(own_openai_key, mock):
    """No header can be set there, so the key is among the subprotocols."""
    url = own_openai_key.app.url.replace("http", "ws", 1) + "/v1/realtime?model=gpt-realtime"
    mark = mock.mark()
    protocols = ["realtime", f"openai-insecure-api-key.{own_openai_key.api_key}"]
    with websockets.sync.client.connect(url, subprotocols=protocols, origin="https://app.example") as connection:
        assert connection.subprotocol == "realtime"
        assert connection.response.headers.get("sec-websocket-extensions") is None
        assert json.loads(connection.recv())["type"] == "session.created"
    assert own_openai_key.api_key not in str(mock.requests(mark))


def test_openai_realtime_is_refused_before_the_upgrade(tenant):
    client = openai_client(tenant)
    for options, status in [({"model": "openai/gpt-realtime"}, 402), ({"model": "unheard-of"}, 404)]:
        with pytest.raises(websockets.exceptions.InvalidStatus) as raised:
            client.realtime.connect(**options).enter()
        assert raised.value.response.status_code == status
        assert json.loads(raised.value.response.body)["error"]["code"]


def test_openai_image_edits(own_openai_key):
    pictures = [("a.png", b"\x89PNG\r\n", "image/png"), ("b.png", b"\x89PNG\r\n", "image/png")]
    edited = openai_client(own_openai_key).images.edit(model="openai/gpt-image-1", image=pictures, prompt="a dot")
    assert edited.data[0].b64_json == "iVBORw0KGgo="
    check_unpriced(own_openai_key, "image_edits")


def test_openai_image_variations(own_openai_key, mock, keys):
    mark = mock.mark()
    picture = ("a.png", b"\x89PNG\r\n" + bytes(range(256)) * 512, "image/png")
    raw = openai_client(own_openai_key).images.with_raw_response.create_variation(model="openai/dall-e-2", image=picture)
    assert raw.parse().data[0].b64_json == "iVBORw0KGgo="
    check_headers(raw.headers, "openai", "dall-e-2")
    check_unpriced(own_openai_key, "image_variations")
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")


def test_openai_files_and_batches(own_openai_key, mock, keys):
    client = openai_client(own_openai_key)
    # The account's key serves other workspaces too, so it must not see what is kept at the provider.
    with pytest.raises(openai.APIStatusError) as refused:
        client.files.list()
    assert refused.value.status_code == 402 and refused.value.code == "workspace_key_missing"
    assert own_openai_key.submit_to_workspace("openai", keys.openai).is_success
    mark = mock.mark()
    line = b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{}}\n'
    made = client.files.create(file=("calls.jsonl", line), purpose="batch")
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai}")
    assert client.files.retrieve(made.id).id == made.id
    assert client.files.content(made.id).read() == line
    batch = client.batches.create(input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.retrieve(batch.id).id == batch.id
    assert batch.id in [listed.id for listed in client.batches.list(limit=5)]
    assert client.files.delete(made.id).deleted
    *rows, first = own_openai_key.usage(8)
    assert first["error_code"] == "workspace_key_missing"
    assert {(row["operation"], row["status"]) for row in rows} == {("passthrough", 200)}


def test_openai_files_in_prompts_go_to_the_key_that_made_them(tenant, keys):
    for label in ("one", "two"):
        kek_id, public_key = tenant.sealing_key()
        sealed = seal_with_pynacl(public_key, keys.openai)
        body = {"provider": "openai", "label": label, "level": 1, "kek_id": kek_id, "ciphertext_b64": sealed}
        assert tenant.post(f"/api/v1/workspaces/{tenant.workspace}/provider-keys", body).is_success
    client = openai_client(tenant)
    uploaded = client.files.with_raw_response.create(file=("a.txt", b"a file"), purpose="user_data")
    maker, file = uploaded.headers["x-keybearer-key-label"], uploaded.parse()
    text, named = {"type": "input_text", "text": "say hello"}, {"type": "input_file", "file_id": file.id}
    responses, chats = client.responses.with_raw_response, client.chat.completions.with_raw_response

    def respond(*content):
        answer = responses.create(model=OPENAI_MODEL, input=[{"role": "user", "content": [*content]}], store=False)
        return answer.headers["x-keybearer-key-label"]

    assert {respond(text) for _ in range(2)} == {"one", "two"}
    assert {respond(named, text) for _ in range(4)} == {maker}
    content = [{"type": "file", "file": {"file_id": file.id}}, {"type": "text", "text": "say hello"}]
    for stream in (False, True, False, True):
        answer = chats.create(model=OPENAI_MODEL, messages=[{"role": "user", "content": content}], stream=stream)
        assert answer.headers["x-keybearer-key-label"] == maker
        if stream:
            said = [chunk.choices[0].delta.content or "" for chunk in answer.parse() if chunk.choices]
            assert "".join(said) == SAID


def test_anthropic_messages(own_anthropic_key, mock, keys):
    mark = mock.mark()
    raw = anthropic_client(own_anthropic_key).messages.with_raw_response.create(
        model=ANTHROPIC_MODEL, max_tokens=64, messages=HELLO,
    )
    message = raw.parse()
    assert message.content[0].text == SAID
    assert message.usage.output_tokens == OUTPUT_TOKENS
    check_headers(raw.headers, "anthropic", "claude-haiku-4-5")
    check_usage(own_anthropic_key, raw.headers["x-keybearer-request-id"], "anthropic", streamed=False)
    check_upstream(own_anthropic_key, mock, mark, "x-api-key", keys.anthropic)


def test_anthropic_messages_streaming(own_anthropic_key, mock, keys):
    mark = mock.mark()
    with anthropic_client(own_anthropic_key).messages.stream(
        model=ANTHROPIC_MODEL, max_tokens=64, messages=HELLO,
    ) as stream:
        pieces = list(stream.text_stream)
        headers = stream.response.headers
    assert "".join(pieces) == SAID
    assert len(pieces) > 3
    check_headers(headers, "anthropic", "claude-haiku-4-5")
    check_usage(own_anthropic_key, headers["x-keybearer-request-id"], "anthropic", streamed=True)
    check_upstream(own_anthropic_key, mock, mark, "x-api-key", keys.anthropic)


def test_anthropic_counts_tokens(own_anthropic_key, mock, keys):
    mark = mock.mark()
    raw = anthropic_client(own_anthropic_key).messages.with_raw_response.count_tokens(
        model=ANTHROPIC_MODEL, messages=HELLO,
    )
    assert raw.parse().input_tokens == 2
    check_headers(raw.headers, "anthropic", "claude-haiku-4-5")
    assert mock.requests(mark)[0]["url"] == "/v1/messages/count_tokens"
    check_upstream(own_anthropic_key, mock, mark, "x-api-key", keys.anthropic)
    [row] = own_anthropic_key.usage(1)
    assert (row["operation"], row["status"], row["usage"]) == ("count_tokens", 200, None)
    assert raw.headers["x-keybearer-cost"] == "0"


def test_anthropic_batches(own_anthropic_key, mock, keys):
    client = anthropic_client(own_anthropic_key)
    # The account's key serves other workspaces too, so it must not see what is kept at the provider.
    with pytest.raises(anthropic.APIStatusError) as refused:
        client.messages.batches.list()
    assert refused.value.status_code == 402 and refused.value.body["error"]["code"] == "workspace_key_missing"
    assert own_anthropic_key.submit_to_workspace("anthropic", keys.anthropic).is_success
    mark = mock.mark()
    params = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": HELLO}
    batch = client.messages.batches.create(requests=[{"custom_id": name, "params": params} for name in ("a", "b")])
    assert batch.request_counts.processing == 2
    done = client.messages.batches.retrieve(batch.id)
    assert done.processing_status == "ended"
    # Its SDK follows this link with our API key: it must lead back here.
    assert done.results_url == f"/v1/messages/batches/{batch.id}/results"
    results = list(client.messages.batches.results(batch.id))
    assert [(it.custom_id, it.result.message.content[0].text) for it in results] == [("a", SAID), ("b", SAID)]
    listed = client.messages.batches.list(limit=5)
    assert batch.id in [it.id for it in listed]
    assert client.messages.batches.cancel(batch.id).processing_status == "canceling"
    requests = mock.requests(mark)
    assert {dict(request["headers"])["x-api-key"] for request in requests} == {keys.anthropic}
    assert all(own_anthropic_key.api_key not in str(request) for request in requests)
    below = f"/v1/messages/batches/{batch.id}"
    paths = ["/v1/messages/batches", below, below, f"{below}/results", "/v1/messages/batches?limit=5", f"{below}/cancel"]
    assert [request["url"] for request in requests] == paths
    *rows, first = own_anthropic_key.usage(len(paths) + 1)
    assert first["error_code"] == "workspace_key_missing"
    assert [(row["operation"], row["status"]) for row in rows] == [("passthrough", 200)] * len(paths)


def test_anthropic_with_a_bearer_credential(own_anthropic_key, mock, keys):
    mark = mock.mark()
    client = anthropic_client(own_anthropic_key, api_key=None, auth_token=own_anthropic_key.api_key)
    message = client.messages.create(model=ANTHROPIC_MODEL, max_tokens=64, messages=HELLO)
    assert message.content[0].text == SAID
    check_upstream(own_anthropic_key, mock, mark, "x-api-key", keys.anthropic)


def test_models_are_those_that_the_own_keys_serve(own_openai_key):
    ids = {model.id for model in openai_client(own_openai_key).models.list()}
    assert OPENAI_MODEL in ids
    assert not [name for name in ids if name.startswith("anthropic/")]


def test_anthropics_client_reads_the_models(own_anthropic_key):
    client = anthropic_client(own_anthropic_key)
    page = client.models.list()
    listed = [model.id for model in page]
    assert ANTHROPIC_MODEL in listed
    assert (page.first_id, page.last_id, page.has_more) == (listed[0], listed[-1], False)
    model = client.models.retrieve(ANTHROPIC_MODEL)
    assert (model.id, model.type, model.display_name) == (ANTHROPIC_MODEL, "model", ANTHROPIC_MODEL)
    assert model.created_at.year == 1970


def test_a_provider_error_keeps_its_class(own_openai_key):
    busy = [{"role": "user", "content": "be busy"}]
    with pytest.raises(openai.RateLimitError) as caught:
        openai_client(own_openai_key).chat.completions.create(model=OPENAI_MODEL, messages=busy)
    assert caught.value.response.headers["x-keybearer-key-source"] == "byok"


def test_a_stream_that_breaks_off_is_an_error_in_the_clients_format(own_openai_key, own_anthropic_key):
    broken = [{"role": "user", "content": "break off"}]
    with pytest.raises(openai.APIError, match="broke off"):
        list(openai_client(own_openai_key).chat.completions.create(model=OPENAI_MODEL, messages=broken, stream=True))
    with pytest.raises(anthropic.APIError, match="broke off"):
        list(anthropic_client(own_anthropic_key).messages.create(
            model=ANTHROPIC_MODEL, max_tokens=64, messages=broken, stream=True,
        ))
    rows = own_openai_key.usage(2)
    assert [row["error_code"] for row in rows] == ["upstream_broken", "upstream_broken"]


def test_a_replaced_key_serves_the_next_request(own_openai_key, mock, keys):
    client = openai_client(own_openai_key)
    client.chat.completions.create(model=OPENAI_MODEL, messages=HELLO)
    assert own_openai_key.submit("openai", keys.openai_later).is_success
    mark = mock.mark()
    client.chat.completions.create(model=OPENAI_MODEL, messages=HELLO)
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai_later}")


def test_without_a_key_the_answer_is_402_and_the_provider_is_not_asked(tenant, mock):
    mark = mock.mark()
    with pytest.raises(openai.APIStatusError) as chat:
        openai_client(tenant).chat.completions.create(model=OPENAI_MODEL, messages=HELLO)
    assert (chat.value.status_code, chat.value.code) == (402, "byok_key_missing")
    assert chat.value.body["providers"] == ["openai"]
    with pytest.raises(anthropic.APIStatusError) as messages:
        anthropic_client(tenant).messages.create(model=ANTHROPIC_MODEL, max_tokens=64, messages=HELLO)
    assert messages.value.status_code == 402
    assert messages.value.body["type"] == "error"
    assert messages.value.body["error"]["code"] == "byok_key_missing"
    assert mock.requests(mark) == []


def test_one_tenant_does_not_use_the_key_of_another(own_openai_key, mock):
    other = own_openai_key.app.tenant()
    mark = mock.mark()
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client(other).chat.completions.create(model=OPENAI_MODEL, messages=HELLO)
    assert caught.value.status_code == 402
    assert mock.requests(mark) == []


@pytest.mark.parametrize("api_key", ["kb_nonsense", "sk-proj-not-ours"])
def test_a_wrong_api_key_is_an_authentication_error(own_openai_key, api_key):
    with pytest.raises(openai.AuthenticationError):
        openai_client(own_openai_key, api_key=api_key).chat.completions.create(model=OPENAI_MODEL, messages=HELLO)
    with pytest.raises(anthropic.AuthenticationError):
        anthropic_client(own_openai_key, api_key=api_key).messages.create(
            model=ANTHROPIC_MODEL, max_tokens=64, messages=HELLO,
        )


def test_the_key_of_the_workspace_goes_before_the_key_of_the_account(own_openai_key, mock, keys):
    assert own_openai_key.submit_to_workspace("openai", keys.openai_later).is_success
    mark = mock.mark()
    openai_client(own_openai_key).chat.completions.create(model=OPENAI_MODEL, messages=HELLO)
    check_upstream(own_openai_key, mock, mark, "authorization", f"Bearer {keys.openai_later}")
