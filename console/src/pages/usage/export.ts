import { api, ok } from "@/api/client";
import { ApiError } from "@/api/error";
import { moments, type Period } from "./period";
import type { OnlyCalls } from "./queries";

/** So often a part is asked for again before somebody has to say so. */
const TRIES = 8;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

/** How far an export is. */
export interface Progress {
  bytes: number;
  /** For how long it waits before it asks again. */
  waitMs?: number;
}

type Query = Record<string, string | undefined>;
type Part = { blob: Blob; next: string | undefined };
type Read = (query: Query, signal: AbortSignal) => Promise<Part>;

/**
 * All calls of a period as CSV, part by part. What was read stays: a part that is refused for the moment is waited for and
 * asked for again, and after an error `run` goes on where it stopped. Among millions of calls one answer is late.
 */
export class Export {
  readonly #query: Query;
  readonly #read: Read;
  readonly #parts: Blob[] = [];
  #bytes = 0;
  #after: string | undefined;

  constructor(period: Period, only: OnlyCalls, read: Read) {
    this.#query = { ...moments(period), ...only };
    this.#read = read;
  }

  /** Reads what is missing. */
  async run(progress: (progress: Progress) => void, signal: AbortSignal): Promise<Blob> {
    do {
      progress({ bytes: this.#bytes });
      const { blob, next } = await this.#part(progress, signal);
      const rows = this.#parts.length === 0 ? blob : await withoutTitles(blob);
      this.#parts.push(rows);
      this.#bytes += rows.size;
      this.#after = next;
    } while (this.#after !== undefined);
    return new Blob(this.#parts, { type: "text/csv" });
  }

  async #part(progress: (progress: Progress) => void, signal: AbortSignal): Promise<Part> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.#read({ ...this.#query, after: this.#after }, signal);
      } catch (error) {
        if (signal.aborted || tried === TRIES || !isPassing(error)) throw error;
        const waitMs = (error.retryAfterS ?? 0) * 1_000 || Math.min(FIRST_WAIT_MS * 2 ** (tried - 1), LONGEST_WAIT_MS);
        progress({ bytes: this.#bytes, waitMs });
        await pause(waitMs, signal);
      }
    }
  }
}

/** One part of the calls of a workspace. */
export const readPart =
  (workspace: string): Read =>
  async (query, signal) => {
    const params = { path: { workspace_id: workspace }, query };
    const call = api.GET("/api/v1/workspaces/{workspace_id}/usage.csv", { params, signal, parseAs: "blob" });
    const blob = (await ok(call as never)) as unknown as Blob;
    return { blob, next: nextOf((await call).response.headers.get("link")) };
  };

/** Whether another try may do better: the server is away, has much to do, or starts. */
function isPassing(error: unknown): error is ApiError {
  return error instanceof ApiError && [0, 429, 502, 503, 504].includes(error.status);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      fail(signal.reason);
    });
  });
}

/** The `after` of the following part, out of the header `link`. */
export function nextOf(link: string | null): string | undefined {
  const url = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(link ?? "")?.[1];
  if (!url) return undefined;
  return new URL(url, "http://localhost").searchParams.get("after") ?? undefined;
}

/** Each part begins with the line of titles. */
async function withoutTitles(blob: Blob): Promise<Blob> {
  const head = new Uint8Array(await blob.slice(0, 4096).arrayBuffer());
  return blob.slice(head.indexOf(0x0a) + 1);
}
