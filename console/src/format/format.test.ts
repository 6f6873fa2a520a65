import { describe, expect, it } from "vitest";
import { roundUsd, usd } from "./money";
import { bytes, compact, count, milliseconds, percent, plural } from "./number";
import { day, exactTime, fullTime, relativeTime } from "./time";

describe("money", () => {
  it("shows cents, and of smaller amounts the first two digits that count", () => {
    expect(usd(0)).toBe("$0.00");
    expect(usd(12_340_000_000)).toBe("$12.34");
    expect(usd(1_234_567_890_000_000)).toBe("$1,234,567.89");
    expect(usd(10_000_000)).toBe("$0.01");
    expect(usd(420_000)).toBe("$0.00042");
    expect(usd(1)).toBe("$0.000000001");
    expect(usd(-5_000_000_000)).toBe("-$5.00");
    expect(usd(-420_000)).toBe("-$0.00042");
    expect([0, 500_000, 25_000_000, 100_000_000, 10_000_000_000].map(roundUsd)).toEqual([
      "$0",
      "$0.0005",
      "$0.025",
      "$0.10",
      "$10",
    ]);
  });
});

describe("numbers", () => {
  it("have separators and units", () => {
    expect(count(1_234_567)).toBe("1,234,567");
    expect(compact(1_234_567)).toBe("1.2M");
    expect(plural(1, "key")).toBe("1 key");
    expect(plural(0, "key")).toBe("0 keys");
    expect(percent(0.125)).toBe("12.5%");
    expect(percent(1)).toBe("100%");
    expect(percent(0)).toBe("0%");
    expect(percent(1 / 10_000)).toBe("<0.1%");
    expect(percent(9_999 / 10_000)).toBe(">99.9%");
    expect(bytes(512)).toBe("512 B");
    expect(bytes(1536)).toBe("1.5 KiB");
    expect(milliseconds(340)).toBe("340 ms");
    expect(milliseconds(2440)).toBe("2.4 s");
    expect(milliseconds(999.6)).toBe("1 s");
    expect(milliseconds(59_960)).toBe("1 min");
    expect(milliseconds(60_000)).toBe("1 min");
    expect(milliseconds(185_000)).toBe("3 min 5 s");
  });
});

describe("times", () => {
  const now = Date.parse("2026-11-28T12:00:00Z");
  it("are told from now", () => {
    expect(relativeTime("2026-11-28T11:59:45Z", now)).toBe("just now");
    expect(relativeTime("2026-11-28T11:57:00Z", now)).toBe("3 minutes ago");
    expect(relativeTime("2026-11-27T11:00:00Z", now)).toBe("yesterday");
    expect(relativeTime("2026-11-30T13:00:00Z", now)).toBe("in 2 days");
  });
  it("that lie ahead are as far away as they were set, also some seconds later", () => {
    const now = Date.parse("2026-11-28T12:00:05Z");
    const ahead = (days: number) => relativeTime(new Date(now - 5_000 + days * 86_400_000).toISOString(), now);
    expect([1, 7, 14, 30, 90, 365].map(ahead)).toEqual([
      "tomorrow",
      "next week",
      "in 2 weeks",
      "next month",
      "in 3 months",
      "next year",
    ]);
    expect(relativeTime("2026-11-28T12:20:00Z", now)).toBe("in 20 minutes");
  });
  it("are exact in logs", () => {
    expect(exactTime("2026-11-28T23:40:36Z", now, "Asia/Tokyo", "en-US")).toBe("Nov 29, 08:40:36");
    expect(exactTime("2025-11-28T12:40:36Z", now, "UTC", "en-US")).toBe("Nov 28, 2025, 12:40:36");
  });
  it("are in the viewer's zone, not the server's", () => {
    expect(day("2026-11-28T23:30:00Z", "Asia/Tokyo", "en-US")).toBe("Nov 29, 2026");
    expect(fullTime("2026-11-28T23:30:00Z", "America/New_York", "en-US")).toContain("6:30:00");
  });
});
