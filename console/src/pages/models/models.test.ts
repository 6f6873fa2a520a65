import { describe, expect, it } from "vitest";
import { cheapest, firstModel, type Model, type Models } from "./models";

const model = (id: string, price: [string, string] | null, more: Partial<Model> = {}) =>
  ({
    id,
    mine: true,
    key_source: "byok",
    refusal: null,
    served_by: "openai",
    output_modalities: ["text"],
    price: price && { input: price[0], output: price[1] },
    ...more,
  }) as Model;

const OPUS = model("anthropic/opus", ["5", "25"]);
const HAIKU = model("anthropic/haiku", ["1", "5"]);
const refused = { mine: false, key_source: null, refusal: "byok_key_missing" } as const;

const models = (list: Model[], more: Partial<Models> = {}) =>
  ({ default_model: null, default_chosen_by: null, models: list, tiers: [], ...more }) as Models;

const level1 = (refusal: string | null, locked = false) =>
  [{ tier: "level_1", locked, plans: [], model: "anthropic/opus", refusal }] as unknown as Models["tiers"];

describe("the model that is chosen where nobody chose", () => {
  it("is the default, if it would be served", () => {
    expect(firstModel(models([OPUS, HAIKU], { default_model: "anthropic/opus" }))).toBe("default");
    const list = [model("openai/gpt", ["1", "1"], refused), OPUS, HAIKU];
    expect(firstModel(models(list, { default_model: "openai/gpt" }))).toBe("anthropic/haiku");
  });

  it("is level 1 where there is no default, if it is open and would be served", () => {
    expect(firstModel(models([OPUS, HAIKU], { tiers: level1(null) }))).toBe("level_1");
    expect(firstModel(models([OPUS, HAIKU], { tiers: level1("model_not_chosen") }))).toBe("anthropic/haiku");
    expect(firstModel(models([OPUS, HAIKU], { tiers: level1(null, true) }))).toBe("anthropic/haiku");
  });

  it("is else the cheapest that writes text, before one of which no price is known", () => {
    const speech = model("openai/tts", ["0.1", "0.1"], { output_modalities: ["audio"] });
    expect(firstModel(models([model("x/unpriced", null), OPUS, speech, HAIKU]))).toBe("anthropic/haiku");
    expect(firstModel(models([model("x/unpriced", null)]))).toBe("x/unpriced");
  });

  it("is one that credits pay for only where no own key serves", () => {
    const paid = model("openai/nano", ["0.1", "0.4"], { mine: false, key_source: "managed" });
    expect(cheapest([paid, OPUS])?.id).toBe("anthropic/opus");
    expect(cheapest([paid, model("a/b", ["0", "0"], refused)])?.id).toBe("openai/nano");
    expect(firstModel(models([model("a/b", ["0", "0"], refused)]))).toBeUndefined();
  });
});
