// What the scripts that drive an SDK for JavaScript share: one call from the command line, its outcome as JSON.

// Prints what comes of `attempt`, which gets the command line's words and the parameters of the standard input.
export async function reported(attempt) {
  const pieces = [];
  for await (const piece of process.stdin) pieces.push(piece);
  let came;
  try {
    came = await attempt(process.argv.slice(2), JSON.parse(Buffer.concat(pieces)));
  } catch (error) {
    const { status, statusCode, code, message } = error;
    came = { error: { kind: error.constructor.name, status: status ?? statusCode, code, message } };
  }
  process.stdout.write(JSON.stringify(came));
}

// Calls the method of `make(url, apiKey)` that the command line names.
export async function called(make) {
  await reported(async ([url, apiKey, method], parameters) => {
    const path = method.split(".");
    const last = path.pop();
    const owner = path.reduce((at, name) => at[name], make(url, apiKey));
    const answer = await owner[last](...parameters);
    if (!answer[Symbol.asyncIterator] || answer.data) return { answer };
    const chunks = [];
    for await (const chunk of answer) chunks.push(chunk);
    return { chunks };
  });
}
