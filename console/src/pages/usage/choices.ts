import { type Filters, useFilters } from "@/shell/filters";
import { chosenDays, lastDays, type Period } from "./period";
import type { Only } from "./queries";

/** What sums are cut down by besides the period. */
export const CUTS = [
  "provider",
  "model",
  "provider_key_id",
  "api_key_id",
  "user_id",
  "key_source",
  "workspace_id",
  "account_id",
] as const;

const NAMES = ["period", "from", "to", ...CUTS, "status", "by", "measure", "request"] as const;

export type UsageFilters = Filters<(typeof NAMES)[number]>;

/** What of the address says what a page of usage shows, and the way to change it. */
export interface Choices {
  filters: UsageFilters;
  change: (patch: UsageFilters) => void;
  period: Period;
  /** Why the chosen days cannot be shown. */
  wrong: string | undefined;
  only: Only;
}

export function useChoices(): Choices {
  const [filters, change] = useFilters(NAMES);
  const only: Only = {};
  for (const name of CUTS) if (filters[name]) only[name] = filters[name];
  return { filters, change, ...periodOf(filters), only };
}

function periodOf(filters: UsageFilters): { period: Period; wrong: string | undefined } {
  const fallback = lastDays(30, Date.now());
  if (filters.period === "days") {
    const chosen = chosenDays(filters.from, filters.to);
    return typeof chosen === "string" ? { period: fallback, wrong: chosen } : { period: chosen, wrong: undefined };
  }
  const days = [7, 30, 90, 365].find((known) => String(known) === filters.period) ?? 30;
  return { period: lastDays(days, Date.now()), wrong: undefined };
}
