"""Several models in one call by the official SDKs, and what a client is told whose base URL is not quite right."""

import anthropic
import openai
import pytest
from clients import ANTHROPIC_MODEL, GEMINI_MODEL, OPENAI_MODEL
from google import genai
from google.genai import errors, types
from test_google import client as google_client
from test_sdks import HELLO, SAID, anthropic_client, openai_client

LIMITED = {"status": 429, "body": {"error": {"message": "slow down", "type": "rate_limit", "code": "rate_limited"}}}


def chat(tenant, first, *others):
    client = openai_client(tenant)
    answer = client.chat.completions.create(model=first, extra_body={"models": others}, messages=HELLO)
    return answer.choices[0].message.content


def responses(tenant, first, *others):
    return openai_client(tenant).responses.create(model=first, extra_body={"models": others}, input="say hello").output_text


def messages(tenant, first, *others):
    client = anthropic_client(tenant)
    return client.messages.create(model=first, extra_body={"models": others}, max_tokens=64, messages=HELLO).content[0].text


def content(tenant, first, *others):
    google = google_client(tenant)
    config = {"http_options": types.HttpOptions(extra_body={"models": list(others)})}
    return google.models.generate_content(model=first, contents="say hello", config=config).text


MODELS = {"openai": OPENAI_MODEL, "anthropic": ANTHROPIC_MODEL, "google": GEMINI_MODEL}


@pytest.mark.parametrize(("ask", "provider"), [
    (chat, "openai"), (responses, "openai"), (messages, "anthropic"), (content, "google"),
])
def test_the_next_model_is_turned_to_and_no_provider_sees_the_list(tenant, keys, mock, ask, provider):
    for name in MODELS:
        assert tenant.submit(name, getattr(keys, name)).is_success
    others = [model for name, model in MODELS.items() if name != provider]
    mark = mock.mark()
    mock.next(LIMITED, LIMITED)
    assert ask(tenant, MODELS[provider], *others) == SAID
    mock.next()
    [row] = tenant.usage(1)
    assert (row["status"], f"{row['provider']}/{row['model']}") == (200, others[1])
    tried = [f"{attempt['provider']}/{attempt['model']}" for attempt in row["attempts"]]
    assert tried == [MODELS[provider], *others]
    bodies = mock.bodies(mark)
    assert len(bodies) == 3 and not any("models" in body for body in bodies)


def test_a_base_url_with_its_version_twice_or_not_at_all_is_told(tenant):
    key = tenant.api_key
    client = openai.OpenAI(base_url=tenant.app.url, api_key=key, max_retries=0)
    with pytest.raises(openai.NotFoundError, match="the one of this name is POST /v1/chat/completions"):
        client.chat.completions.create(model=OPENAI_MODEL, messages=HELLO)
    client = anthropic.Anthropic(base_url=f"{tenant.app.url}/v1", api_key=key, max_retries=0)
    with pytest.raises(anthropic.NotFoundError, match="the one of this name is POST /v1/messages"):
        client.messages.create(model=ANTHROPIC_MODEL, max_tokens=64, messages=HELLO)
    google = genai.Client(api_key=key, http_options={"base_url": f"{tenant.app.url}/v1beta"})
    with pytest.raises(errors.ClientError, match="the one of this name is POST /v1beta/models/"):
        google.models.generate_content(model=GEMINI_MODEL, contents="say hello")
