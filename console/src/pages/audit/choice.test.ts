import { describe, expect, it } from "vitest";
import { dayBegins, isChosen } from "./choice";
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
  });

  it("takes days in the viewer's zone, the last one included", () => {
    const at = new Date(2026, 10, 28, 23, 59);
    const late = { ...row, at: at.toISOString() };
    expect(isChosen(late, { from: "2026-11-28", to: "2026-11-28" }, names)).toBe(true);
    expect(isChosen(late, { from: "2026-11-29" }, names)).toBe(false);
    expect(isChosen(late, { to: "2026-11-27" }, names)).toBe(false);
    expect(dayBegins("soon")).toBeUndefined();
    expect(dayBegins("2026-11-30", 1)).toEqual(new Date(2026, 11, 1));
  });

  it("is all that was chosen at once", () => {
    expect(isChosen(row, { action: "provider_key.create", outcome: "ok" }, names)).toBe(true);
    expect(isChosen(row, { action: "provider_key.create", outcome: "refused" }, names)).toBe(false);
    expect(isChosen(row, { action: "provider_key.remove" }, names)).toBe(false);
  });
});
