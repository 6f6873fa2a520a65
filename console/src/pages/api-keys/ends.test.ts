import { describe, expect, it } from "vitest";
import { changesOf, laterEnds } from "./ends";

const now = Date.parse("2026-11-29T12:00:00Z");
const key = (expires_at: string | null) => ({ default_model: "level_1", expires_at });

describe("an API key", () => {
  it("is moved to a later end alone", () => {
    const labels = (end: string | null) => laterEnds(key(end), now).map(({ label }) => label);
    expect(labels("2026-12-29T11:59:00Z")).toEqual(["In 30 days", "In 90 days", "In a year"]);
    expect(labels("2026-11-28T12:00:00Z")).toEqual([]);
    expect(labels(null)).toEqual([]);
  });

  it("is sent what was changed and nothing else, one change at a time", () => {
    expect(changesOf(key(null), { model: "level_1", ends: "" })).toEqual([]);
    expect(changesOf(key(null), { model: "", ends: "" })).toEqual([{ default_model: null }]);
    expect(changesOf(key(null), { model: " openai/gpt-5.5 ", ends: "86400" })).toEqual([
      { default_model: "openai/gpt-5.5" },
      { expires_in_s: 86_400 },
    ]);
  });
});
