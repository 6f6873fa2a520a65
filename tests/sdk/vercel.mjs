// Makes calls with Vercel's AI SDK; see called.mjs. The words: URL, API key, and "text", "stream", "tool", "object" or
// "embed"; given is [{"provider", "model", "prompt", ...}].

import { createAnthropic } from "#ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "#ai-sdk/google";
import { createOpenAI } from "#ai-sdk/openai";
import { embedMany, generateText, jsonSchema, Output, streamText, tool } from "#ai";
import { reported } from "./called.mjs";

const city = jsonSchema({
  type: "object",
  properties: { city: { type: "string" }, unit: { type: "string" } },
  required: ["city", "unit"],
  additionalProperties: false,
});

const calls = {
  async text({ model, prompt }) {
    const { text, finishReason, usage } = await generateText({ model, prompt, maxRetries: 0 });
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
};

await reported(async ([url, apiKey, call], [{ provider, model, ...more }]) => {
  const providers = {
    chat: () => createOpenAI({ apiKey, baseURL: `${url}/v1` }).chat(model),
    responses: () => createOpenAI({ apiKey, baseURL: `${url}/v1` })(model),
    embeddings: () => createOpenAI({ apiKey, baseURL: `${url}/v1` }).embeddingModel(model),
    messages: () => createAnthropic({ apiKey, baseURL: `${url}/v1` })(model),
    gemini: () => createGoogleGenerativeAI({ apiKey, baseURL: `${url}/v1beta` })(model),
    gemini_embeddings: () => createGoogleGenerativeAI({ apiKey, baseURL: `${url}/v1beta` }).embeddingModel(model),
  };
  const made = providers[provider]();
  return calls[call]({ model: made, embedder: made, ...more });
});
