import { expect, it } from "vitest";
import { noCost, wasServed } from "./outcome";

const refused = { status: 402, pricing: null, charge_nano_usd: 0, attempts: [] };

it("a call that was refused, or whose keys were turned away, cost nothing", () => {
  expect(noCost(refused)).toBe("nothing");
  expect(noCost({ ...refused, status: 502, attempts: [{ outcome: "unauthorized" }] })).toBe("nothing");
});

it("a call that a provider served may have cost something, whatever the client got", () => {
  expect(noCost({ ...refused, status: 200, pricing: "unpriced" })).toBe("not known");
  expect(noCost({ ...refused, status: 200 })).toBe("not recorded");
  expect(wasServed({ ...refused, status: 502, pricing: "estimated" })).toBe(true);
  expect(wasServed({ ...refused, status: 499, attempts: [{ outcome: "ok" }] })).toBe(true);
});
