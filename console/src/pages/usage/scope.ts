import { createContext, useContext } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { API_KEY, type Dimension, MEMBER, MODEL, OWN_KEY, OWN_WORKSPACE } from "./dimensions";

/** Whose calls a page adds up. */
export interface UsageScope {
  /** Where its answers stand in the cache. */
  queryKey: readonly string[];
  summary: (query: SummaryQuery, signal: AbortSignal) => Promise<Schemas["UsageSummaryView"]>;
  /** What its calls can be told apart by; the first is shown unless another is chosen. */
  dimensions: Dimension[];
  /** Whether it is told what calls on credits cost whoever owns the platform keys. */
  platformCost: boolean;
}

type SummaryQuery = { from: string; to: string; group_by: string } & Record<string, string | undefined>;

/** The calls of one workspace: everybody's, or the viewer's own alone, as the server cuts them for a member. */
export function workspaceUsage(id: string, everybody: boolean): UsageScope {
  return {
    queryKey: ["workspace", id, "usage"],
    summary: (query, signal) => {
      const params = { path: { workspace_id: id }, query };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/usage/summary", { params, signal }));
    },
    dimensions: everybody ? [MODEL, OWN_KEY, API_KEY, MEMBER] : [MODEL, OWN_KEY, API_KEY],
    platformCost: false,
  };
}

/** The calls of all workspaces of an account. */
export function accountUsage(id: string): UsageScope {
  return {
    queryKey: ["account", "usage", id],
    summary: (query, signal) => {
      const params = { path: { account_id: id }, query };
      return ok(api.GET("/api/v1/accounts/{account_id}/usage/summary", { params, signal }));
    },
    dimensions: [OWN_WORKSPACE, MODEL, OWN_KEY, API_KEY, MEMBER],
    platformCost: false,
  };
}

const Context = createContext<UsageScope | undefined>(undefined);

/** Says whose calls the components inside add up. */
export const UsageScopeProvider = Context.Provider;

export function useUsageScope(): UsageScope {
  const scope = useContext(Context);
  if (!scope) throw new Error("calls are somebody's");
  return scope;
}
