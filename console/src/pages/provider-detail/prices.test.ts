import { describe, expect, it } from "vitest";
import { NO_RATES, typedBrackets, typedPrice, typedRates } from "./prices";

describe("prices of the instance", () => {
  it("reads what was typed, and back", () => {
    const price = {
      input: "1.25",
      output: "10",
      cache_read: "0.125",
      brackets: [{ over_input_tokens: 200_000, rates: { input: "2.5", output: "15" } }],
    };
    expect(typedPrice(typedRates(price), typedBrackets(price))).toEqual(price);
  });

  it("says what is wrong", () => {
    const right = { ...NO_RATES, input: "1", output: "2" };
    expect(typedPrice({ ...right, output: "" }, [])).toMatch(/needed/);
    expect(typedPrice({ ...right, request: "-1" }, [])).toMatch(/US dollars/);
    expect(typedPrice({ ...right, input: "1.1234567891" }, [])).toMatch(/nine digits/);
    expect(typedPrice(right, [{ ...right, id: 0, over: "many" }])).toMatch(/whole number/);
    const twice = { ...right, id: 0, over: "200,000" };
    expect(typedPrice(right, [twice, { ...twice, id: 1 }])).toMatch(/Two brackets/);
  });
});
