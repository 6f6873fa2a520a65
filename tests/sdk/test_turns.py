"""Conversations of several turns by the official SDKs: what a provider keeps, what a model thought, what a developer says."""

import json

import openai
import pytest
from clients import in_javascript
from google.genai import types
from test_google import client as google_client
from test_sdks import ANTHROPIC_MODEL, HELLO, OPENAI_MODEL, SAID, anthropic_client, openai_client
from test_translation import (
    ARGUMENTS, CHAT_MODEL, CHAT_TOOL, CONTENT_MODEL, MESSAGES_TOOL, RESPONSES_TOOL, SCHEMA,
)

THINK = "think about the weather"
# What the mock's Anthropic proves its thoughts by; without the proof it refuses them.
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBtb2NrOiBJIGhhdmUgdG8gbG9vaw=="
THOUGHT = "I have to look."


@pytest.fixture(autouse=True)
def nothing_left_to_say(mock):
    yield
    mock.next()


# A response that the provider keeps.


class Respond:
    """One turn: what is said, and the response that it goes on from. Returns the new one's id and text."""

    def __repr__(self):
        return type(self).__name__

    def __call__(self, tenant, text, previous=None):
        raise NotImplementedError


class Whole(Respond):
    def __call__(self, tenant, text, previous=None):
        more = {"previous_response_id": previous} if previous else {}
        response = openai_client(tenant).responses.create(model=OPENAI_MODEL, input=text, **more)
        return response.id, response.output_text


class Streamed(Respond):
    def __call__(self, tenant, text, previous=None):
        more = {"previous_response_id": previous} if previous else {}
        with openai_client(tenant).responses.stream(model=OPENAI_MODEL, input=text, **more) as stream:
            response = stream.get_final_response()
        return response.id, response.output_text


class InJavascript(Respond):
    newer = False

    def __call__(self, tenant, text, previous=None):
        body = {"model": OPENAI_MODEL, "input": text} | ({"previous_response_id": previous} if previous else {})
        words = ["openai.mjs", tenant.app.url, tenant.api_key, "responses.create"]
        answer = in_javascript(*words, [body], newer=self.newer)["answer"]
        return answer["id"], answer["output_text"]


class InNewerJavascript(InJavascript):
    newer = True


@pytest.mark.parametrize("respond", [Whole(), Streamed(), InJavascript(), InNewerJavascript()], ids=repr)
def test_a_response_goes_on_from_the_last_one_with_the_key_that_made_it(tenant, keys, mock, respond):
    for label, key in (("one", keys.openai), ("two", keys.openai_later)):
        assert tenant.submit_to_workspace("openai", key, label=label, level=1).is_success
    mock.next(*[{"remembers": True}] * 6)
    mark = mock.mark()
    # Two conversations in turns, so that by their load alone the keys would change.
    (ada, _), (bob, _) = respond(tenant, "I am Ada"), respond(tenant, "I am Bob")
    ada, said = respond(tenant, "who am I?", ada)
    assert said == "You said: I am Ada | who am I?"
    for turn in ("and now?", "still?"):
        bob, said = respond(tenant, turn, bob)
    assert said == "You said: I am Bob | and now? | still?"
    _, said = respond(tenant, "sure?", ada)
    assert said == "You said: I am Ada | who am I? | sure?"
    used = [dict(request["headers"])["authorization"] for request in mock.requests(mark)]
    one, two = used[:2]
    assert {one, two} == {f"Bearer {keys.openai}", f"Bearer {keys.openai_later}"}
    assert used == [one, two, one, two, two, one]
    assert {row["status"] for row in tenant.usage(6)} == {200}


def test_nobody_goes_on_from_the_response_of_another_workspace(own_openai_key, keys, mock):
    # The same provider key, in an account of somebody else's.
    other = own_openai_key.app.tenant()
    assert other.submit("openai", keys.openai).is_success
    mock.next({"remembers": True}, {"remembers": True})
    mine, _ = Whole()(own_openai_key, "I am Ada")
    mark = mock.mark()
    with pytest.raises(openai.APIStatusError) as refused:
        Whole()(other, "who am I?", mine)
    assert (refused.value.status_code, refused.value.code) == (404, "object_key_unavailable")
    assert mock.requests(mark) == []
    assert Whole()(own_openai_key, "who am I?", mine)[1] == "You said: I am Ada | who am I?"


@pytest.fixture
def own_openai_key(tenant, keys):
    assert tenant.submit("openai", keys.openai).is_success
    return tenant


# What a model thought comes back to it with its proof.


