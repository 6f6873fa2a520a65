// What the scripts that drive an SDK for JavaScript share. Each makes call after call until its standard input ends: a
// line of JSON says what to do, {"words": [...], "given": ...}, and a line of JSON tells what came of it. The names with
// a # stand in package.json for the newest versions for Node.js 20 or, with `--conditions=newer`, for newer ones that ask for
// a newer Node.js.

import { createInterface } from "node:readline";

// Prints what comes of each `attempt`, which gets the words and what was given.
export async function reported(attempt) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { words, given } = JSON.parse(line);
    let came;
    try {
      came = await attempt(words, given);
    } catch (error) {
      const { name, status, statusCode, code, message } = error;
      came = { error: { kind: error.constructor.name, name, status: status ?? statusCode, code, message } };
    }
    process.stdout.write(JSON.stringify(came) + "\n");
  }
}

// Calls the method of `make(url, apiKey)` that is named. What JSON cannot say, `revive` makes of what is given.
export async function called(make, revive = (given) => given) {
  await reported(async ([url, apiKey, method], parameters) => {
    const path = method.split(".");
    const last = path.pop();
    const owner = path.reduce((at, name) => at[name], make(url, apiKey));
    const answer = await owner[last](...(await Promise.all(parameters.map(revive))));
    if (!answer[Symbol.asyncIterator] || answer.data) return { answer };
    const chunks = [];
    for await (const chunk of answer) chunks.push(chunk);
    return { chunks };
  });
}
