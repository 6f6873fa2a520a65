// Makes calls with Google's SDK for JavaScript; see called.mjs. The words: URL, API key, the name of a method of `models`;
// given are its parameters. Told is {"answers": [...]}, each chunk of a stream an answer of its own.

import { GoogleGenAI } from "#google-genai";
import { reported } from "./called.mjs";

await reported(async ([baseUrl, apiKey, call], parameters) => {
  const google = new GoogleGenAI({ apiKey, httpOptions: { baseUrl, timeout: 30_000 } });
  const answer = await google.models[call](parameters);
  if (!answer[Symbol.asyncIterator]) return { answers: [answer] };
  const answers = [];
  for await (const chunk of answer) answers.push(chunk);
  return { answers };
});
