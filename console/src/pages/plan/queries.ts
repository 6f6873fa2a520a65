import { queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS } from "@/api/queries";

/** What the account's plan gives, and what is used of it. */
export const limitsQuery = queryOptions({
  queryKey: ["me", "limits"],
  queryFn: ({ signal }) => ok(api.GET("/api/v1/users/me/limits", { signal })),
  refetchInterval: LIVE_MS,
});

/** The plans that there are, the lowest first. */
export const offeredPlansQuery = queryOptions({
  queryKey: ["plans"],
  queryFn: async ({ signal }) => (await ok(api.GET("/api/v1/plans", { signal }))).data,
});
