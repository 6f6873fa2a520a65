import type { Schemas } from "@/api/client";
import type { Models } from "@/pages/models/models";
import type { Presets } from "@/pages/models/presets";

/** The field of a chat completion that limits its output, with the limit; empty where nothing is to limit it. */
export type OutputLimit = { [Field in Schemas["ProviderView"]["token_limit"]]?: number };

/**
 * How many tokens an answer may have where nobody says otherwise. Credits are held for all that a call may come to: without
 * a limit that is what the model can write at most, which a small balance does not bear even for one word.
 */
export const DEFAULT_LIMIT = 4096;

/** Why a text is no output limit; an empty one is none, and that is fine. */
export function limitFault(text: string): string | undefined {
  const number = Number(text);
  const isFine = text.trim() === "" || (Number.isInteger(number) && number >= 1 && number <= 1_000_000);
  return isFine ? undefined : "A whole number from 1 to 1,000,000, or nothing.";
}

/** The limit that a name brings along: a preset may have one of its own. `chosen` is what the workspace's default stands for. */
export function ownLimit(name: string, presets: Presets | undefined, chosen?: string | null): number | undefined {
  return presetOf(name === "default" ? (chosen ?? name) : name, presets)?.parameters?.max_tokens ?? undefined;
}

/** The limit in the field that the provider behind a name takes: newer models refuse the older field, others the newer. */
export function limitOf(
  text: string,
  name: string,
  models: Models,
  presets: Presets | undefined,
  providers: Schemas["ProviderView"][],
): OutputLimit {
  if (text.trim() === "" || limitFault(text)) return {};
  const model = modelOf(name, models, presets)?.replace(/:(cost|latency|throughput|balanced)$/, "");
  const listed = models.models.find(({ id }) => id === model || id.split("/").slice(1).join("/") === model);
  const provider = listed?.provider ?? model?.split("/")[0];
  const field = providers.find(({ id }) => id === provider)?.token_limit ?? "max_tokens";
  return { [field]: Number(text) };
}

function presetOf(name: string, presets: Presets | undefined): Presets[string] | undefined {
  return name.startsWith("@") ? presets?.[name.slice(1)] : undefined;
}

/** The model behind a name, as far as the page knows. */
function modelOf(name: string, models: Models, presets: Presets | undefined): string | undefined {
  if (name === "default") return models.default_model ?? undefined;
  const tier = models.tiers.find(({ tier }) => tier === name);
  if (tier) return tier.model ?? undefined;
  return name.startsWith("@") ? presetOf(name, presets)?.models[0] : name;
}
