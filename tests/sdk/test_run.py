"""Programs under `keybearer run`: real SDKs that are told nothing, and find the gateway in their environment."""

import pathlib
import subprocess
import sys

import pytest
from harness import binary

HERE = pathlib.Path(__file__).resolve().parent

PYTHON = {
    "openai": """
import openai
answer = openai.OpenAI(max_retries=0).chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "say hello"}])
print(answer.choices[0].message.content)
""",
    "anthropic": """
import anthropic
answer = anthropic.Anthropic(max_retries=0).messages.create(
    model="claude-haiku-4-5", max_tokens=64, messages=[{"role": "user", "content": "say hello"}])
print(answer.content[0].text)
""",
    "google": """
from google import genai
client = genai.Client()
print(client.models.generate_content(model="gemini-2.5-flash", contents="say hello").text)
""",
}

JAVASCRIPT = {
    "openai": """
import OpenAI from "openai";
const answer = await new OpenAI({ maxRetries: 0 }).chat.completions.create(
    { model: "gpt-4o-mini", messages: [{ role: "user", content: "say hello" }] });
console.log(answer.choices[0].message.content);
""",
    "anthropic": """
import Anthropic from "@anthropic-ai/sdk";
const answer = await new Anthropic({ maxRetries: 0 }).messages.create(
    { model: "claude-haiku-4-5", max_tokens: 64, messages: [{ role: "user", content: "say hello" }] });
console.log(answer.content[0].text);
""",
    "google": """
import { GoogleGenAI } from "@google/genai";
const answer = await new GoogleGenAI({}).models.generateContent(
    { model: "gemini-2.5-flash", contents: "say hello" });
console.log(answer.text);
""",
}


@pytest.fixture
def runner(app, tenant):
    """A tenant's `keybearer`."""
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": "/nonexistent",
        "KEYBEARER_URL": app.url, "KEYBEARER_API_KEY": tenant.api_key, "KEYBEARER_WORKSPACE": tenant.workspace,
    }

    def run(*arguments, **more):
        command = [binary(), *arguments]
        return subprocess.run(
            command, cwd=HERE, env={**environment, **more}, capture_output=True, text=True, timeout=120,
        )

    return run


@pytest.mark.parametrize("provider", PYTHON)
def test_python_sdks_find_the_gateway(tenant, runner, keys, provider):
    assert tenant.submit(provider, getattr(keys, provider)).status_code == 200
    done = runner("run", "--", sys.executable, "-c", PYTHON[provider])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), done
    [row] = tenant.usage(1)
    assert row["provider"] == provider and row["status"] == 200, row


@pytest.mark.parametrize("provider", JAVASCRIPT)
def test_javascript_sdks_find_the_gateway(tenant, runner, keys, provider):
    assert tenant.submit(provider, getattr(keys, provider)).status_code == 200
    done = runner("run", "--", "node", "--input-type=module", "-e", JAVASCRIPT[provider])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), done


def test_a_shell_finds_the_gateway(tenant, runner, keys):
    """`eval "$(keybearer env)"`, then an SDK."""
    assert tenant.submit("openai", keys.openai).status_code == 200
    printed = runner("env")
    assert printed.returncode == 0, printed.stderr
    shell = f'{printed.stdout}\nexec "{sys.executable}" -c "$PROGRAM"'
    done = subprocess.run(
        ["sh", "-c", shell], env={"PROGRAM": PYTHON["openai"]}, capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0 and done.stdout.strip(), done.stderr
