// Makes calls with Vercel's AI SDK; see called.mjs. The words: URL, API key, and "text", "stream", "tool", "object", "embed" or
// "picture"; given is [{"provider", "model", "prompt", ...}]. Of "text" also "messages" in its own form, "maxRetries" and the
// milliseconds after which it is given up, "timeout". What is {"url": ...} in a message is an address.

import { createAnthropic } from "#ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "#ai-sdk/google";
import { createOpenAI } from "#ai-sdk/openai";
import { embedMany, generateImage, generateText, jsonSchema, Output, streamText, tool } from "#ai";
import { reported } from "./called.mjs";

const city = jsonSchema({
  type: "object",
  properties: { city: { type: "string" }, unit: { type: "string" } },
  required: ["city", "unit"],
  additionalProperties: false,
});

const calls = {
  async text({ model, prompt, system, messages, maxRetries = 0, timeout = 60_000 }) {
    const abortSignal = AbortSignal.timeout(timeout);
    const asked = { prompt, system, messages: messages?.map(revived) };
    const { text, finishReason, usage } = await generateText({ model, ...asked, maxRetries, abortSignal });
    return { text, finishReason, usage };
  },
  async stream({ model, prompt }) {
    let failed;
    const answer = streamText({ model, prompt, maxRetries: 0, onError: ({ error }) => (failed = error) });
    const pieces = [];
    for await (const piece of answer.textStream) pieces.push(piece);
    if (failed) throw failed;
    return { pieces, finishReason: await answer.finishReason, usage: await answer.usage };
  },
  async tool({ model, prompt }) {
    const tools = { get_weather: tool({ inputSchema: city }) };
    const { toolCalls, finishReason } = await generateText({ model, prompt, tools, maxRetries: 0 });
    return { calls: toolCalls.map(({ toolName, input }) => [toolName, input]), finishReason };
  },
  async object({ model, prompt }) {
    const output = Output.object({ schema: city });
    return { output: (await generateText({ model, prompt, output, maxRetries: 0 })).output };
  },
  async embed({ embedder, values }) {
    const { embeddings, usage } = await embedMany({ model: embedder, values, maxRetries: 0 });
    return { embeddings, usage };
  },
  async picture({ painter, prompt }) {
    const { image } = await generateImage({ model: painter, prompt, maxRetries: 0 });
    return { base64: image.base64 };
  },
};

function revived({ role, content }) {
  return { role, content: content.map((part) => (part.image?.url ? { ...part, image: new URL(part.image.url) } : part)) };
}

await reported(async ([url, apiKey, call], [{ provider, model, ...more }]) => {
  const providers = {
    chat: () => createOpenAI({ apiKey, baseURL: `${url}/v1` }).chat(model),
    responses: () => createOpenAI({ apiKey, baseURL: `${url}/v1` })(model),
    images: () => createOpenAI({ apiKey, baseURL: `${url}/v1` }).image(model),
    embeddings: () => createOpenAI({ apiKey, baseURL: `${url}/v1` }).embeddingModel(model),
    messages: () => createAnthropic({ apiKey, baseURL: `${url}/v1` })(model),
    gemini: () => createGoogleGenerativeAI({ apiKey, baseURL: `${url}/v1beta` })(model),
    gemini_embeddings: () => createGoogleGenerativeAI({ apiKey, baseURL: `${url}/v1beta` }).embeddingModel(model),
  };
  const made = providers[provider]();
  return calls[call]({ model: made, embedder: made, painter: made, ...more });
});
