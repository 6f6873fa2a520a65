import { describe, expect, it } from "vitest";
import { buckets, chosenDays, days, lastDays, moments } from "./period";

const NOW = Date.parse("2026-03-01T00:30:00Z");

describe("periods", () => {
  it("ends today and counts today", () => {
    expect(lastDays(7, NOW)).toEqual({ from: "2026-02-23", to: "2026-03-01" });
    expect(days(lastDays(7, NOW))).toHaveLength(7);
  });

  it("is bounded by midnights of UTC", () => {
    expect(moments({ from: "2026-02-27", to: "2026-02-28" })).toEqual({
      from: "2026-02-27T00:00:00Z",
      to: "2026-03-01T00:00:00Z",
    });
  });

  it("refuses days that are none, that are in the wrong order, or that are too many", () => {
    expect(chosenDays("2026-02-01", "2026-02-02")).toEqual({ from: "2026-02-01", to: "2026-02-02" });
    expect(chosenDays("2026-02-31x", "2026-03-01")).toMatch(/first and the last/);
    expect(chosenDays("2026-03-02", "2026-03-01")).toMatch(/after/);
    expect(chosenDays("2024-03-02", "2026-03-01")).toMatch(/at most/);
  });

  it("shows each day once, by sevens in a long period", () => {
    expect(buckets(lastDays(30, NOW))).toHaveLength(30);
    const weeks = buckets(lastDays(365, NOW));
    expect(weeks).toHaveLength(53);
    expect(weeks.flatMap((week) => week.days)).toEqual(days(lastDays(365, NOW)));
    expect(weeks[0]?.label).toBe("Mar 2, 2025 to Mar 8, 2025");
    expect(weeks[0]?.tick).toBe("Mar 2, 2025");
  });
});
