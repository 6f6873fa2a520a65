"""LangChain's integrations, unmodified, against Keybearer in front of a third-party mock of the providers' APIs."""

import asyncio

import anthropic
import httpx2
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from langchain_google_genai.chat_models import ChatGoogleGenerativeAIError
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from harness import wait_for
from test_images import DATA, ADDRESS, CHAT, CONTENT, MESSAGES, RESPONSES, is_picture, named, parts_of
from test_retries import refusal
from test_sdks import HELLO, INPUT_TOKENS, OUTPUT_TOKENS, SAID, check_upstream, check_usage

def openai_chat(tenant, api_key, retries=0, timeout=30, **options):
    return ChatOpenAI(
        model="openai/gpt-4o-mini", base_url=f"{tenant.app.url}/v1", api_key=api_key, stream_usage=True, max_retries=retries,
        timeout=timeout, **options,
    )


def openai_responses(tenant, api_key, **options):
    return openai_chat(tenant, api_key, use_responses_api=True, **options)


def anthropic_messages(tenant, api_key, retries=0, timeout=30):
    return ChatAnthropic(
        model="anthropic/claude-haiku-4-5", base_url=tenant.app.url, api_key=api_key, max_retries=retries, timeout=timeout,
        max_tokens=200,
    )


def gemini(tenant, api_key, retries=0, timeout=30):
    # It counts the first attempt, too.
    return ChatGoogleGenerativeAI(
        model="gemini-3.5-flash-lite", base_url=tenant.app.url, api_key=api_key, max_retries=retries + 1, timeout=timeout,
    )


# The clients keep their connections, which belong to the loop that made them.
together = asyncio.new_event_loop().run_until_complete


class Kind:
    """One integration: how it is made, whose key serves, and how it is told that something is refused."""

    def __init__(self, make, provider, header, scheme, error, late, pictures):
        self.make, self.provider, self.header, self.scheme, self.error = make, provider, header, scheme, error
        # How it says that it waited too long, and what a provider gets for pictures.
        self.late, self.pictures = late, pictures

    def __repr__(self):
        return self.make.__name__


KINDS = [
    Kind(openai_chat, "openai", "authorization", "Bearer ", openai.APIStatusError, openai.APITimeoutError, CHAT),
    Kind(openai_responses, "openai", "authorization", "Bearer ", openai.APIStatusError, openai.APITimeoutError, RESPONSES),
    Kind(anthropic_messages, "anthropic", "x-api-key", "", anthropic.APIStatusError, anthropic.APITimeoutError, MESSAGES),
    Kind(gemini, "google", "x-goog-api-key", "", ChatGoogleGenerativeAIError, httpx2.TimeoutException, CONTENT),
]


@pytest.fixture(params=KINDS, ids=repr)
def kind(request):
    return request.param


@pytest.fixture
def model(kind, tenant, keys):
    assert tenant.submit(kind.provider, getattr(keys, kind.provider)).is_success
    return kind.make(tenant, tenant.api_key)


@tool
def get_weather(city: str, unit: str = "celsius") -> str:
    """What the weather is."""
    return f"12 {unit} in {city}"


class City(BaseModel):
    """A city."""

    city: str
    unit: str


def check_metered(tenant, kind, streamed):
    [row] = tenant.usage(1)
    check_usage(tenant, row["request_id"], kind.provider, streamed)


def test_a_chat(kind, model, tenant, mock, keys):
    mark = mock.mark()
    answer = model.invoke(HELLO)
    assert answer.text == SAID
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (INPUT_TOKENS, OUTPUT_TOKENS)
    check_metered(tenant, kind, streamed=False)
    check_upstream(tenant, mock, mark, kind.header, kind.scheme + getattr(keys, kind.provider))


def test_a_stream(kind, model, tenant):
    chunks = list(model.stream(HELLO))
    assert "".join(chunk.text for chunk in chunks) == SAID
    assert len(chunks) > 3
    check_metered(tenant, kind, streamed=True)


def test_async_calls_at_once(model, tenant):
    async def streamed():
        return "".join([chunk.text async for chunk in model.astream(HELLO)])

    async def all_of_them():
        answers = [model.ainvoke(HELLO) for _ in range(3)]
        *answers, said = await asyncio.gather(*answers, streamed())
        return [answer.text for answer in answers] + [said]

    assert together(all_of_them()) == [SAID] * 4
    assert {row["status"] for row in tenant.usage(4)} == {200}


def test_a_tool_is_called_and_answered(model):
    question = HumanMessage("what is the weather in Oslo?")
    called = model.bind_tools([get_weather]).invoke([question])
    [call] = called.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Oslo", "unit": "celsius"})
    answer = get_weather.invoke(call)
    assert isinstance(answer, ToolMessage)
    told = model.bind_tools([get_weather]).invoke([question, called, answer, HumanMessage("say hello")])
    assert told.text == SAID


