"""Google's SDKs, unmodified, against Keybearer in front of a third-party mock of Gemini's API."""

import clients
import pytest
from google import genai
from google.genai import errors, types
from test_sdks import INPUT_TOKENS, OUTPUT_TOKENS, SAID, check_headers, check_upstream, check_usage

MODEL = "google/gemini-3.5-flash-lite"
EMBEDDING_MODEL = "google/gemini-embedding-001"
BARE = MODEL.split("/")[1]


@pytest.fixture
def own_google_key(tenant, keys):
    answer = tenant.submit("google", keys.google)
    assert answer.is_success, answer.text
    return tenant


def client(tenant, version=None, **options):
    """Keep what it returns: Google's client closes itself when nothing refers to it."""
    options = {"api_key": tenant.api_key} | options
    http_options = types.HttpOptions(base_url=tenant.app.url, api_version=version, timeout=30_000)
    return genai.Client(http_options=http_options, **options)


def paths(mock, mark):
    return [request["url"] for request in mock.requests(mark)]


@pytest.mark.parametrize("version", [None, "v1beta"])
def test_content(own_google_key, mock, keys, version):
    mark = mock.mark()
    google = client(own_google_key, version)
    response = google.models.generate_content(model=MODEL, contents="say hello")
    assert response.text == SAID
    assert response.usage_metadata.candidates_token_count == OUTPUT_TOKENS
    headers = response.sdk_http_response.headers
    check_headers(headers, "google", BARE)
    check_usage(own_google_key, headers["x-keybearer-request-id"], "google", streamed=False)
    assert paths(mock, mark) == [f"/v1beta/models/{BARE}:generateContent"]
    check_upstream(own_google_key, mock, mark, "x-goog-api-key", keys.google)


@pytest.mark.parametrize("version", [None, "v1beta"])
def test_a_stream(own_google_key, mock, keys, version):
    mark = mock.mark()
    google = client(own_google_key, version)
    chunks = list(google.models.generate_content_stream(model=MODEL, contents="say hello"))
    assert "".join(chunk.text for chunk in chunks) == SAID
    assert len(chunks) > 3
    assert chunks[-1].usage_metadata.prompt_token_count == INPUT_TOKENS
    [row] = own_google_key.usage(1)
    check_usage(own_google_key, row["request_id"], "google", streamed=True)
    assert (row["wire_format"], row["operation"]) == ("gemini_generate_content", "generate_content")
    assert paths(mock, mark) == [f"/v1beta/models/{BARE}:streamGenerateContent?alt=sse"]
    check_upstream(own_google_key, mock, mark, "x-goog-api-key", keys.google)


def test_by_native_model_name(own_google_key):
    google = client(own_google_key)
    response = google.models.generate_content(model=BARE, contents="say hello")
    assert response.text == SAID


def test_a_tool_call_passes_through(own_google_key):
    weather = types.FunctionDeclaration(
        name="get_weather", parameters={"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
    )
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[weather])])
    google = client(own_google_key)
    question = "what is the weather in Oslo?"
    response = google.models.generate_content(model=MODEL, contents=question, config=config)
    [call] = response.function_calls
    assert (call.name, call.args) == ("get_weather", {"city": "Oslo", "unit": "celsius"})
    chunks = list(google.models.generate_content_stream(model=MODEL, contents=question, config=config))
    [call] = [call for chunk in chunks for call in chunk.function_calls or []]
    assert (call.name, call.args) == ("get_weather", {"city": "Oslo", "unit": "celsius"})


def test_embeddings(own_google_key, mock, keys):
    mark = mock.mark()
    google = client(own_google_key)
    answer = google.models.embed_content(model=EMBEDDING_MODEL, contents=["say hello", "and again"])
    assert [embedding.values for embedding in answer.embeddings] == [[0.5, -0.25], [0.5, -0.25]]
    bare = EMBEDDING_MODEL.split("/")[1]
    assert paths(mock, mark) == [f"/v1beta/models/{bare}:batchEmbedContents"]
    check_upstream(own_google_key, mock, mark, "x-goog-api-key", keys.google)
    [row] = own_google_key.usage(1)
    assert (row["operation"], row["status"], row["usage"]["input_tokens"]) == ("embed_content", 200, 8)


def test_tokens_are_counted(own_google_key, mock):
    mark = mock.mark()
    google = client(own_google_key)
    assert google.models.count_tokens(model=MODEL, contents="say hello").total_tokens == 2
    assert paths(mock, mark) == [f"/v1beta/models/{BARE}:countTokens"]
    [row] = own_google_key.usage(1)
    assert (row["operation"], row["status"], row["usage"]) == ("count_tokens", 200, None)


@pytest.mark.parametrize("version", [None, "v1beta"])
def test_models_are_those_that_the_own_keys_serve(own_google_key, version):
    google = client(own_google_key, version)
    names = {model.name for model in google.models.list()}
    assert f"models/{MODEL}" in names
    assert all(name.startswith("models/google/") for name in names)
    model = google.models.get(model=MODEL)
    assert (model.name, model.input_token_limit) == (f"models/{MODEL}", 1_048_576)
    assert "generateContent" in model.supported_actions


