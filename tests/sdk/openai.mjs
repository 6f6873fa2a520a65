// Makes one call with OpenAI's SDK for JavaScript and prints what came of it.
//
//   node openai.mjs URL API_KEY METHOD < [ARGUMENT, ...]
//
// METHOD: the dotted name of a method; the arguments: JSON. Prints JSON: {"answer": ...}, or {"chunks": [...]} of a
// stream, or {"error": {"kind", "status", "code", "message"}}.

import OpenAI from "openai";
import { called } from "./called.mjs";

await called((url, apiKey) => new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0, timeout: 30_000 }));