def test_structured_output(model):
    named = model.with_structured_output(City, method="json_schema").invoke("name a city")
    assert named == City(city="Oslo", unit="celsius")


def test_structured_output_by_a_tool(model):
    class get_weather(City):
        """What the weather is."""

    asked = model.with_structured_output(get_weather, method="function_calling")
    assert asked.invoke("what is the weather in Oslo?") == get_weather(city="Oslo", unit="celsius")


def test_refusals_are_told_in_the_clients_own_errors(kind, tenant):
    unknown = kind.make(tenant, tenant.api_key[:-4] + "aaaa")
    with pytest.raises(kind.error, match="401|API key is not valid"):
        unknown.invoke(HELLO)
    with pytest.raises(kind.error, match="provider key for .* is missing"):
        kind.make(tenant, tenant.api_key).invoke(HELLO)


def check_calls(tenant, mock, mark, *rows):
    """The calls, newest first: the status that each was told, and how many requests reached the provider for it."""
    found = tenant.usage(len(rows))
    assert [(row["status"], len(row["attempts"])) for row in found] == list(rows)
    assert len(mock.requests(mark)) == sum(requests for _, requests in rows)


@pytest.fixture
def keyed(kind, tenant, keys, mock):
    """A tenant with the provider's key."""
    assert tenant.submit(kind.provider, getattr(keys, kind.provider)).is_success
    yield tenant
    mock.next()


def test_who_tries_again(kind, keyed, mock):
    model = kind.make(keyed, keyed.api_key, retries=2)
    mark = mock.mark()
    mock.next(refusal(kind, 429, {"retry-after": "1"}))
    assert model.invoke(HELLO).text == SAID
    check_calls(keyed, mock, mark, (200, 1), (429, 1))
    # A provider that fails is asked again before it hears of it.
    mark = mock.mark()
    mock.next(refusal(kind, 500))
    assert model.invoke(HELLO).text == SAID
    [row, *_] = keyed.usage(3)
    assert (row["status"], len(row["attempts"]), len(mock.requests(mark))) == (200, 2, 2)
    # Where it does not try again itself, the error is told.
    mock.next(refusal(kind, 429, {"retry-after": "1"}))
    with pytest.raises(kind.error):
        kind.make(keyed, keyed.api_key).invoke(HELLO)


def test_who_gives_up_takes_the_call_at_the_provider_along(kind, keyed, mock):
    mark = mock.mark()
    mock.next({"silent": True})
    with pytest.raises(kind.late):
        kind.make(keyed, keyed.api_key, timeout=4).invoke(HELLO)
    wait_for("the provider is left", 20, lambda: mock.left(mark))
    check_calls(keyed, mock, mark, (499, 1))
    assert keyed.usage(1)[0]["error_code"] == "client_closed"


def test_pictures(kind, keyed, mock):
    data = {"type": "image", "base64": DATA.split(",")[1], "mime_type": "image/png"}
    # What has an address it fetches itself for Gemini.
    pictures = [data] if kind.make is gemini else [data, {"type": "image", "url": ADDRESS}]
    mark = mock.mark()
    message = HumanMessage([*pictures, {"type": "text", "text": "say hello"}])
    assert kind.make(keyed, keyed.api_key).invoke([message]).text == SAID
    found = [part for body in mock.bodies(mark) for part in parts_of(body) if is_picture(part)]
    assert [named(part) for part in found] == kind.pictures[:len(pictures)]


# Gemini's streams have no word for an error.
@pytest.mark.parametrize("kind", KINDS[:3], ids=repr)
def test_a_stream_that_breaks_off_raises(model):
    with pytest.raises((openai.APIError, anthropic.APIError), match="broke"):
        list(model.stream("break off"))


def test_embeddings(tenant, keys):
    assert tenant.submit("openai", keys.openai).is_success
    assert tenant.submit("google", keys.google).is_success
    # Texts as they are: counting their tokens would fetch a vocabulary.
    of_openai = OpenAIEmbeddings(
        model="openai/text-embedding-3-small", base_url=f"{tenant.app.url}/v1", api_key=tenant.api_key,
        check_embedding_ctx_length=False, max_retries=0, timeout=30,
    )
    vectors = of_openai.embed_documents(["say hello", "and again"])
    assert len(vectors) == 2 and all(isinstance(value, float) for value in vectors[0])
    assert together(of_openai.aembed_query("say hello")) == vectors[0]
    of_google = GoogleGenerativeAIEmbeddings(
        model="gemini-embedding-001", base_url=tenant.app.url, google_api_key=tenant.api_key,
    )
    assert of_google.embed_documents(["say hello", "and again"]) == [[0.5, -0.25]] * 2
    assert {row["status"] for row in tenant.usage(3)} == {200}
