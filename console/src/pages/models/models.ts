import { queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS } from "@/api/queries";
import type { Tone } from "@/ui/Badge";

export type Models = Schemas["WorkspaceModels"];
export type Model = Models["models"][number];
export type TierView = Models["tiers"][number];
export type Tier = TierView["tier"];

/** What the workspace may call now. */
export const modelsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "models"],
    queryFn: ({ signal }) => {
      const params = { path: { workspace_id: workspace } };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/models", { params, signal }));
    },
    refetchInterval: LIVE_MS,
  });

export const TIERS: Record<Tier, { name: string; means: string }> = {
  level_1: { name: "Level 1", means: "The everyday model" },
  level_2: { name: "Level 2", means: "A better one" },
  level_3: { name: "Level 3", means: "The best one" },
  embeddings: { name: "Embeddings", means: "Texts as vectors" },
};

/** The tiers by their names, in one line. */
export const tierNames = (tiers: Tier[]) => tiers.map((tier) => TIERS[tier].name).join(", ");

/** Who would pay for a call, or why it would be refused. */
export function served(view: Schemas["ServedView"]): { tone: Tone; word: string } {
  if (view.key_source === "byok") return { tone: "ok", word: "Own key" };
  if (view.key_source === "managed") return { tone: "accent", word: "Credits" };
  return { tone: "neutral", word: "Refused" };
}

const REFUSALS: Record<string, string> = {
  byok_key_missing: "there is no own key for it",
  byok_key_disabled: "its own keys are switched off",
  byok_key_revoked: "its last own key was removed",
  byok_key_dormant: "the account's plan lets no own key serve",
  byok_disabled_for_provider: "own keys are switched off for its provider",
  byok_forbidden: "a guardrail forbids own keys",
  byok_required: "a guardrail forbids credits",
  managed_unavailable: "the instance has no key for it",
  credits_exhausted: "credits would pay, and the account has none left",
  model_not_found: "no model stands behind it",
  model_not_chosen: "nobody chose a model",
  mode_not_offered: "the instance does not offer this workspace's mode",
  plan_required: "the account's plan does not open it",
};

/** Why a call would be refused, in words. */
export function refusalText(code: string): string {
  return REFUSALS[code] ?? "its call would not be served";
}

/** What is chosen where nobody did, of what would be served: the default, level 1, else the cheapest that writes text. */
export function firstModel(models: Models): string | undefined {
  if (models.default_model && !viewOf(models, "default")?.refusal) return "default";
  if (models.tiers.some(({ tier, locked, refusal }) => tier === "level_1" && !locked && refusal === null))
    return "level_1";
  return cheapest(models.models)?.id;
}

/** The cheapest model that writes text, of those that own keys serve; where there is none, of those that credits pay for. */
export function cheapest(models: Model[]): Model | undefined {
  const best = (source: "byok" | "managed") =>
    models
      .filter(({ key_source, output_modalities: writes }) => key_source === source && writes.includes("text"))
      .sort((one, other) => priceOf(one) - priceOf(other))[0];
  return best("byok") ?? best("managed");
}

/** What as much output as input costs; a model whose price is not known may cost anything. */
function priceOf({ price }: Model): number {
  return price ? Number(price.input) + Number(price.output) : Number.POSITIVE_INFINITY;
}

/** What is known of a model, a tier or the default. */
function viewOf(models: Models, name: string): Schemas["ServedView"] | undefined {
  return (
    models.tiers.find(({ tier }) => tier === name) ??
    models.models.find(({ id }) => id === (name === "default" ? models.default_model : name))
  );
}

/** The default as a choice in front of all models, where there is one. */
export function defaultEntry(models: Models | undefined): { value: string; label: string; detail: string }[] {
  return models?.default_model ? [{ value: "default", label: "Default", detail: models.default_model }] : [];
}

/** What a call of a model, a tier or the default meets as things stand. */
export function whoPays(models: Models, name: string): string | undefined {
  const view = viewOf(models, name);
  const stands = name === "default" && models.default_model ? `${models.default_model}. ` : "";
  if (view?.refusal) return `${stands}Refused as things stand: ${refusalText(view.refusal)}.`;
  if (view?.key_source === "byok") return `${stands}An own key serves; its provider bills the key's owner.`;
  if (view?.key_source === "managed") return `${stands}Credits pay.`;
  return stands || undefined;
}

/** `$1.25`, for a million tokens. The API gives prices as text, so that no digit is lost. */
export function perMillion(rate: string): string {
  const [whole = "0", part = ""] = rate.split(".");
  return `$${whole}.${part.padEnd(2, "0")}`;
}