@pytest.fixture
def thinking(tenant, keys, mock):
    """A tenant with Anthropic's key, and what its API got last."""
    assert tenant.submit("anthropic", keys.anthropic).is_success
    mark = mock.mark()

    def check():
        """The turn with the thought was replayed as it was made, and the next one follows it."""
        body = mock.bodies(mark)[-1]
        assert body["thinking"]["type"] == "enabled"
        assistant = body["messages"][1]
        assert assistant["role"] == "assistant"
        thought, call = assistant["content"]
        assert thought == {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}
        assert (call["type"], call["name"], call["input"]) == ("tool_use", "get_weather", ARGUMENTS)
        outcome = body["messages"][2]["content"][0]
        assert (outcome["type"], outcome["tool_use_id"]) == ("tool_result", call["id"])

    return tenant, check


BUDGET = {"type": "enabled", "budget_tokens": 1024}


def anthropic_turn(create, model):
    """A turn with a thought and a tool, its replay and the answer. `create` gives blocks as JSON."""
    ask = {"model": model, "max_tokens": 4096, "thinking": BUDGET, "tools": [MESSAGES_TOOL]}
    messages = [{"role": "user", "content": THINK}]
    blocks = create(messages=messages, **ask)
    assert [block["type"] for block in blocks] == ["thinking", "tool_use"]
    assert blocks[0]["thinking"] == THOUGHT
    result = {"type": "tool_result", "tool_use_id": blocks[1]["id"], "content": "3 degrees"}
    messages += [
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": [result, {"type": "text", "text": "say hello"}]},
    ]
    assert create(messages=messages, **ask)[-1]["text"] == SAID
    return blocks


def anthropic_whole(tenant):
    client = anthropic_client(tenant)
    return lambda **ask: [block.to_dict() for block in client.messages.create(**ask).content]


def anthropic_streamed(tenant):
    client = anthropic_client(tenant)

    def create(**ask):
        with client.messages.stream(**ask) as stream:
            return [block.to_dict() for block in stream.get_final_message().content]

    return create


def anthropic_in_javascript(tenant):
    words = ["anthropic.mjs", tenant.app.url, tenant.api_key, "messages.create"]
    return lambda **ask: in_javascript(*words, [ask])["answer"]["content"]


ANTHROPICS = pytest.mark.parametrize("make", [anthropic_whole, anthropic_streamed, anthropic_in_javascript])


@ANTHROPICS
def test_anthropics_sdk_replays_a_thought_to_its_maker(thinking, make):
    tenant, check = thinking
    blocks = anthropic_turn(make(tenant), ANTHROPIC_MODEL)
    assert blocks[0]["signature"] == SIGNATURE
    check()


@ANTHROPICS
@pytest.mark.parametrize(("provider", "model"), [("cerebras", CHAT_MODEL), ("content-only", CONTENT_MODEL)])
def test_anthropics_sdk_replays_a_thought_of_another_format(tenant, keys, make, provider, model):
    assert tenant.submit(provider, getattr(keys, provider.replace("content-only", "google"))).is_success
    blocks = anthropic_turn(make(tenant), model)
    # Its SDKs know no thought without one.
    assert isinstance(blocks[0]["signature"], str)


