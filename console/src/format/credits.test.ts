import { expect, test } from "vitest";
import { credits } from "./credits";

test("credits have a unit, and small ones are not rounded away", () => {
  expect(credits(2000)).toBe("2,000 credits");
  expect(credits(1)).toBe("1 credit");
  expect(credits(0)).toBe("0 credits");
  expect(credits(12.345)).toBe("12.35 credits");
  expect(credits(0.00421)).toBe("0.0042 credits");
  expect(credits(-3.5)).toBe("-3.5 credits");
  expect(credits(299.99914, 3)).toBe("299.999 credits");
});
