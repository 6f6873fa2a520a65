import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS, PAGE_ITEMS } from "@/api/queries";

/** The workspace's API keys, newest first, part by part. */
export const apiKeysQuery = (workspace: string) =>
  infiniteQueryOptions({
    queryKey: ["workspace", workspace, "api-keys"],
    queryFn: ({ pageParam, signal }) => {
      const params = { path: { workspace_id: workspace }, query: { limit: PAGE_ITEMS, after: pageParam } };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/api-keys", { params, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: LIVE_MS,
  });
