import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import type { Models } from "@/pages/models/models";
import type { Presets } from "@/pages/models/presets";
import { limitFault, limitOf, ownLimit } from "./limit";

const providers = [
  { id: "openai", token_limit: "max_completion_tokens" },
  { id: "mistral", token_limit: "max_tokens" },
] as Schemas["ProviderView"][];
const models = {
  default_model: "openai/gpt-5.4-nano",
  models: [{ id: "openai/gpt-5.4-nano", provider: "openai" }],
  tiers: [{ tier: "level_1", model: "mistral/small" }],
} as unknown as Models;
const presets = { brief: { models: ["openai/gpt-5.4-nano"], parameters: { max_tokens: 50 } } } as unknown as Presets;
const of = (text: string, name: string) => limitOf(text, name, models, presets, providers);

describe("an output limit", () => {
  it("stands in the field that the provider takes, whatever the model is named by", () => {
    expect(of("100", "openai/gpt-5.4-nano")).toEqual({ max_completion_tokens: 100 });
    expect(of("100", "default")).toEqual({ max_completion_tokens: 100 });
    expect(of("100", "@brief")).toEqual({ max_completion_tokens: 100 });
    expect(of("100", "level_1")).toEqual({ max_tokens: 100 });
    expect(of("100", "somebody/else")).toEqual({ max_tokens: 100 });
  });
  it("is left out where there is none", () => {
    expect(of(" ", "level_1")).toEqual({});
    expect(of("0", "level_1")).toEqual({});
    for (const bad of ["0", "-1", "1.5", "many", "1000001"]) expect(limitFault(bad)).toBeDefined();
    for (const good of ["", "1", "1000000"]) expect(limitFault(good)).toBeUndefined();
  });
  it("is a preset's own where it has one", () => {
    expect(ownLimit("@brief", presets)).toBe(50);
    expect(ownLimit("@gone", presets)).toBeUndefined();
    expect(ownLimit("default", presets, "@brief")).toBe(50);
    expect(ownLimit("default", presets, "level_2")).toBeUndefined();
    expect(ownLimit("level_1", presets)).toBeUndefined();
  });
});