def test_a_provider_error_keeps_its_class(own_google_key):
    google = client(own_google_key)
    with pytest.raises(errors.ClientError) as caught:
        google.models.generate_content(model=MODEL, contents="be busy")
    assert caught.value.code == 429


def test_a_stream_that_breaks_off_is_an_error(own_google_key):
    google = client(own_google_key)
    with pytest.raises(errors.ServerError, match="broke off") as caught:
        list(google.models.generate_content_stream(model=MODEL, contents="break off"))
    assert (caught.value.code, caught.value.status) == (502, "UNAVAILABLE")
    [row] = own_google_key.usage(1)
    assert row["error_code"] == "upstream_broken"


def test_without_a_key_the_answer_is_402_and_the_provider_is_not_asked(tenant, mock):
    mark = mock.mark()
    google = client(tenant)
    with pytest.raises(errors.ClientError) as caught:
        google.models.generate_content(model=MODEL, contents="say hello")
    assert (caught.value.code, caught.value.status) == (402, "FAILED_PRECONDITION")
    assert caught.value.details["error"]["details"][0]["reason"] == "byok_key_missing"
    assert mock.requests(mark) == []


@pytest.mark.parametrize("api_key", ["kb_nonsense", "AIza-not-ours"])
def test_a_wrong_api_key_is_unauthenticated(own_google_key, api_key):
    google = client(own_google_key, api_key=api_key)
    with pytest.raises(errors.ClientError) as caught:
        google.models.generate_content(model=MODEL, contents="say hello")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")


def test_the_openai_compatible_endpoint_takes_the_same_key(own_google_key, mock, keys):
    mark = mock.mark()
    body = {"model": MODEL, "messages": [{"role": "user", "content": "say hello"}]}
    assert own_google_key.post("/v1/chat/completions", body).status_code == 200
    assert paths(mock, mark) == ["/v1beta/openai/chat/completions"]
    check_upstream(own_google_key, mock, mark, "authorization", f"Bearer {keys.google}")


@pytest.fixture(params=[False, True], ids=["older", "newer"])
def in_javascript(request):
    """What comes of a call with the SDK for JavaScript, in both versions that there are."""

    def called(tenant, call, **parameters):
        words = [tenant.app.url, tenant.api_key, call]
        return clients.in_javascript("genai.mjs", *words, parameters, newer=request.param)

    return called


def text(answer):
    return answer["candidates"][0]["content"]["parts"][0]["text"]


def test_content_in_javascript(own_google_key, mock, keys, in_javascript):
    mark = mock.mark()
    [answer] = in_javascript(own_google_key, "generateContent", model=MODEL, contents="say hello")["answers"]
    assert text(answer) == SAID
    chunks = in_javascript(own_google_key, "generateContentStream", model=MODEL, contents="say hello")["answers"]
    assert "".join(map(text, chunks)) == SAID
    assert len(chunks) > 3
    whole, streamed = own_google_key.usage(2)
    assert {whole["streamed"], streamed["streamed"]} == {False, True}
    tokens = [(row["usage"]["input_tokens"], row["usage"]["output_tokens"]) for row in (whole, streamed)]
    assert tokens == [(INPUT_TOKENS, OUTPUT_TOKENS)] * 2
    requests = [dict(request["headers"]) for request in mock.requests(mark)]
    assert [request["x-goog-api-key"] for request in requests] == [keys.google] * 2


def test_tools_embeddings_and_counts_in_javascript(own_google_key, in_javascript):
    weather = {"name": "get_weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}
    config = {"tools": [{"functionDeclarations": [weather]}]}
    question = "what is the weather in Oslo?"
    [answer] = in_javascript(own_google_key, "generateContent", model=MODEL, contents=question, config=config)["answers"]
    [part] = answer["candidates"][0]["content"]["parts"]
    assert part["functionCall"]["args"] == {"city": "Oslo", "unit": "celsius"}
    [answer] = in_javascript(own_google_key, "embedContent", model=EMBEDDING_MODEL, contents=["say hello"])["answers"]
    assert [embedding["values"] for embedding in answer["embeddings"]] == [[0.5, -0.25]]
    [answer] = in_javascript(own_google_key, "countTokens", model=MODEL, contents="say hello")["answers"]
    assert answer["totalTokens"] == 2


def test_errors_in_javascript(tenant, keys, in_javascript):
    refused = in_javascript(tenant, "generateContent", model=MODEL, contents="say hello")["error"]
    assert (refused["name"], refused["status"]) == ("ApiError", 402)
    assert "byok_key_missing" in refused["message"]
    assert tenant.submit("google", keys.google).is_success
    broken = in_javascript(tenant, "generateContentStream", model=MODEL, contents="break off")["error"]
    assert (broken["name"], broken["status"]) == ("ApiError", 502)
    assert "upstream_broken" in broken["message"]
