import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS } from "@/api/queries";

/** The audit log, newest first, part by part; new entries appear as long as the first part alone is shown. */
export const auditQuery = (workspace: string) =>
  infiniteQueryOptions({
    queryKey: ["workspace", workspace, "audit"],
    queryFn: ({ pageParam, signal }) => {
      const params = { path: { workspace_id: workspace }, query: { limit: 100, after: pageParam } };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/audit", { params, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : LIVE_MS),
  });
