"""Calls that are paid by credits, with the official SDKs: charged exactly, refused in a form that they understand."""

import anthropic
import openai
import pytest
from harness import seal_with_pynacl

HELLO = [{"role": "user", "content": "say hello"}]
INPUT_TOKENS, OUTPUT_TOKENS = 21, 9
# USD for a million tokens.
INPUT_PRICE, OUTPUT_PRICE = 3, 15
COST_NANO_USD = (INPUT_TOKENS * INPUT_PRICE + OUTPUT_TOKENS * OUTPUT_PRICE) * 1_000


def admin(app, method, path, body, statuses=(200, 201)):
    answer = app.client.request(method, f"/api/v1/admin{path}", json=body, headers=app.session)
    assert answer.status_code in statuses, answer.text
    return answer.json()


@pytest.fixture
def managed(app, tenant, keys):
    """A workspace whose calls are paid by credits."""
    price = {"input": str(INPUT_PRICE), "output": str(OUTPUT_PRICE)}
    prices = [{"provider": provider, "model": "*", "price": price} for provider in ("openai", "anthropic")]
    # Other tests' workspaces go on needing keys of their own.
    admin(app, "PATCH", "/settings", {"prices": prices, "new_workspace_mode": "byok"})
    listed = admin(app, "GET", "/platform-keys", None)["data"]
    for provider, key in (("openai", keys.openai), ("anthropic", keys.anthropic)):
        if provider not in [it["provider"] for it in listed]:
            kek_id, public_key = tenant.sealing_key()
            sealed = seal_with_pynacl(public_key, key)
            body = {"provider": provider, "kek_id": kek_id, "ciphertext_b64": sealed}
            admin(app, "POST", "/platform-keys", body)
    answer = app.client.put(
        f"/api/workspaces/{tenant.workspace}/ai-config", json={"mode": "managed"}, headers=tenant.headers
    )
    assert answer.status_code == 200 and answer.json()["status"] == "managed_active", answer.text
    return tenant


def left(tenant):
    """Remaining credits, in micro-USD."""
    answer = tenant.get("/api/users/me/credits")
    assert answer.status_code == 200, answer.text
    return answer.json()["remaining_micro"]


def charges(tenant):
    answer = tenant.get("/v1/billing/transactions")
    assert answer.status_code == 200, answer.text
    return [it["amount_nano_usd"] for it in answer.json()["data"] if it["kind"] == "charge"]


def test_credits_pay_what_the_sdks_are_told_they_used(managed):
    before = left(managed)
    chat = openai.OpenAI(base_url=f"{managed.app.url}/v1", api_key=managed.api_key, max_retries=0, timeout=30)
    raw = chat.chat.completions.with_raw_response.create(model="openai/gpt-4o-mini", messages=HELLO)
    assert raw.headers["x-keybearer-key-source"] == "managed"
    assert "x-keybearer-key-label" not in raw.headers
    stream = chat.chat.completions.create(
        model="openai/gpt-4o-mini", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    assert [event.usage for event in stream if event.usage][-1].completion_tokens == OUTPUT_TOKENS
    claude = anthropic.Anthropic(base_url=managed.app.url, api_key=managed.api_key, max_retries=0, timeout=30)
    with claude.messages.stream(model="anthropic/claude-haiku-4-5", max_tokens=32, messages=HELLO) as stream:
        assert stream.get_final_message().usage.output_tokens == OUTPUT_TOKENS
    # The books are written before the last byte comes.
    assert charges(managed) == [-COST_NANO_USD] * 3
    assert before - left(managed) == 3 * COST_NANO_USD / 1_000


def test_a_refusal_for_want_of_credits_is_402_in_the_sdks_own_form(managed):
    limit = 250 * 10_000_000 // (OUTPUT_PRICE * 1_000) + 1
    chat = openai.OpenAI(base_url=f"{managed.app.url}/v1", api_key=managed.api_key, max_retries=0, timeout=30)
    with pytest.raises(openai.APIStatusError) as refused:
        chat.chat.completions.create(model="openai/gpt-4o-mini", messages=HELLO, max_tokens=limit)
    assert refused.value.status_code == 402
    assert refused.value.code == "credits_exhausted"
    claude = anthropic.Anthropic(base_url=managed.app.url, api_key=managed.api_key, max_retries=0, timeout=30)
    with pytest.raises(anthropic.APIStatusError) as refused:
        claude.messages.create(model="anthropic/claude-haiku-4-5", max_tokens=limit, messages=HELLO)
    assert refused.value.status_code == 402
    assert refused.value.body["error"]["code"] == "credits_exhausted"
    assert charges(managed) == []


def test_a_request_may_forbid_credits(managed):
    chat = openai.OpenAI(base_url=f"{managed.app.url}/v1", api_key=managed.api_key, max_retries=0, timeout=30)
    with pytest.raises(openai.PermissionDeniedError) as refused:
        chat.chat.completions.create(
            model="openai/gpt-4o-mini", messages=HELLO, extra_headers={"x-keybearer-no-managed": "true"}
        )
    assert refused.value.code == "byok_required"
    assert charges(managed) == []
