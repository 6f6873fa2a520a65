import { queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";

/** The latest calls of the workspace, asked for anew every few seconds. */
export const latestCallsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "usage", "latest"],
    queryFn: async ({ signal }) => {
      const params = { path: { workspace_id: workspace }, query: { limit: 5 } };
      return (await ok(api.GET("/api/v1/workspaces/{workspace_id}/usage", { params, signal }))).data;
    },
    refetchInterval: 2_000,
  });
