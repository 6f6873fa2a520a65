/**
 * The instance's settings as a form holds them: numbers as they are typed, `null` as an empty choice, lists with ids by
 * which their rows are told apart. What is not changed is not sent, so that changes of others stay.
 */
import type { Schemas } from "@/api/client";
import type { Tier } from "@/pages/models/models";
import { type Fault, faultOf } from "./faults";

export type Settings = Schemas["SettingsView"];
export type Mode = Settings["modes"][number];
/** Yes, no, or as something else says. */
export type Tri = "" | "yes" | "no";

export interface Row {
  id: string;
}
type ModelRow = Row & { pattern: string; model: string };
type LevelRow = Row & { pattern: string; level: string };
type RatioRow = Row & Record<"provider" | "model" | "operation" | "ratio" | "credits_per_call", string>;
type ImageRow = Row & Record<"provider" | "model" | "credits_per_image", string>;

export interface Form {
  modes: Mode[];
  new_workspace_mode: Mode | "";
  managed_fallback_allowed: boolean;
  on_byok_disabled: Settings["on_byok_disabled"];
  on_key_removed: Settings["on_key_removed"];
  managed_gateway: string;
  submission: Settings["submission"];
  release_keys_allowed: boolean;
  custom_base_urls: Tri;
  mask: Settings["mask"];
  mask_visible_to: Settings["mask_visible_to"];
  default_level: string;
  byok_metering: Settings["byok_metering"];
  audit_detail: Settings["audit_detail"];
  tiers: Record<Tier, string>;
  model_mappings: ModelRow[];
  level_mappings: LevelRow[];
  other_providers: { enabled: boolean; byok: boolean; custom_base_urls: Tri; models: string };
  overuse: Settings["overuse"];
  credit_ratios: RatioRow[];
  credit_factor: string;
  unpriced_managed: Settings["unpriced_managed"];
  unpriced_byok: Settings["unpriced_byok"];
  managed_hedging_allowed: boolean;
  held_output_tokens: string;
  default_plan: string;
  image_models: ImageRow[];
  run_retention_days: string;
  run_step_timeout_ms: string;
}

export type Field = keyof Form;

/** What holds where nobody set anything; docs/settings.md says so, too, and a browser test compares it with a new instance. */
export const DEFAULTS: Form = {
  modes: ["managed", "byok", "auto"],
  new_workspace_mode: "",
  managed_fallback_allowed: true,
  on_byok_disabled: "follow_mode",
  on_key_removed: "follow_mode",
  managed_gateway: "",
  submission: "both",
  release_keys_allowed: false,
  custom_base_urls: "",
  mask: "first4_last4",
  mask_visible_to: "admin",
  default_level: "",
  byok_metering: "shadow",
  audit_detail: "standard",
  tiers: { level_1: "", level_2: "", level_3: "", embeddings: "" },
  model_mappings: [],
  level_mappings: [],
  other_providers: { enabled: true, byok: true, custom_base_urls: "", models: "" },
  overuse: "block",
  credit_ratios: [],
  credit_factor: "1",
  unpriced_managed: "block",
  unpriced_byok: "count_tokens",
  managed_hedging_allowed: false,
  held_output_tokens: "",
  default_plan: "free",
  image_models: [],
  run_retention_days: "30",
  run_step_timeout_ms: "600000",
};

const FIELDS = Object.keys(DEFAULTS) as Field[];

const tri = (value: boolean | null | undefined): Tri => (value === true ? "yes" : value === false ? "no" : "");
const bool = (value: Tri): boolean | null => (value === "" ? null : value === "yes");
const text = (value: number | string | null | undefined) => String(value ?? "");
const number = (value: string) => (value.trim() === "" ? null : Number(value));
const orNull = <T extends string>(value: T | "") => (value === "" ? null : value);
const rows = <T extends object>(items: T[]): (T & Row)[] => items.map((item, index) => ({ ...item, id: `s${index}` }));

export function formOf(settings: Settings): Form {
  const { other_providers: others, tiers } = settings;
  return {
    ...settings,
    new_workspace_mode: settings.new_workspace_mode ?? "",
    managed_gateway: text(settings.managed_gateway),
    custom_base_urls: tri(settings.custom_base_urls),
    default_level: text(settings.default_level),
    held_output_tokens: text(settings.held_output_tokens),
    run_retention_days: text(settings.run_retention_days),
    run_step_timeout_ms: text(settings.run_step_timeout_ms),
    tiers: { ...DEFAULTS.tiers, ...tiers },
    model_mappings: rows(settings.model_mappings),
    level_mappings: rows(settings.level_mappings.map(({ pattern, level }) => ({ pattern, level: text(level) }))),
    other_providers: {
      enabled: others.enabled,
      byok: others.byok,
      custom_base_urls: tri(others.custom_base_urls),
      models: (others.models ?? []).join("\n"),
    },
    credit_ratios: rows(
      settings.credit_ratios.map((ratio) => ({ ...ratio, credits_per_call: text(ratio.credits_per_call) })),
    ),
    image_models: rows(settings.image_models),
  };
}

