"""Structured output by the SDKs' own helpers: the schema reaches the provider in its own form, and the answer is parsed."""

import enum

import pydantic
import pytest
from clients import ANTHROPIC_MODEL, GEMINI_MODEL, OPENAI_MODEL, asked, in_javascript
from google.genai import types
from test_google import client as google_client
from test_sdks import anthropic_client, openai_client
from test_translation import CHAT_MODEL, CONTENT_MODEL

# What is sent does not depend on the database.
pytestmark = pytest.mark.parametrize("app", ["sqlite"], indirect=True)


class Unit(enum.StrEnum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class City(pydantic.BaseModel):
    city: str
    unit: Unit


OSLO = City(city="Oslo", unit=Unit.celsius)
ASKED = "name a city"
PROVIDERS = {
    OPENAI_MODEL: "openai", CHAT_MODEL: "cerebras", ANTHROPIC_MODEL: "anthropic", GEMINI_MODEL: "google",
    CONTENT_MODEL: "content-only",
}  # fmt: skip


def of(*models):
    return pytest.mark.parametrize("model", models)


@pytest.fixture
def keyed(tenant, keys, mock, model):
    """A tenant with a key for the model's provider; the provider must have got the schema afterwards."""
    provider = PROVIDERS[model]
    assert tenant.submit(provider, getattr(keys, provider.replace("content-only", "google"))).is_success
    mark = mock.mark()
    yield tenant
    [body] = mock.bodies(mark)
    [schema] = schemas(body)
    assert set(schema["properties"]) == {"city", "unit"} and set(schema["required"]) == {"city", "unit"}
    assert "fahrenheit" in str(schema)


def schemas(body):
    """Where each wire format has its schema."""
    config = body.get("generationConfig", {})
    found = [
        body.get("response_format", {}).get("json_schema", {}).get("schema"),
        body["text"].get("format", {}).get("schema") if "text" in body else None,
        body.get("output_config", {}).get("format", {}).get("schema"),
        config.get("responseJsonSchema"),
        config.get("responseSchema"),
    ]
    return [schema for schema in found if schema]


@of(OPENAI_MODEL, ANTHROPIC_MODEL, CHAT_MODEL)
@pytest.mark.parametrize("streamed", [False, True])
def test_openais_chat(keyed, model, streamed):
    completions = openai_client(keyed).chat.completions
    wanted = {"model": model, "messages": asked(ASKED), "response_format": City}
    if streamed:
        with completions.stream(**wanted) as stream:
            completion = stream.get_final_completion()
    else:
        completion = completions.parse(**wanted)
    assert completion.choices[0].message.parsed == OSLO


@of(OPENAI_MODEL, ANTHROPIC_MODEL, CHAT_MODEL)
@pytest.mark.parametrize("streamed", [False, True])
def test_openais_responses(keyed, model, streamed):
    responses = openai_client(keyed).responses
    wanted = {"model": model, "input": ASKED, "text_format": City}
    if streamed:
        with responses.stream(**wanted) as stream:
            response = stream.get_final_response()
    else:
        response = responses.parse(**wanted)
    assert response.output_parsed == OSLO


@of(ANTHROPIC_MODEL, CHAT_MODEL, CONTENT_MODEL)
@pytest.mark.parametrize("streamed", [False, True])
def test_anthropics_messages(keyed, model, streamed):
    messages = anthropic_client(keyed).messages
    wanted = {"model": model, "max_tokens": 64, "messages": asked(ASKED), "output_format": City}
    if streamed:
        with messages.stream(**wanted) as stream:
            message = stream.get_final_message()
    else:
        message = messages.parse(**wanted)
    assert message.parsed_output == OSLO


@of(GEMINI_MODEL)
@pytest.mark.parametrize("by", ["response_schema", "response_json_schema"])
def test_googles_content(keyed, model, by):
    schema = City if by == "response_schema" else City.model_json_schema()
    config = types.GenerateContentConfig(response_mime_type="application/json", **{by: schema})
    google = google_client(keyed)
    response = google.models.generate_content(model=model, contents=ASKED, config=config)
    assert City.model_validate(response.parsed) == OSLO


@pytest.mark.parametrize(
    ("sdk", "model"),
    [
        ("chat", OPENAI_MODEL), ("chat", ANTHROPIC_MODEL), ("chat_streamed", OPENAI_MODEL),
        ("responses", OPENAI_MODEL), ("responses", CHAT_MODEL), ("responses_streamed", ANTHROPIC_MODEL),
        ("messages", ANTHROPIC_MODEL), ("messages", CHAT_MODEL),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newer", [False, True], ids=["older", "newer"])
def test_helpers_in_javascript(keyed, sdk, model, newer):
    given = {"model": model, "asked": ASKED}
    came = in_javascript("structured.mjs", keyed.app.url, keyed.api_key, sdk, given, newer=newer)
    assert came == {"parsed": {"city": "Oslo", "unit": "celsius"}}
