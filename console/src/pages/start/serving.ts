import type { Schemas } from "@/api/client";
import type { Models } from "@/pages/models/models";

/** What would serve the workspace's calls as things stand. */
export interface Serving {
  /** The ids of the providers of which an own key serves a listed model. */
  own: string[];
  /** Whether credits pay for a model, and a key of the instance serves it. */
  credits: boolean;
  /** Whether anything serves. */
  any: boolean;
}

type Config = Pick<Schemas["AiConfig"], "status" | "managed_available" | "credits_left">;

/** The models say it exactly, as far as they are listed; keys may also be for providers of which none is. */
export function serving(models: Models["models"], { status, managed_available, credits_left }: Config): Serving {
  const own = [...new Set(models.filter(({ key_source }) => key_source === "byok").map(({ provider }) => provider))];
  const credits =
    models.some(({ key_source }) => key_source === "managed") ||
    (status === "managed_active" && managed_available && credits_left);
  return { own, credits, any: own.length > 0 || credits || status === "byok_active" };
}
