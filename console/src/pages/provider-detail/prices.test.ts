import { describe, expect, it } from "vitest";
import { NO_RATES, type Override, overrideOf, typedBrackets, typedPrice, typedRates } from "./prices";

const of = (provider: string, model: string, input: string): Override => ({
  provider,
  model,
  price: { input, output: "1" },
});

describe("prices of the instance", () => {
  it("takes the closest pattern, among equals the first", () => {
    const all = [
      of("openai", "*", "1"),
      of("openai", "gpt-*", "2"),
      of("openai", "*-mini", "3"),
      of("xai", "gpt-4", "4"),
    ];
    expect(overrideOf(all, "openai", "gpt-4")?.price.input).toBe("2");
    expect(overrideOf(all, "openai", "gpt-4-mini")?.price.input).toBe("3");
    expect(overrideOf([of("openai", "a*", "1"), of("openai", "*b", "2")], "openai", "ab")?.price.input).toBe("1");
    expect(overrideOf(all, "mistral", "gpt-4")).toBeUndefined();
  });

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
