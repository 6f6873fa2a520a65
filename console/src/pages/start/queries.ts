import { queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS } from "@/api/queries";

/**
 * The latest calls of the workspace, for members their own, and whether one was answered, however long ago; the workspace's
 * events say when there are more.
 */
export const latestCallsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "usage", "latest"],
    queryFn: async ({ signal }) => {
      const list = async (query: { limit: number; status?: string }) => {
        const params = { path: { workspace_id: workspace }, query };
        return (await ok(api.GET("/api/v1/workspaces/{workspace_id}/usage", { params, signal }))).data;
      };
      const calls = await list({ limit: 5 });
      const isAnswered = ({ status }: Schemas["UsageView"]) => status < 400;
      // Most often it is among them.
      const answered =
        calls.some(isAnswered) || (calls.length > 0 && (await list({ limit: 1, status: "ok" })).length > 0);
      return { calls, answered };
    },
    refetchInterval: LIVE_MS,
  });
