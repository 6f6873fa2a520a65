// Makes calls with OpenAI's SDK for JavaScript; see called.mjs. The words: URL, API key, the dotted name of a method; what
// is given: its arguments. Told is {"answer": ...}, or {"chunks": [...]} of a stream, or {"error": {"kind", "name", "status",
// "code", "message"}}.

import OpenAI, { toFile } from "#openai";
import { called } from "./called.mjs";

// A picture is given as base64.
async function revive(given) {
  const { image, ...more } = given;
  return image ? { ...more, image: await toFile(Buffer.from(image, "base64"), "a.png", { type: "image/png" }) } : given;
}

await called((url, apiKey) => new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0, timeout: 30_000 }), revive);
