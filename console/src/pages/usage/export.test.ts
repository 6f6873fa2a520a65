import { expect, it } from "vitest";
import { nextOf } from "./export";

it("finds the part that follows", () => {
  expect(nextOf('</api/v1/workspaces/ws_1/usage.csv?from=x&after=abc>; rel="next"')).toBe("abc");
  expect(nextOf('<https://k.example/usage.csv?after=a%2Bb>; rel="next"')).toBe("a+b");
  expect(nextOf('</usage.csv?after=abc>; rel="prev"')).toBeUndefined();
  expect(nextOf(null)).toBeUndefined();
});