@pytest.mark.parametrize("streamed", [False, True])
def test_openais_chat_replays_a_thought_of_messages(thinking, streamed):
    tenant, check = thinking
    client = openai_client(tenant)
    ask = {"model": ANTHROPIC_MODEL, "tools": [CHAT_TOOL], "reasoning_effort": "low", "max_completion_tokens": 4096}
    messages = [{"role": "user", "content": THINK}]
    if streamed:
        # As a program does that knows no field of ours: it puts the pieces of each together.
        said = {"role": "assistant", "tool_calls": []}
        for chunk in client.chat.completions.create(messages=messages, stream=True, **ask):
            delta = chunk.choices[0].delta.to_dict() if chunk.choices else {}
            said.setdefault("reasoning_details", []).extend(delta.get("reasoning_details", []))
            said["reasoning_content"] = said.get("reasoning_content", "") + (delta.get("reasoning_content") or "")
            for call in delta.get("tool_calls", []):
                if call.get("id"):
                    said["tool_calls"].append(call)
                else:
                    said["tool_calls"][-1]["function"]["arguments"] += call["function"]["arguments"]
        [call] = said["tool_calls"]
    else:
        message = client.chat.completions.create(messages=messages, **ask).choices[0].message
        said = message.to_dict()
        [call] = said["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == ARGUMENTS
    outcome = {"role": "tool", "tool_call_id": call["id"], "content": "3 degrees"}
    completion = client.chat.completions.create(messages=[*messages, said, outcome, *HELLO], **ask)
    assert completion.choices[0].message.content == SAID
    check()


@pytest.mark.parametrize("streamed", [False, True])
def test_openais_responses_replay_a_thought_of_messages(thinking, streamed):
    tenant, check = thinking
    client = openai_client(tenant)
    ask = {
        "model": ANTHROPIC_MODEL, "tools": [RESPONSES_TOOL], "reasoning": {"effort": "low", "summary": "auto"},
        "max_output_tokens": 4096, "store": False, "include": ["reasoning.encrypted_content"],
    }
    conversation = [{"role": "user", "content": THINK}]
    if streamed:
        with client.responses.stream(input=conversation, **ask) as stream:
            response = stream.get_final_response()
    else:
        response = client.responses.create(input=conversation, **ask)
    assert [item.type for item in response.output] == ["reasoning", "function_call"]
    conversation += [item.to_dict() for item in response.output]
    conversation.append({
        "type": "function_call_output", "call_id": response.output[1].call_id, "output": "3 degrees",
    })
    assert client.responses.create(input=conversation + HELLO, **ask).output_text == SAID
    check()


WEATHER_TOOL = types.Tool(
    function_declarations=[types.FunctionDeclaration(name="get_weather", parameters_json_schema=SCHEMA)],
)


def google_turn(tenant, model, streamed):
    """A turn with a thought and a tool, its replay and the answer. Returns the first turn's parts."""
    google = google_client(tenant)
    thoughts = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    config = types.GenerateContentConfig(tools=[WEATHER_TOOL], thinking_config=thoughts, max_output_tokens=4096)
    user = types.Content(role="user", parts=[types.Part(text=THINK)])
    if streamed:
        chunks = list(google.models.generate_content_stream(model=model, contents=[user], config=config))
        said = types.Content(role="model", parts=[part for chunk in chunks for part in chunk.candidates[0].content.parts or []])
    else:
        said = google.models.generate_content(model=model, contents=[user], config=config).candidates[0].content
    [call] = [part.function_call for part in said.parts if part.function_call]
    assert call.args == ARGUMENTS
    outcome = types.FunctionResponse(id=call.id, name=call.name, response={"output": "3 degrees"})
    told = types.Content(role="user", parts=[types.Part(function_response=outcome), types.Part(text="say hello")])
    answer = google.models.generate_content(model=model, contents=[user, said, told], config=config)
    assert answer.text == SAID
    return said.parts


@pytest.mark.parametrize("streamed", [False, True])
def test_googles_sdk_replays_a_thought_of_messages(thinking, streamed):
    tenant, check = thinking
    google_turn(tenant, ANTHROPIC_MODEL, streamed)
    check()


# What Gemini proves a thought by is of the call. The mock knows no signatures.
PROOF = "Z2VtaW5pJ3Mgb3duIHByb29m"
PARTS = [
    {"text": THOUGHT, "thought": True},
    {"functionCall": {"id": "call_1", "name": "get_weather", "args": ARGUMENTS}, "thoughtSignature": PROOF},
]


def of_gemini(*parts):
    counted = {"promptTokenCount": 21, "candidatesTokenCount": 9, "totalTokenCount": 30}
    candidate = {"index": 0, "content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}
    return {"candidates": [candidate], "usageMetadata": counted}


def thought_of_gemini(streamed):
    """The first answer, for the mock to give."""
    if not streamed:
        return {"body": of_gemini(*PARTS)}
    return {"pieces": [f"data: {json.dumps(of_gemini(part))}\r\n\r\n" for part in PARTS], "ends": True}


def replayed(body):
    """The part with the call of a tool, in the names of its JSON, with the proof in its one spelling."""
    [part] = [part for part in body["contents"][1]["parts"] if "functionCall" in part or "function_call" in part]
    proof = part.get("thoughtSignature") or part["thought_signature"]
    return (part.get("functionCall") or part["function_call"])["args"], proof.translate(str.maketrans("-_", "+/"))


@pytest.mark.parametrize("streamed", [False, True])
def test_googles_sdk_replays_the_proof_of_a_thought(tenant, keys, mock, streamed):
    assert tenant.submit("google", keys.google).is_success
    mark = mock.mark()
    mock.next(thought_of_gemini(streamed))
    google_turn(tenant, "google/gemini-3.5-flash-lite", streamed)
    assert replayed(mock.bodies(mark)[-1]) == (ARGUMENTS, PROOF)


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_googles_sdk_replays_the_proof_of_a_thought_in_javascript(tenant, keys, mock, streamed, newer):
    assert tenant.submit("google", keys.google).is_success
    mark = mock.mark()
    mock.next(thought_of_gemini(streamed))

    def ask(method, contents):
        tools = [{"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": SCHEMA}]}]
        given = {"model": "google/gemini-3.5-flash-lite", "contents": contents, "config": {"tools": tools}}
        came = in_javascript("genai.mjs", tenant.app.url, tenant.api_key, method, given, newer=newer)
        return [part for answer in came["answers"] for part in answer["candidates"][0]["content"]["parts"]]

    user = {"role": "user", "parts": [{"text": THINK}]}
    said = ask("generateContentStream" if streamed else "generateContent", [user])
    assert said == PARTS
    outcome = {"functionResponse": {"id": "call_1", "name": "get_weather", "response": {"output": "3 degrees"}}}
    told = {"role": "user", "parts": [outcome, {"text": "say hello"}]}
    assert ask("generateContent", [user, {"role": "model", "parts": said}, told])[-1]["text"] == SAID
    assert replayed(mock.bodies(mark)[-1]) == (ARGUMENTS, PROOF)


