import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { concernsOf, isFailing } from "./concerns";
import type { Health } from "./queries";

const fine: Health = {
  read_at_ms: Date.parse("2026-11-28T12:00:00Z"),
  version: "0.1.0",
  engine: "sqlite",
  schema_version: 10,
  revision: 5,
  changes_read_ms_ago: 400,
  started_at: "2026-11-28T10:00:00Z",
  tidied_at: "2026-11-28T11:59:30Z",
  sealing_key_created_at: "2026-11-01T00:00:00Z",
  sealing_key_expires_at: "2026-12-01T00:00:00Z",
  streams: 1,
  traffic: { calls: 3, calls_limit: 1000, spool_bytes: 0, spool_limit_bytes: 1_048_576, spool_ready: true },
};
const told = (health: Partial<Health>, keys: Schemas["ProviderKeyView"][] = []) =>
  concernsOf({ ...fine, ...health }, keys);
const traffic = (part: Partial<NonNullable<Health["traffic"]>>) => {
  const usual = { calls: 3, calls_limit: 1000, spool_bytes: 0, spool_limit_bytes: 1_048_576, spool_ready: true };
  return { traffic: { ...usual, ...part } };
};
const key = (part: object) => ({ state: "active", ...part }) as Schemas["ProviderKeyView"];

describe("what an admin should look at", () => {
  it("is nothing while all is well, also in a process that serves no calls", () => {
    expect(told({})).toEqual([]);
    expect(told({ traffic: null })).toEqual([]);
    expect(told({ tidied_at: null, started_at: "2026-11-28T11:59:50Z" })).toEqual([]);
  });

  it("is a database that does not answer, a disk that takes nothing, and what is full", () => {
    expect(told({ changes_read_ms_ago: 30_000 })).toMatchObject([{ tone: "bad" }]);
    expect(told(traffic({ spool_ready: false }))).toMatchObject([{ tone: "bad" }]);
    expect(told(traffic({ spool_bytes: 900_000 }))).toMatchObject([{ tone: "warn" }]);
    expect(told(traffic({ calls: 1000 }))).toMatchObject([{ tone: "bad" }]);
  });

  it("is what is overdue", () => {
    expect(told({ sealing_key_expires_at: "2026-11-28T11:00:00Z" })).toMatchObject([{ tone: "warn" }]);
    expect(told({ tidied_at: "2026-11-28T11:00:00Z" })).toMatchObject([{ tone: "warn" }]);
  });

  it("is a key that failed after it last served, not one that was switched off", () => {
    const last_failure = { at: "2026-11-28T11:00:00Z", kind: "invalid_key" };
    expect(isFailing(key({ last_failure }))).toBe(true);
    expect(isFailing(key({ last_failure, last_used_at: "2026-11-28T11:30:00Z" }))).toBe(false);
    expect(isFailing(key({ last_failure, state: "disabled" }))).toBe(false);
    expect(told({ changes_read_ms_ago: 30_000 }, [key({ last_failure })]).map(({ tone }) => tone)).toEqual([
      "bad",
      "warn",
    ]);
  });
});
