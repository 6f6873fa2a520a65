import { queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS } from "@/api/queries";

export type Defaults = Schemas["AiDefaults"];

/** What new workspaces of the caller's account start with. */
export const defaultsQuery = queryOptions({
  queryKey: ["me", "ai-defaults"],
  queryFn: ({ signal }) => ok(api.GET("/api/v1/users/me/ai-defaults", { signal })),
  refetchInterval: LIVE_MS,
});
