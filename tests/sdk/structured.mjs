// Asks for structured output by the helpers of SDKs for JavaScript and tells what was parsed; see called.mjs. The words:
// URL, API key, and "chat" or "responses" of OpenAI's, each also as "..._streamed", or "messages" of Anthropic's; given is
// {"model", "asked"}.

import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import OpenAI from "#openai";
import { zodResponseFormat, zodTextFormat } from "#openai/helpers/zod";
import { z } from "zod";
import { reported } from "./called.mjs";

const city = z.object({ city: z.string(), unit: z.enum(["celsius", "fahrenheit"]) });

const asks = {
  async chat({ openai, model, messages }) {
    const wanted = { model, messages, response_format: zodResponseFormat(city, "city") };
    return (await openai.chat.completions.parse(wanted)).choices[0].message.parsed;
  },
  async chat_streamed({ openai, model, messages }) {
    const wanted = { model, messages, response_format: zodResponseFormat(city, "city") };
    return (await openai.chat.completions.stream(wanted).finalChatCompletion()).choices[0].message.parsed;
  },
  async responses({ openai, model, messages }) {
    const wanted = { model, input: messages, text: { format: zodTextFormat(city, "city") } };
    return (await openai.responses.parse(wanted)).output_parsed;
  },
  async responses_streamed({ openai, model, messages }) {
    const wanted = { model, input: messages, text: { format: zodTextFormat(city, "city") } };
    return (await openai.responses.stream(wanted).finalResponse()).output_parsed;
  },
  async messages({ anthropic, model, messages }) {
    const wanted = { model, messages, max_tokens: 64, output_config: { format: zodOutputFormat(city) } };
    return (await anthropic.messages.parse(wanted)).parsed_output;
  },
};

await reported(async ([url, apiKey, sdk], { model, asked }) => {
  const options = { apiKey, maxRetries: 0, timeout: 60_000 };
  const openai = new OpenAI({ ...options, baseURL: `${url}/v1` });
  const anthropic = new Anthropic({ ...options, baseURL: url });
  return { parsed: await asks[sdk]({ openai, anthropic, model, messages: [{ role: "user", content: asked }] }) };
});
