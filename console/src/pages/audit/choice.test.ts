import { describe, expect, it } from "vitest";
import { isChosen, onlyOf } from "./choice";
import type { Row } from "./queries";

const row: Row = {
  sequence: 7,
  at: "2026-11-28T23:30:00Z",
  actor: "usr_1",
  action: "provider_key.create",
  outcome: "ok",
  provider: "openai",
  label: "Primary",
  subject: "pk_1",
  request_id: "req_1",
};
const names = new Map([["usr_1", "zoe@example.com"]]);

describe("the choice of entries of an audit log", () => {
  it("finds people by their names, and ids, labels and providers whatever their case", () => {
    for (const text of ["zoe@", "usr_1", "PRIMARY", "openai", "req_1", "pk_"])
      expect(isChosen(row, { text }, names), text).toBe(true);
    expect(isChosen(row, { text: "ann@" }, names)).toBe(false);
    expect(isChosen(row, { text: "zoe@", outcome: "refused" }, names)).toBe(false);
  });

  it("asks the server for what it looks for itself", () => {
    expect(onlyOf({ from: "2026-11-28", to: "2026-11-30" })).toEqual({
      from: new Date(2026, 10, 28).toISOString(),
      to: new Date(2026, 11, 1).toISOString(),
    });
    expect(onlyOf({ from: "soon", action: "", outcome: "ok", text: "zoe" })).toEqual({});
    expect(onlyOf({ action: "provider_key", actor: "usr_1" })).toEqual({ action: "provider_key", actor: "usr_1" });
  });
});
