import { queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS } from "@/api/queries";
import { lastDays } from "@/pages/usage/period";

export type Health = Schemas["InstanceHealth"] & {
  /** When it was so, by the server's clock: the viewer's may be wrong. */
  read_at_ms: number;
};
export type ProviderSums = Schemas["GroupView"];

/** What changes from second to second is asked for so often while somebody looks. */
const HEALTH_MS = 5_000;

/** How the process that answers fares. */
export const healthQuery = queryOptions({
  queryKey: ["admin", "health"],
  queryFn: async ({ signal }): Promise<Health> => {
    const call = api.GET("/api/v1/admin/health", { signal });
    const health = await ok(call);
    const date = Date.parse((await call).response.headers.get("date") ?? "");
    return { ...health, read_at_ms: Number.isNaN(date) ? Date.now() : date };
  },
  refetchInterval: HEALTH_MS,
});

/** What the calls of today and yesterday (UTC) came to, by provider. */
export const recentQuery = queryOptions({
  queryKey: ["admin", "usage", "recent"],
  queryFn: async ({ signal }) => {
    const query = { ...lastDays(2, Date.now()), group_by: "provider" };
    return (await ok(api.GET("/api/v1/admin/usage/summary", { params: { query }, signal }))).groups;
  },
  refetchInterval: LIVE_MS,
});
