// Makes one call with Anthropic's SDK for JavaScript and prints what came of it; see openai.mjs.
//
//   node anthropic.mjs URL API_KEY METHOD < [ARGUMENT, ...]

import Anthropic from "@anthropic-ai/sdk";
import { called } from "./called.mjs";

await called((url, apiKey) => new Anthropic({ apiKey, baseURL: url, maxRetries: 0, timeout: 30_000 }));
