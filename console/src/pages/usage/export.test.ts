import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError } from "@/api/error";
import { Export, nextOf, type Progress } from "./export";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const period = { from: "2026-11-01", to: "2026-11-30" };
const live = () => new AbortController().signal;

/** Three parts; the first `refusals` askings for the second one are refused. */
function parts(refusals: number, refusal: ApiError) {
  const asked: (string | undefined)[] = [];
  let left = refusals;
  const read = async ({ after }: Record<string, string | undefined>) => {
    asked.push(after);
    if (after === "a" && left > 0) {
      left -= 1;
      throw refusal;
    }
    const next = { a: "b", b: undefined }[after ?? ""] ?? (after === undefined ? "a" : undefined);
    return { blob: new Blob([`title\nrow ${after ?? "first"}\n`]), next };
  };
  return { asked, read };
}

const busy = (retryAfter: string | null) => new ApiError(503, { code: "unavailable" }, retryAfter);
const whole = "title\nrow first\nrow a\nrow b\n";

it("waits as long as the server says and goes on where it was", async () => {
  const { asked, read } = parts(2, busy("7"));
  const told: Progress[] = [];
  const file = new Export(period, {}, read).run((progress) => told.push(progress), live());
  await vi.advanceTimersByTimeAsync(6_999);
  expect(asked).toEqual([undefined, "a"]);
  expect(told.at(-1)).toEqual({ bytes: 16, waitMs: 7_000 });
  await vi.advanceTimersByTimeAsync(7_001);
  expect(await (await file).text()).toBe(whole);
  expect(asked).toEqual([undefined, "a", "a", "a", "b"]);
});

it("keeps what was read when it gives up, and reads only the rest when it is told to go on", async () => {
  const { asked, read } = parts(8, busy(null));
  const export_ = new Export(period, {}, read);
  const first = export_.run(() => {}, live()).catch((error: ApiError) => error.status);
  await vi.advanceTimersByTimeAsync(200_000);
  expect(await first).toBe(503);
  asked.length = 0;
  expect(await (await export_.run(() => {}, live())).text()).toBe(whole);
  expect(asked).toEqual(["a", "b"]);
});

it("gives up at once where another try does no better, or somebody cancels", async () => {
  const { asked, read } = parts(1, new ApiError(403, { code: "permission_denied" }));
  await expect(new Export(period, {}, read).run(() => {}, live())).rejects.toMatchObject({ status: 403 });
  expect(asked).toEqual([undefined, "a"]);
  const controller = new AbortController();
  const waiting = parts(1, busy("60"));
  const cancelled = new Export(period, {}, waiting.read).run(() => {}, controller.signal).catch(() => "cancelled");
  await vi.advanceTimersByTimeAsync(10);
  controller.abort();
  expect(await cancelled).toBe("cancelled");
});

it("finds the part that follows", () => {
  expect(nextOf('</api/v1/workspaces/ws_1/usage.csv?from=x&after=abc>; rel="next"')).toBe("abc");
  expect(nextOf('<https://k.example/usage.csv?after=a%2Bb>; rel="next"')).toBe("a+b");
  expect(nextOf('</usage.csv?after=abc>; rel="prev"')).toBeUndefined();
  expect(nextOf(null)).toBeUndefined();
});
