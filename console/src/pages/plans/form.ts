import type { Schemas } from "@/api/client";
import { TIERS, type Tier } from "@/pages/models/models";

export type Plan = Schemas["PlanView"];

/** A plan as it is typed. */
export interface Form {
  name: string;
  rank: string;
  monthly: string;
  byok: boolean;
  tiers: Tier[];
  workspaces: string;
  members: string;
  api_keys: string;
  provider_keys: string;
}

export type Field = keyof Form;

/** The fields by the names that the form has for them. */
export const NAMES: Record<Field, string> = {
  name: "Name",
  rank: "Rank",
  monthly: "Credits a month",
  byok: "Use own keys",
  tiers: "Tiers",
  workspaces: "Workspaces",
  members: "Members of each workspace",
  api_keys: "API keys of each workspace",
  provider_keys: "Provider keys of each workspace",
};

export const LIMITS = ["workspaces", "members", "api_keys", "provider_keys"] as const;

/** A plan, or what a new one begins with behind those that there are. */
export function formOf(plan: Plan | undefined, plans: Plan[]): Form {
  const limits = plan?.terms.limits;
  return {
    name: plan?.name ?? "",
    rank: String(plan?.rank ?? Math.max(-1, ...plans.map(({ rank }) => rank)) + 1),
    monthly: String(plan?.terms.monthly_credits ?? 0),
    byok: plan?.terms.byok ?? true,
    tiers: inOrder(plan?.terms.tiers ?? ["level_1", "embeddings"]),
    workspaces: String(limits?.workspaces ?? ""),
    members: String(limits?.members ?? ""),
    api_keys: String(limits?.api_keys ?? ""),
    provider_keys: String(limits?.provider_keys ?? ""),
  };
}

/** The form as the server takes it. */
export function bodyOf(form: Form): Schemas["NewPlan"] {
  const { name, rank, monthly, byok, tiers } = form;
  const limits = {
    workspaces: bound(form.workspaces),
    members: bound(form.members),
    api_keys: bound(form.api_keys),
    provider_keys: bound(form.provider_keys),
  };
  return {
    name: name.trim(),
    rank: Number(rank),
    terms: { monthly_credits: Number(monthly), byok, tiers, limits },
  };
}

const ORDER = Object.keys(TIERS) as Tier[];

/** Tiers in their order, whatever the order in which they were chosen. */
export function inOrder(tiers: Tier[]): Tier[] {
  return [...tiers].sort((one, other) => ORDER.indexOf(one) - ORDER.indexOf(other));
}

function bound(text: string): number | null {
  return text.trim() === "" ? null : Number(text);
}