@ANTHROPICS
def test_anthropics_sdk_replays_the_proof_of_a_thought_of_content(tenant, keys, mock, make):
    assert tenant.submit("content-only", keys.google).is_success
    mark = mock.mark()
    mock.next(thought_of_gemini(streamed=make is anthropic_streamed))
    anthropic_turn(make(tenant), CONTENT_MODEL)
    assert replayed(mock.bodies(mark)[-1]) == (ARGUMENTS, PROOF)


# What a developer says.

DEVELOPER = {"role": "developer", "content": "Be brief."}


def chat_in_python(tenant, model):
    messages = [DEVELOPER, *HELLO]
    return openai_client(tenant).chat.completions.create(model=model, messages=messages).choices[0].message.content


def responses_in_python(tenant, model):
    return openai_client(tenant).responses.create(model=model, input=[DEVELOPER, *HELLO]).output_text


def chat_in_javascript(tenant, model):
    body = {"model": model, "messages": [DEVELOPER, *HELLO]}
    words = ["openai.mjs", tenant.app.url, tenant.api_key, "chat.completions.create"]
    return in_javascript(*words, [body], newer=True)["answer"]["choices"][0]["message"]["content"]


def responses_in_javascript(tenant, model):
    words = ["openai.mjs", tenant.app.url, tenant.api_key, "responses.create"]
    return in_javascript(*words, [{"model": model, "input": [DEVELOPER, *HELLO]}], newer=True)["answer"]["output_text"]


def told_in_chat(body):
    return body["messages"][0]


def told_in_responses(body):
    return body["input"][0]


def told_in_messages(body):
    # As a text or as blocks.
    system = body["system"]
    assert [message["role"] for message in body["messages"]] == ["user"]
    return system if isinstance(system, str) else "".join(block["text"] for block in system)


def told_in_content(body):
    assert [content["role"] for content in body["contents"]] == ["user"]
    return "".join(part["text"] for part in body["systemInstruction"]["parts"])


SYSTEM = {"role": "system", "content": "Be brief."}
CHATS, RESPONSES = [chat_in_python, chat_in_javascript], [responses_in_python, responses_in_javascript]


@pytest.mark.parametrize(("call", "provider", "model", "told", "expected"), [
    # Where the format is the client's own it is the provider's to say what a developer is.
    *[(call, "openai", OPENAI_MODEL, told_in_chat, DEVELOPER) for call in CHATS],
    *[(call, "cerebras", CHAT_MODEL, told_in_chat, DEVELOPER) for call in CHATS],
    *[(call, "openai", OPENAI_MODEL, told_in_responses, DEVELOPER) for call in RESPONSES],
    *[(call, "cerebras", CHAT_MODEL, told_in_chat, SYSTEM) for call in RESPONSES],
    *[(call, "anthropic", ANTHROPIC_MODEL, told_in_messages, "Be brief.") for call in CHATS + RESPONSES],
    *[(call, "content-only", CONTENT_MODEL, told_in_content, "Be brief.") for call in CHATS + RESPONSES],
])
def test_what_a_developer_says_is_what_the_system_says(tenant, keys, mock, call, provider, model, told, expected):
    assert tenant.submit(provider, getattr(keys, provider.replace("content-only", "google"))).is_success
    mark = mock.mark()
    assert call(tenant, model) == SAID
    assert told(mock.bodies(mark)[-1]) == expected
