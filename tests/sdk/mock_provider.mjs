// Starts the third-party mock of the providers' APIs and keeps what it is sent.
//
//   node mock_provider.mjs REQUESTS_FILE EVENTS_FILE < CONFIG
//
// CONFIG: one line of JSON, {"keys": [...]}: the provider keys that the mock accepts; any other credential on a request,
// in any of the headers that providers use, is answered with 401. Prints {"url": ...} when it listens. REQUESTS_FILE gets
// one JSON line for each request: method, path and raw headers, before the mock's own journal hides credentials.
// EVENTS_FILE gets {"request", "body"} when a body of JSON has come, and {"request", "left"} when the caller goes away
// before its answer is whole; "request" is the place in REQUESTS_FILE.
//
// Each further line says what the next requests get in the place of the mock's answers, {"next": [...]}, one after the
// other, and is answered with {}: {"status", "headers", "body"}, or {"pieces": [...]}: the beginning of a stream that
// goes on for ever in silence, with "ends": all of it, or {"silent": true}: not even a head, or {"remembers": true}: a
// response that is kept, for whoever goes on from it with the same key. What was said before is forgotten.
// Ends when its standard input does.

import { appendFileSync } from "node:fs";
import { subscribe } from "node:diagnostics_channel";
import { Server } from "node:http";
import { createInterface } from "node:readline";
import { LLMock } from "@copilotkit/aimock";

const [requestsFile, eventsFile] = process.argv.slice(2);
let kept = 0;

function keep({ method, url, rawHeaders }) {
  appendFileSync(requestsFile, JSON.stringify({ method, url, rawHeaders }) + "\n");
  return kept++;
}

function tell(event) {
  appendFileSync(eventsFile, JSON.stringify(event) + "\n");
}

// Reads along; whoever reads the body gets it as if nobody did.
function keepBody(message, request) {
  if (!message.headers["content-type"]?.startsWith("application/json")) return;
  const pieces = [];
  const { emit } = message;
  message.emit = function (event, ...about) {
    if (event === "data") pieces.push(about[0]);
    if (event === "end" && pieces.length) tell({ request, body: JSON.parse(Buffer.concat(pieces)) });
    return emit.call(this, event, ...about);
  };
}

subscribe("http.server.request.start", ({ request: message, response }) => {
  const request = keep(message);
  keepBody(message, request);
  response.on("close", () => response.writableFinished || tell({ request, left: true }));
});

let next = [];
function answer(message, response, { status = 200, headers = {}, body, pieces, ends, silent, remembers }) {
  if (remembers) return remember(message, response);
  message.resume();
  if (silent) return;
  if (pieces) {
    response.writeHead(200, { "content-type": "text/event-stream", ...headers });
    pieces.forEach((piece) => response.write(piece));
    if (ends) response.end();
    return;
  }
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

// What the mock lacks of OpenAI's responses: it keeps them. The answer repeats what was said in all turns.
const responses = new Map();
async function remember(message, response) {
  const pieces = [];
  for await (const piece of message) pieces.push(piece);
  const { model, input, previous_response_id: previous = null, stream } = JSON.parse(Buffer.concat(pieces));
  const kept = (id) => `${message.headers.authorization} ${id}`;
  const before = previous ? responses.get(kept(previous)) : [];
  if (!before) {
    const code = "previous_response_not_found";
    response.writeHead(400, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: { message: "not found", type: "invalid_request_error", param: "previous_response_id", code } }));
    return;
  }
  const said = [...before, typeof input === "string" ? input : input.at(-1).content];
  const id = `resp_${String(responses.size).padStart(32, "0")}`;
  responses.set(kept(id), said);
  const content = [{ type: "output_text", text: `You said: ${said.join(" | ")}`, annotations: [] }];
  const output = [{ type: "message", id: `msg_${id}`, role: "assistant", status: "completed", content }];
  const begun = { id, object: "response", created_at: 1, status: "in_progress", model, previous_response_id: previous, output: [] };
  const done = { ...begun, status: "completed", output, usage };
  if (!stream) {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(done));
    return;
  }
  const place = { item_id: output[0].id, output_index: 0, content_index: 0 };
  const events = [
    { type: "response.created", response: begun },
    { type: "response.output_item.added", output_index: 0, item: { ...output[0], status: "in_progress", content: [] } },
    { type: "response.content_part.added", ...place, part: { ...content[0], text: "" } },
    { type: "response.output_text.delta", ...place, delta: content[0].text },
    { type: "response.output_text.done", ...place, text: content[0].text },
    { type: "response.content_part.done", ...place, part: content[0] },
    { type: "response.output_item.done", output_index: 0, item: output[0] },
    { type: "response.completed", response: done },
  ];
  response.writeHead(200, { "content-type": "text/event-stream" });
  events.forEach((event, number) => {
    const data = JSON.stringify({ ...event, sequence_number: number });
    response.write(`event: ${event.type}\ndata: ${data}\n\n`);
  });
  response.end();
}

