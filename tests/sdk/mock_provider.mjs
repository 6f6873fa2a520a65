// Starts the third-party mock of the providers' APIs and keeps what it is sent.
//
//   node mock_provider.mjs REQUESTS_FILE < CONFIG
//
// CONFIG: JSON {"keys": [...]}: the provider keys that the mock accepts; any other credential on a request, in any of
// the headers that providers use, is answered with 401. Prints {"url": ...} when it listens. REQUESTS_FILE gets one
// JSON line for each request: method, path and raw headers, before the mock's own journal hides credentials.
// Ends when its standard input does.

import { appendFileSync } from "node:fs";
import { subscribe } from "node:diagnostics_channel";
import { Server } from "node:http";
import { createInterface } from "node:readline";
import { LLMock } from "@copilotkit/aimock";

const [requestsFile] = process.argv.slice(2);

function keep({ method, url, rawHeaders }) {
  appendFileSync(requestsFile, JSON.stringify({ method, url, rawHeaders }) + "\n");
}
subscribe("http.server.request.start", ({ request }) => keep(request));
// Requests that become WebSockets are not told there.
const { emit } = Server.prototype;
Server.prototype.emit = function (event, ...about) {
  if (event === "upgrade") keep(about[0]);
  return emit.call(this, event, ...about);
};

const usage = { prompt_tokens: 21, completion_tokens: 9, total_tokens: 30, input_tokens: 21, output_tokens: 9 };
const text = "Hello from the mock, said in several pieces.";

// What the mock lacks of Gemini's API. The key was checked before.
const gemini = {
  async handleRequest(request, response, path) {
    const action = path.split(":")[1];
    if (action !== "batchEmbedContents" && action !== "countTokens") return false;
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = JSON.parse(Buffer.concat(pieces));
    const words = (content) => content.parts.flatMap((part) => part.text.split(" ")).length;
    const answer =
      action === "countTokens"
        ? { totalTokens: body.contents.map(words).reduce((sum, count) => sum + count, 0) }
        : {
            embeddings: body.requests.map(() => ({ values: [0.5, -0.25] })),
            usageMetadata: { promptTokenCount: 8 },
          };
    response.writeHead(200, { "content-type": "application/json; charset=UTF-8" });
    response.end(JSON.stringify(answer));
    return true;
  },
};

async function start({ keys }) {
  const mock = new LLMock({ port: 0, host: "127.0.0.1", auth: { apiKeys: keys }, chunkSize: 7, latency: 2 });
  mock.onMessage("say hello", { content: text, usage });
  mock.onMessage("what is the weather", {
    toolCalls: [{ name: "get_weather", arguments: '{"city":"Oslo","unit":"celsius"}' }],
    usage,
  });
  mock.onMessage("name a city", { content: '{"city":"Oslo","unit":"celsius"}', usage });
  mock.onMessage("be busy", { error: { message: "slow down", type: "rate_limit_error", code: "rate_limited" }, status: 429 });
  mock.onMessage("break off", { content: text, usage }, { truncateAfterChunks: 6 });
  mock.onModerate(/.*/, { flagged: true, categories: { violence: true } });
  mock.onImage(/.*/, { image: { b64Json: "iVBORw0KGgo=" } });
  mock.onSpeech(/.*/, { audio: "SUQzBAAAAAAAAP/7kGQ=", format: "mp3" });
  mock.onTranscription({ transcription: { text: "say hello" } });
  mock.onTranslation({ transcription: { text: "say hello" } });
  mock.onEmbedding("say hello", { embedding: [0.5, -0.25] });
  // The probe, and whatever else.
  mock.on({ predicate: () => true }, { content: "ok", usage: { ...usage, completion_tokens: 1, output_tokens: 1, total_tokens: 22 } });
  mock.mount("/v1beta/models", gemini);
  await mock.start();
  return mock;
}

let mock;
for await (const line of createInterface({ input: process.stdin })) {
  mock = await start(JSON.parse(line));
  process.stdout.write(JSON.stringify({ url: mock.url }) + "\n");
}
await mock?.stop();
process.exit(0);
