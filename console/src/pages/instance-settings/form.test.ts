import { describe, expect, it } from "vitest";
import {
  changedFields,
  DEFAULTS,
  type Field,
  type Form,
  faultsOf,
  formOf,
  isSame,
  overtaken,
  patchOf,
  type Settings,
} from "./form";

const stored: Settings = {
  modes: ["byok", "auto"],
  new_workspace_mode: null,
  managed_fallback_allowed: true,
  on_byok_disabled: "follow_mode",
  on_key_removed: "follow_mode",
  managed_gateway: null,
  submission: "both",
  release_keys_allowed: false,
  custom_base_urls: null,
  mask: "first4_last4",
  mask_visible_to: "admin",
  default_level: 3,
  byok_metering: "shadow",
  audit_detail: "standard",
  tiers: { level_1: "openai/gpt-5.4-nano" },
  model_mappings: [{ pattern: "gpt-3.5*", model: "gpt-5.4-nano" }],
  level_mappings: [],
  other_providers: { enabled: true, byok: true, custom_base_urls: null, models: ["a*", "b"] },
  overuse: "block",
  credit_ratios: [{ provider: "*", model: "*", operation: "*", ratio: "1.2" }],
  credit_factor: "1",
  prices: [],
  unpriced_managed: "block",
  unpriced_byok: "count_tokens",
  managed_hedging_allowed: false,
  held_output_tokens: null,
  default_plan: "free",
  image_models: [],
  run_retention_days: 30,
  run_step_timeout_ms: 600000,
};

function patched(change: Partial<Form>) {
  const form = formOf(stored);
  const shown = { ...form, ...change };
  return patchOf(shown, changedFields(shown, form));
}

function faulty(change: Partial<Form>): Field[] {
  const form = formOf(stored);
  const shown = { ...form, ...change };
  return Object.keys(faultsOf(shown, changedFields(shown, form))) as Field[];
}

describe("what the form of the settings sends", () => {
  it("is nothing where nothing was changed, whatever was opened and closed again", () => {
    expect(patched({})).toEqual({});
    expect(patched({ modes: ["auto", "byok"] })).toEqual({});
    expect(patched({ model_mappings: [{ id: "n1", pattern: "gpt-3.5*", model: "gpt-5.4-nano" }] })).toEqual({});
  });

  it("is what was changed, as the API takes it", () => {
    expect(patched({ default_level: "", custom_base_urls: "no", run_retention_days: "7" })).toEqual({
      default_level: null,
      custom_base_urls: false,
      run_retention_days: 7,
    });
    expect(
      patched({ other_providers: { enabled: true, byok: false, custom_base_urls: "yes", models: " \n" } }),
    ).toEqual({
      other_providers: { enabled: true, byok: false, custom_base_urls: true, models: null },
    });
    const ratio = { id: "s0", provider: "*", model: "*", operation: "*", ratio: "2", credits_per_call: "" };
    expect(patched({ credit_ratios: [ratio] })).toEqual({
      credit_ratios: [{ provider: "*", model: "*", operation: "*", ratio: "2" }],
    });
  });

  it("takes a tier out with null, since what a merge patch leaves out stays", () => {
    const tiers = { ...DEFAULTS.tiers, level_2: "openai/gpt-5.4" };
    expect(patched({ tiers })).toEqual({
      tiers: { level_1: null, level_2: "openai/gpt-5.4", level_3: null, embeddings: null },
    });
  });
});

describe("what does not fit", () => {
  it("is told by field", () => {
    expect(faulty({ modes: [] })).toEqual(["modes"]);
    expect(faulty({ default_level: "10000" })).toEqual(["default_level"]);
    expect(faulty({ run_step_timeout_ms: "999" })).toEqual(["run_step_timeout_ms"]);
    expect(faulty({ run_retention_days: "0" })).toEqual(["run_retention_days"]);
    expect(faulty({ credit_factor: "1000.5" })).toEqual(["credit_factor"]);
    expect(faulty({ credit_factor: "-1" })).toEqual(["credit_factor"]);
    expect(faulty({ tiers: { ...DEFAULTS.tiers, level_1: "level_2" } })).toEqual(["tiers"]);
    expect(faulty({ model_mappings: [{ id: "n1", pattern: "", model: "m" }] })).toEqual(["model_mappings"]);
    expect(faulty({ default_level: "9999", held_output_tokens: "128000", credit_factor: "1.25" })).toEqual([]);
  });

  it("is a set of ratios that leaves calls out", () => {
    const rule = { id: "a", provider: "openai", model: "*", operation: "*", ratio: "2", credits_per_call: "" };
    expect(faulty({ credit_ratios: [rule] })).toEqual(["credit_ratios"]);
    expect(faulty({ credit_ratios: [rule, { ...rule, id: "b", provider: "*" }] })).toEqual([]);
  });

  it("is a mode of new workspaces that is not offered any more", () => {
    const form = { ...formOf(stored), new_workspace_mode: "auto" as const };
    const shown = { ...form, modes: ["byok" as const] };
    expect(faultsOf(shown, changedFields(shown, form))).toHaveProperty("new_workspace_mode");
    expect(isSame("modes", ["byok"], ["auto"])).toBe(false);
  });
});

describe("what somebody else changed meanwhile", () => {
  const begun = formOf(stored);

  it("is told of what was changed here alone", () => {
    const now = formOf({ ...stored, model_mappings: [], default_level: 4 });
    expect(overtaken(begun, now, ["model_mappings", "overuse"])).toEqual(["model_mappings"]);
    expect(overtaken({}, now, ["model_mappings"])).toEqual([]);
    expect(overtaken(begun, formOf(stored), ["model_mappings", "default_level"])).toEqual([]);
  });
});