const lines = (value: string) =>
  value
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

/** What the API takes for each field. */
const TAKEN: { [F in Field]: (value: Form[F]) => Schemas["SettingsPatch"][F] } = {
  modes: (it) => it,
  new_workspace_mode: orNull,
  managed_fallback_allowed: (it) => it,
  on_byok_disabled: (it) => it,
  on_key_removed: (it) => it,
  managed_gateway: orNull,
  submission: (it) => it,
  release_keys_allowed: (it) => it,
  custom_base_urls: bool,
  mask: (it) => it,
  mask_visible_to: (it) => it,
  default_level: number,
  byok_metering: (it) => it,
  audit_detail: (it) => it,
  // `null` takes a tier out; what is left out of an object stays in a merge patch.
  tiers: (it) =>
    Object.fromEntries(Object.entries(it).map(([tier, model]) => [tier, orNull(model.trim())])) as Record<Tier, string>,
  model_mappings: (it) => it.map(({ pattern, model }) => ({ pattern: pattern.trim(), model: model.trim() })),
  level_mappings: (it) => it.map(({ pattern, level }) => ({ pattern: pattern.trim(), level: Number(level) })),
  other_providers: (it) => ({
    enabled: it.enabled,
    byok: it.byok,
    custom_base_urls: bool(it.custom_base_urls),
    models: lines(it.models).length === 0 ? null : lines(it.models),
  }),
  overuse: (it) => it,
  credit_ratios: (it) =>
    it.map(({ provider, model, operation, ratio, credits_per_call }) => ({
      provider: provider.trim(),
      model: model.trim(),
      operation: operation.trim(),
      ratio: ratio.trim(),
      ...(credits_per_call.trim() === "" ? {} : { credits_per_call: credits_per_call.trim() }),
    })),
  credit_factor: (it) => it.trim(),
  unpriced_managed: (it) => it,
  unpriced_byok: (it) => it,
  managed_hedging_allowed: (it) => it,
  held_output_tokens: number,
  default_plan: (it) => it,
  image_models: (it) =>
    it.map(({ provider, model, credits_per_image }) => ({
      provider: provider.trim(),
      model: model.trim(),
      credits_per_image: credits_per_image.trim(),
    })),
  run_retention_days: Number,
  run_step_timeout_ms: Number,
};

/** Whether two values of a field say the same; ids of rows say nothing, nor does the order in which modes are offered. */
export function isSame<F extends Field>(field: F, one: Form[F], other: Form[F]): boolean {
  const plain = (value: Form[F]) =>
    JSON.stringify(field === "modes" ? [...(value as Mode[])].sort() : value, (key, part) =>
      key === "id" ? undefined : part,
    );
  return plain(one) === plain(other);
}

/** The fields in which a form is not as it is stored. */
export function changedFields(shown: Form, stored: Form): Field[] {
  return FIELDS.filter((field) => !isSame(field, shown[field], stored[field]));
}

/** The fields that were changed here and, since that began, by somebody else. `begun`: what was stored of each by then. */
export function overtaken(begun: Partial<Form>, stored: Form, changed: Field[]): Field[] {
  const isOther = <F extends Field>(field: F, before: Form[F] | undefined) =>
    before !== undefined && !isSame(field, before, stored[field]);
  return changed.filter((field) => isOther(field, begun[field]));
}

/** What is sent: the changed fields alone. */
export function patchOf(shown: Form, changed: Field[]): Schemas["SettingsPatch"] {
  const take = <F extends Field>(field: F) => [field, TAKEN[field](shown[field])] as const;
  return Object.fromEntries(changed.map(take));
}

/** What does not fit of what was changed. */
export function faultsOf(shown: Form, changed: Field[]): Partial<Record<Field, Fault>> {
  const found = changed.map((field) => [field, faultOf(shown, field)] as const);
  // A mode that is not offered any more is a fault of the mode of new workspaces, whichever of the two was changed.
  if (changed.includes("modes")) found.push(["new_workspace_mode", faultOf(shown, "new_workspace_mode")]);
  return Object.fromEntries(found.filter(([, fault]) => fault !== undefined));
}
