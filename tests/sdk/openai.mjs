// Makes calls with OpenAI's SDK for JavaScript; see called.mjs. The words: URL, API key, the dotted name of a method; what
// is given: its arguments. Told is {"answer": ...}, or {"chunks": [...]} of a stream, or {"error": {"kind", "name", "status",
// "code", "message"}}.

import OpenAI from "#openai";
import { called } from "./called.mjs";

await called((url, apiKey) => new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0, timeout: 30_000 }));
