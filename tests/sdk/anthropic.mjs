// Makes calls with Anthropic's SDK for JavaScript; see openai.mjs.

import Anthropic from "@anthropic-ai/sdk";
import { called } from "./called.mjs";

await called((url, apiKey) => new Anthropic({ apiKey, baseURL: url, maxRetries: 0, timeout: 30_000 }));
