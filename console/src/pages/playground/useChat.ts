import { useCallback, useEffect, useRef, useState } from "react";
import { api, ok } from "@/api/client";
import { ApiError, asApiError, unreachable } from "@/api/error";
import type { OutputLimit } from "./limit";
import { Events, failure, pieces, type Tokens } from "./stream";

/** What is known of a call. */
export interface Call {
  provider: string;
  model: string | undefined;
  keySource: string | undefined;
  keyLabel: string | undefined;
  attempts: number;
  warnings: string | undefined;
  tokens?: Tokens;
  firstMs?: number;
  latencyMs?: number;
  /** `asking` until the call is recorded. */
  cost?: Cost | "asking";
}

interface Cost {
  nanoUsd: number | null;
  chargeNanoUsd: number;
  estimated: boolean;
}

export interface Answer {
  text: string;
  state: "waiting" | "done" | "stopped" | "failed";
  error?: ApiError;
  /** Whether it ended at the output limit. */
  cut?: boolean;
  call?: Call;
}

/** What is asked of a model beside the conversation. */
export interface Wishes {
  model: string;
  system: string;
  limit: OutputLimit;
}

export interface TurnState {
  id: number;
  question: string;
  answer: Answer;
}

/** A conversation: its turns, and how to go on. Its key is in the page's memory alone and ends with the log-in. */
export function useChat(workspace: string) {
  const [turns, setTurns] = useState<TurnState[]>([]);
  const [busy, setBusy] = useState(false);
  const key = useRef<{ key: string; endsAt: number }>(undefined);
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const freshKey = useCallback(
    async (signal: AbortSignal): Promise<string> => {
      // A minute ahead, so that none ends between here and the server.
      if (key.current && key.current.endsAt - Date.now() > 60_000) return key.current.key;
      const params = { path: { workspace_id: workspace } };
      const made = await ok(api.POST("/api/v1/workspaces/{workspace_id}/playground-key", { params, signal }));
      key.current = { key: made.key, endsAt: Date.parse(made.expires_at) };
      return made.key;
    },
    [workspace],
  );

  const request = async (asked: object, signal: AbortSignal) => {
    const first = await call(await freshKey(signal), asked, signal);
    if (first.response.status !== 401) return first;
    // The key ended meanwhile, by its time or because eight newer ones are in use.
    key.current = undefined;
    return call(await freshKey(signal), asked, signal);
  };

  const run = async ({ model, system, limit }: Wishes, before: TurnState[], question: string) => {
    const id = Date.now();
    const edit = (change: (answer: Answer) => Partial<Answer>) =>
      setTurns((turns) =>
        turns.map((turn) => (turn.id === id ? { ...turn, answer: { ...turn.answer, ...change(turn.answer) } } : turn)),
      );
    const editCall = (part: Partial<Call>) => edit(({ call }) => (call ? { call: { ...call, ...part } } : {}));
    setTurns([...before, { id, question, answer: { text: "", state: "waiting" } }]);
    setBusy(true);
    const abort = new AbortController();
    running.current = abort;
    let requestId: string | undefined;
    try {
      const asked = { model, messages: messagesOf(system, before, question), ...limit };
      const { response, sentAt } = await request(asked, abort.signal);
      const header = (name: string) => response.headers.get(`x-keybearer-${name}`) ?? undefined;
      requestId = header("request-id");
      const provider = header("provider");
      if (provider) {
        const made: Call = {
          provider,
          model: header("model"),
          keySource: header("key-source"),
          keyLabel: header("key-label"),
          attempts: Number(header("attempts") ?? 0),
          warnings: header("warnings"),
        };
        edit(() => ({ call: made }));
      }
      if (!response.ok || !response.body) {
        throw failure(response.status, await response.json().catch(() => undefined));
      }
      let spoke = false;
      for await (const piece of read(response.body)) {
        if ("failed" in piece) throw piece.failed;
        if ("tokens" in piece) editCall({ tokens: piece.tokens });
        if ("cut" in piece) edit(() => ({ cut: true }));
        if ("text" in piece) {
          if (!spoke) editCall({ firstMs: performance.now() - sentAt });
          spoke = true;
          edit(({ text }) => ({ text: text + piece.text }));
        }
      }
      editCall({ latencyMs: performance.now() - sentAt });
      edit(() => ({ state: "done" }));
    } catch (error) {
      if (abort.signal.aborted) edit(() => ({ state: "stopped" }));
      else edit(() => ({ state: "failed", error: error instanceof TypeError ? unreachable() : asApiError(error) }));
    } finally {
      setBusy(false);
    }
    if (!requestId) return;
    editCall({ cost: "asking" });
    editCall({ cost: undefined, ...(await recorded(workspace, requestId)) });
  };

  return {
    turns,
    busy,
    send: (wishes: Wishes, text: string) => run(wishes, turns, text),
    /** Asks the last question again, in the place of its answer. */
    retry: (wishes: Wishes) => {
      const last = turns.at(-1);
      if (last && !busy) run(wishes, turns.slice(0, -1), last.question);
    },
    stop: () => running.current?.abort(),
    clear: () => setTurns([]),
  };
}

/** The conversation as the model gets it; what was never answered is left out. */
function messagesOf(system: string, before: TurnState[], question: string): object[] {
  return [
    ...(system.trim() === "" ? [] : [{ role: "system", content: system.trim() }]),
    ...before
      .filter(({ answer }) => answer.text !== "")
      .flatMap(({ question, answer }) => [
        { role: "user", content: question },
        { role: "assistant", content: answer.text },
      ]),
    { role: "user", content: question },
  ];
}

async function call(key: string, asked: object, signal: AbortSignal) {
  const sentAt = performance.now();
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    credentials: "omit",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ ...asked, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  return { response, sentAt };
}

async function* read(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const events = new Events();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    for (const data of events.push(done ? "\n" : value)) yield* pieces(data);
    if (done) return;
  }
}

/** What the call cost and used, once it is recorded; nothing where it is not within a few seconds. */
async function recorded(workspace: string, requestId: string): Promise<{ cost?: Cost; tokens?: Tokens }> {
  const params = { path: { workspace_id: workspace, request_id: requestId } };
  for (let wait = 250; wait < 3_000; wait += 250) {
    await new Promise((done) => setTimeout(done, wait));
    try {
      const row = await ok(api.GET("/api/v1/workspaces/{workspace_id}/usage/{request_id}", { params }));
      // Nothing was served, or costs are not recorded here: there is no cost to show.
      if (!row.pricing) return {};
      const cost = {
        nanoUsd: row.cost_nano_usd ?? null,
        chargeNanoUsd: row.charge_nano_usd,
        estimated: row.pricing === "estimated",
      };
      if (!row.usage) return { cost };
      const { input_tokens, cached_input_tokens, cache_write_tokens, output_tokens } = row.usage;
      return {
        cost,
        tokens: { input: input_tokens + cached_input_tokens + cache_write_tokens, output: output_tokens },
      };
    } catch (error) {
      // Not there yet.
      if (error instanceof ApiError && error.status === 404) continue;
      return {};
    }
  }
  return {};
}
