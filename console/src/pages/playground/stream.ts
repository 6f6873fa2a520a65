import { ApiError } from "@/api/error";

export interface Tokens {
  input: number;
  output: number;
}

/** One event of a streamed answer of chat completions. */
type Piece = { text: string } | { tokens: Tokens } | { cut: true } | { failed: ApiError };

/** Takes the text of server-sent events apart as it comes, however it is cut. A line feed at the end ends the last one. */
export class Events {
  #rest = "";

  push(part: string): string[] {
    const lines = (this.#rest + part).split(/\r?\n/);
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => (line.startsWith("data:") ? [line.slice(5).trim()] : []));
  }
}

interface Chunk {
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
  error?: unknown;
}

/** What the data of an event says to somebody who reads along. */
export function pieces(data: string): Piece[] {
  if (data === "[DONE]") return [];
  let chunk: Chunk;
  try {
    chunk = JSON.parse(data) as Chunk;
  } catch {
    return [{ failed: new ApiError(0, { code: "unreadable_event", detail: "the stream holds what is no event" }) }];
  }
  if (chunk.error) return [{ failed: failure(0, chunk) }];
  const found: Piece[] = [];
  const choice = chunk.choices?.[0];
  const text = choice?.delta?.content;
  if (text) found.push({ text });
  if (choice?.finish_reason === "length") found.push({ cut: true });
  const used = chunk.usage;
  if (used) found.push({ tokens: { input: used.prompt_tokens ?? 0, output: used.completion_tokens ?? 0 } });
  return found;
}

/** A refusal of the data plane, which has the shape of the client's SDK: `{"error": {"code", "message"}}`. */
export function failure(status: number, body: unknown): ApiError {
  const outer = record(body);
  const error = outer.error === undefined ? outer : record(outer.error);
  const text = (...names: string[]) => names.map((name) => error[name]).find((value) => typeof value === "string");
  return new ApiError(status, {
    code: text("code", "type") ?? "unknown_answer",
    detail: text("message", "detail") ?? `the server answered ${status}`,
    hint: text("hint"),
    request_id: text("request_id"),
    details: error,
  });
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
