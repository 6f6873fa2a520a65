import { api } from "@/api/client";
import { ApiError, unreachable } from "@/api/error";
import { moments, type Period } from "./period";
import type { OnlyCalls } from "./queries";

/** Gets all parts of the calls as CSV, one after the other, and tells after each how many bytes there are. */
export async function exportCalls(
  workspace: string,
  period: Period,
  only: OnlyCalls,
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Blob> {
  const parts: Blob[] = [];
  let size = 0;
  let after: string | undefined;
  do {
    const query = { ...moments(period), ...only, after };
    const params = { path: { workspace_id: workspace }, query };
    const { blob, next } = await part(params, signal);
    const rows = after === undefined ? blob : await withoutTitles(blob);
    parts.push(rows);
    size += rows.size;
    progress(size);
    after = next;
  } while (after !== undefined);
  return new Blob(parts, { type: "text/csv" });
}

type Params = { path: { workspace_id: string }; query: Record<string, string | undefined> };

async function part(params: Params, signal: AbortSignal): Promise<{ blob: Blob; next: string | undefined }> {
  const url = "/api/v1/workspaces/{workspace_id}/usage.csv";
  let answer: { data?: Blob; error?: unknown; response: Response };
  try {
    answer = await api.GET(url, { params, signal, parseAs: "blob" });
  } catch (error) {
    if (signal.aborted) throw error;
    throw unreachable();
  }
  if (!answer.response.ok || !answer.data) throw new ApiError(answer.response.status, answer.error);
  return { blob: answer.data, next: nextOf(answer.response.headers.get("link")) };
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