// Requests that become WebSockets are not told above.
const { emit } = Server.prototype;
Server.prototype.emit = function (event, ...about) {
  if (event === "upgrade") keep(about[0]);
  if (event === "request" && next.length) {
    answer(...about, next.shift());
    return true;
  }
  return emit.call(this, event, ...about);
};

const usage = { prompt_tokens: 21, completion_tokens: 9, total_tokens: 30, input_tokens: 21, output_tokens: 9 };
const signature = "c2lnbmVkIGJ5IHRoZSBtb2NrOiBJIGhhdmUgdG8gbG9vaw==";
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

// What it lacks of OpenAI's and Anthropic's.
const batches = new Map();
const claude = {
  async handleRequest(request, response, path) {
    const [, of, id, what] = path.match(/^\/(count_tokens|batches)(?:\/([^/]+))?(?:\/(cancel|results))?$/) ?? [];
    if (!of) return false;
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = pieces.length ? JSON.parse(Buffer.concat(pieces)) : {};
    const send = (answer, type = "application/json") => {
      response.writeHead(200, { "content-type": type });
      response.end(answer);
      return true;
    };
    if (of === "count_tokens") {
      const words = body.messages.flatMap(({ content }) => content.split(" "));
      return send(JSON.stringify({ input_tokens: words.length }));
    }
    if (what === "results") {
      const result = ({ custom_id, params }) => {
        const content = [{ type: "text", text }];
        const usage = { input_tokens: 21, output_tokens: 9 };
        const message = { id: "msg_1", type: "message", role: "assistant", model: params.model, content, usage };
        return { custom_id, result: { type: "succeeded", message: { ...message, stop_reason: "end_turn", stop_sequence: null } } };
      };
      return send(batches.get(id).requests.map((it) => JSON.stringify(result(it)) + "\n").join(""), "application/x-jsonl");
    }
    const made = id ? batches.get(id).batch : {
      id: `msgbatch_${batches.size + 1}`, type: "message_batch", processing_status: "in_progress",
      request_counts: { processing: body.requests?.length, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
      created_at: "2026-01-01T00:00:00Z", expires_at: "2026-01-02T00:00:00Z", ended_at: null, archived_at: null,
      cancel_initiated_at: null, results_url: null,
    };
    if (id) {
      // Whoever asks again finds it done.
      made.results_url = `${mock.url}/v1/messages/batches/${id}/results`;
      made.processing_status = what === "cancel" ? "canceling" : "ended";
    } else if (request.method === "POST") {
      batches.set(made.id, { batch: made, requests: body.requests });
    } else {
      const data = [...batches.values()].map(({ batch }) => batch).reverse();
      return send(JSON.stringify({ data, has_more: false, first_id: data[0]?.id, last_id: data.at(-1)?.id }));
    }
    return send(JSON.stringify(made));
  },
};
// OpenAI itself has no variations any more, and the mock neither; others have.
const variations = {
  async handleRequest(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const form = Buffer.concat(pieces).toString("latin1");
    const image = /name="image"/.test(form) && /name="model"/.test(form);
    response.writeHead(image ? 200 : 400, { "content-type": "application/json" });
    response.end(JSON.stringify(image ? { created: 1, data: [{ b64_json: "iVBORw0KGgo=" }] } : { error: {} }));
    return true;
  },
};

async function start({ keys }) {
  const mock = new LLMock({ port: 0, host: "127.0.0.1", auth: { apiKeys: keys }, chunkSize: 7, latency: 2, strict: true });
  mock.onMessage("say hello", { content: text, usage });
  mock.onMessage("what is the weather", {
    toolCalls: [{ name: "get_weather", arguments: '{"city":"Oslo","unit":"celsius"}' }],
    usage,
  });
  mock.onMessage("think about the weather", {
    reasoning: "I have to look.", reasoningSignature: signature,
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
  mock.mount("/v1/messages", claude);
  mock.mount("/v1/images/variations", variations);
  await mock.start();
  return mock;
}

let mock;
for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  if (said.next) next = said.next;
  else mock = await start(said);
  process.stdout.write(JSON.stringify(said.next ? {} : { url: mock.url }) + "\n");
}
await mock?.stop();
process.exit(0);
