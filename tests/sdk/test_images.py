"""Pictures in prompts, as data and by address, by each of the official SDKs: the provider gets them in its own form."""

import base64

import pytest
from clients import ANTHROPIC_MODEL, GEMINI_MODEL, OPENAI_MODEL, in_javascript
from google.genai import types
from test_google import client as google_client
from test_sdks import SAID, anthropic_client, openai_client
from test_translation import CHAT_MODEL, CONTENT_MODEL

# What is sent does not depend on the database.
pytestmark = pytest.mark.parametrize("app", ["sqlite"], indirect=True)

PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()
DATA = f"data:image/png;base64,{PICTURE}"
ADDRESS = "https://pictures.example/a.png?size=2"

# The part of a provider's request that the picture is, by data and by address.
CHAT = [{"type": "image_url", "image_url": {"url": url}} for url in (DATA, ADDRESS)]
RESPONSES = [{"type": "input_image", "image_url": url} for url in (DATA, ADDRESS)]
MESSAGES = [
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
    {"type": "image", "source": {"type": "url", "url": ADDRESS}},
]
CONTENT = [
    {"inlineData": {"mimeType": "image/png", "data": PICTURE}},
    {"fileData": {"mimeType": "image/png", "fileUri": ADDRESS}},
]

# Whose key there is, by what name its model is asked for, and what it gets.
OPENAI = ("openai", OPENAI_MODEL, CHAT)
OPENAIS_RESPONSES = ("openai", OPENAI_MODEL, RESPONSES)
CEREBRAS = ("cerebras", CHAT_MODEL, CHAT)
ANTHROPIC = ("anthropic", ANTHROPIC_MODEL, MESSAGES)
GOOGLE = ("google", GEMINI_MODEL, CONTENT)
CONTENT_ONLY = ("content-only", CONTENT_MODEL, CONTENT)


def to(*ways):
    return pytest.mark.parametrize("way", ways, ids=[f"to-{way[0]}" for way in ways])


@pytest.fixture
def asked(tenant, keys, mock, way):
    """The tenant, the model, and a check that the provider got both pictures."""
    provider, model, parts = way
    assert tenant.submit(provider, getattr(keys, provider.replace("content-only", "google"))).is_success
    mark = mock.mark()

    def check(said):
        assert said == SAID
        found = [part for body in mock.bodies(mark) for part in parts_of(body)]
        assert [named(part) for part in found if is_picture(part)] == parts

    return tenant, model, check


def parts_of(value):
    """Every object in it."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from parts_of(inner)


# What is said in content under either name.
SNAKES = {"inline_data": "inlineData", "file_data": "fileData", "mime_type": "mimeType", "file_uri": "fileUri"}
OF_CONTENT = {"inlineData", "fileData", "inline_data", "file_data"}


def is_picture(part):
    return part.get("type") in ("image_url", "input_image", "image") or not OF_CONTENT.isdisjoint(part)


def named(part):
    """In one spelling. Google's SDK for Python has some names and base64 its own way, which passes as it came."""
    part = {SNAKES.get(name, name): it for name, it in part.items()}
    for field, value in (("inlineData", "data"), ("fileData", "fileUri")):
        if field in part:
            data = {SNAKES.get(name, name): it for name, it in part[field].items()}
            if field == "inlineData":
                data["data"] = data["data"].translate(str.maketrans("-_", "+/"))
            return {field: {name: data[name] for name in ("mimeType", value)}}
    # How closely the picture is looked at is said or not.
    part.pop("detail", None)
    if isinstance(part.get("image_url"), dict):
        part["image_url"].pop("detail", None)
    return part


@to(OPENAI, ANTHROPIC, CONTENT_ONLY)
def test_openais_chat(asked):
    tenant, model, check = asked
    content = [*CHAT, {"type": "text", "text": "say hello"}]
    messages = [{"role": "user", "content": content}]
    check(openai_client(tenant).chat.completions.create(model=model, messages=messages).choices[0].message.content)


@to(OPENAIS_RESPONSES, ANTHROPIC, CEREBRAS)
def test_openais_responses(asked):
    tenant, model, check = asked
    content = [*[part | {"detail": "auto"} for part in RESPONSES], {"type": "input_text", "text": "say hello"}]
    check(openai_client(tenant).responses.create(model=model, input=[{"role": "user", "content": content}]).output_text)


@to(ANTHROPIC, CEREBRAS, CONTENT_ONLY)
def test_anthropics_messages(asked):
    tenant, model, check = asked
    messages = [{"role": "user", "content": [*MESSAGES, {"type": "text", "text": "say hello"}]}]
    check(anthropic_client(tenant).messages.create(model=model, max_tokens=64, messages=messages).content[0].text)


@to(GOOGLE, CEREBRAS, ANTHROPIC)
def test_googles_content(asked):
    tenant, model, check = asked
    contents = [
        types.Part.from_bytes(data=base64.b64decode(PICTURE), mime_type="image/png"),
        types.Part.from_uri(file_uri=ADDRESS, mime_type="image/png"),
        "say hello",
    ]
    google = google_client(tenant)
    check(google.models.generate_content(model=model, contents=contents).text)


@to(OPENAI, ANTHROPIC)
def test_openais_chat_in_javascript(asked):
    tenant, model, check = asked
    body = {"model": model, "messages": [{"role": "user", "content": [*CHAT, {"type": "text", "text": "say hello"}]}]}
    came = in_javascript("openai.mjs", tenant.app.url, tenant.api_key, "chat.completions.create", [body])
    check(came["answer"]["choices"][0]["message"]["content"])


@to(ANTHROPIC, CEREBRAS)
def test_anthropics_messages_in_javascript(asked):
    tenant, model, check = asked
    messages = [{"role": "user", "content": [*MESSAGES, {"type": "text", "text": "say hello"}]}]
    body = {"model": model, "max_tokens": 64, "messages": messages}
    came = in_javascript("anthropic.mjs", tenant.app.url, tenant.api_key, "messages.create", [body])
    check(came["answer"]["content"][0]["text"])


@to(GOOGLE, ANTHROPIC)
def test_googles_content_in_javascript(asked):
    tenant, model, check = asked
    contents = [{"role": "user", "parts": [*CONTENT, {"text": "say hello"}]}]
    given = {"model": model, "contents": contents}
    came = in_javascript("genai.mjs", tenant.app.url, tenant.api_key, "generateContent", given)
    check(came["answers"][0]["candidates"][0]["content"]["parts"][0]["text"])
