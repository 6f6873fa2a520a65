// Makes one call with Google's SDK for JavaScript and prints what came of it.
//
//   node genai.mjs URL API_KEY CALL < PARAMETERS
//
// CALL: the name of a method of `models`; PARAMETERS: JSON. Prints JSON: {"answers": [...]}, each chunk of a stream an
// answer of its own, or {"error": {"name", "status", "message"}}.

import { GoogleGenAI } from "@google/genai";

const [baseUrl, apiKey, call] = process.argv.slice(2);
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const google = new GoogleGenAI({ apiKey, httpOptions: { baseUrl, timeout: 30_000 } });

async function answers(parameters) {
  const answer = await google.models[call](parameters);
  if (!answer[Symbol.asyncIterator]) return [answer];
  const all = [];
  for await (const chunk of answer) all.push(chunk);
  return all;
}

let came;
try {
  came = { answers: await answers(JSON.parse(Buffer.concat(chunks))) };
} catch ({ name, status, message }) {
  came = { error: { name, status, message } };
}
process.stdout.write(JSON.stringify(came));
