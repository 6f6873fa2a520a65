import { queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS } from "@/api/queries";

/** The latest calls of the workspace, for members their own; its events say when there are more. */
export const latestCallsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "usage", "latest"],
    queryFn: async ({ signal }) => {
      const params = { path: { workspace_id: workspace }, query: { limit: 5 } };
      return (await ok(api.GET("/api/v1/workspaces/{workspace_id}/usage", { params, signal }))).data;
    },
    refetchInterval: LIVE_MS,
  });
