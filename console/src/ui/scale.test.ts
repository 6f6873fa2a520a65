import { describe, expect, it } from "vitest";
import { axis, places } from "./scale";

describe("an axis", () => {
  it("has a few lines at round values and ends at or above the highest", () => {
    expect(axis(10, true)).toEqual([0, 5, 10]);
    expect(axis(1, true)).toEqual([0, 1]);
    expect(axis(7, true)).toEqual([0, 2, 4, 6, 8]);
    expect(axis(900, false)).toEqual([0, 250, 500, 750, 1000]);
    expect(axis(123_456, false)).toEqual([0, 50_000, 100_000, 150_000]);
    for (const top of [1, 3, 12, 99, 345, 12_345_678]) {
      const lines = axis(top, true);
      expect(lines.at(-1)).toBeGreaterThanOrEqual(top);
      expect(lines.length).toBeLessThanOrEqual(6);
    }
  });

  it("is a line alone where there is nothing", () => {
    expect(axis(0, true)).toEqual([0]);
  });
});

it("labels the first and the last bar and few between them", () => {
  expect(places(3, 5)).toEqual([0, 1, 2]);
  expect(places(30, 5)).toEqual([0, 7, 15, 22, 29]);
  expect(places(1, 5)).toEqual([0]);
});
