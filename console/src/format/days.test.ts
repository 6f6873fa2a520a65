import { expect, it } from "vitest";
import { dayBegins, momentsOf } from "./days";

it("are days in the viewer's zone, the last one included", () => {
  expect(momentsOf({ from: "2026-11-28", to: "2026-11-30" })).toEqual({
    from: new Date(2026, 10, 28).toISOString(),
    to: new Date(2026, 11, 1).toISOString(),
  });
  expect(momentsOf({ from: "soon" })).toEqual({});
  expect(dayBegins("soon")).toBeUndefined();
});
