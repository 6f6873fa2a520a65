import { describe, expect, it } from "vitest";
import { consentLead, hedgeAfterMs, nanoUsdOfCredits, overtaken, type Policy, typedCredits } from "./policy";

describe("the time after which calls are hedged", () => {
  it("is a number within its bounds, or nothing", () => {
    expect(hedgeAfterMs(" ")).toBeNull();
    expect([hedgeAfterMs("100"), hedgeAfterMs(" 60000 ")]).toEqual([100, 60_000]);
    for (const text of ["99", "60001", "-100", "1e3", "500.5", "soon"]) expect(hedgeAfterMs(text)).toBeUndefined();
  });
});

describe("what the consent counts for", () => {
  it("is told of each mode, and of one that the instance does not offer", () => {
    expect(consentLead("auto")).toMatch(/only by this consent/);
    expect(consentLead("byok")).toMatch(/in this workspace byok counts\.$/);
    expect(consentLead(null)).toMatch(/does not offer this workspace's mode, so every call is refused\.$/);
  });
});

describe("a cap", () => {
  it("is read in credits, to the billionth of a dollar", () => {
    expect(nanoUsdOfCredits("500")).toBe(5_000_000_000);
    expect(nanoUsdOfCredits(" 0.1 ")).toBe(1_000_000);
    expect(nanoUsdOfCredits("99999999.9999999")).toBe(999_999_999_999_999);
    for (const text of ["", "-1", "1,5", "1e3", "1.00000001", "100000000"])
      expect(nanoUsdOfCredits(text)).toBeUndefined();
  });
  it("is written as it is read", () => {
    for (const text of ["500", "0.1", "12.345", "99999999.9999999"])
      expect(typedCredits(nanoUsdOfCredits(text) ?? -1)).toBe(text);
  });
});

describe("a change of what somebody else changed meanwhile", () => {
  const fast = { models: ["openai/a"], parameters: {} };
  const begun = { mode: "byok", hedge_after_ms: null, tiers: {}, presets: { fast } } as unknown as Policy;

  it("is told by what it would overwrite, and by nothing else", () => {
    const now = { ...begun, mode: "auto", hedge_after_ms: 500 } as Policy;
    expect(overtaken({ mode: "managed" }, begun, now)).toEqual([{ field: "mode", value: "auto" }]);
    expect(overtaken({ byok: "required" }, begun, now)).toEqual([]);
    expect(overtaken({ mode: "managed" }, begun, begun)).toEqual([]);
  });

  it("counts of presets and tiers only the entries that it names", () => {
    const theirs = { models: ["openai/b"], parameters: {} };
    const now = { ...begun, tiers: { level_1: "openai/c" }, presets: { slow: theirs } } as unknown as Policy;
    expect(overtaken({ presets: { other: fast } }, begun, now)).toEqual([]);
    expect(overtaken({ presets: { fast: theirs } }, begun, now)).toEqual([{ field: "presets.fast", value: null }]);
    expect(overtaken({ tiers: { level_2: "x/y" } }, begun, now)).toEqual([]);
    expect(overtaken({ tiers: { level_1: "x/y" } }, begun, now)).toEqual([
      { field: "tiers.level_1", value: "openai/c" },
    ]);
  });
});
