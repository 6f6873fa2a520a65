import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS, PAGE_ITEMS } from "@/api/queries";
import { moments, type Period } from "./period";
import type { UsageScope } from "./scope";

/** What the sums and the list of calls are cut down to. */
export interface Only {
  provider?: string;
  model?: string;
  provider_key_id?: string;
  api_key_id?: string;
  user_id?: string;
  workspace_id?: string;
  account_id?: string;
  key_source?: string;
}

/** What the list can be cut down to besides. */
export interface OnlyCalls extends Only {
  status?: string;
}

export type Sums = Schemas["SumsView"];
export type Group = Schemas["GroupView"];
export type Call = Schemas["UsageView"];

/** What calls on credits cost at list price: what the providers bill for the platform keys. */
export function platformCost({ cost_nano_usd, own_key_cost_nano_usd }: Sums): number {
  return cost_nano_usd - own_key_cost_nano_usd;
}

/** What the calls of a period came to, by `groupBy`. */
export const summaryQuery = (scope: UsageScope, period: Period, groupBy: string, only: Only = {}) =>
  queryOptions({
    queryKey: [...scope.queryKey, "summary", groupBy, period, only],
    queryFn: ({ signal }) => scope.summary({ ...period, ...only, group_by: groupBy }, signal),
    refetchInterval: LIVE_MS,
  });

/** One call, whenever it was. */
export const callQuery = (workspace: string, request: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "usage", "call", request],
    queryFn: ({ signal }) => {
      const params = { path: { workspace_id: workspace, request_id: request } };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/usage/{request_id}", { params, signal }));
    },
  });

/** The calls of a period, newest first, part by part; new ones appear as long as the first part alone is shown. */
export const callsQuery = (workspace: string, period: Period, only: OnlyCalls) =>
  infiniteQueryOptions({
    queryKey: ["workspace", workspace, "usage", "calls", period, only],
    queryFn: ({ pageParam, signal }) => {
      const query = { ...moments(period), ...only, limit: PAGE_ITEMS, after: pageParam };
      const params = { path: { workspace_id: workspace }, query };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/usage", { params, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : LIVE_MS),
  });
