import { queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";

/** Which key would serve now; asking changes nothing. */
export const resolveQuery = (workspace: string, question: Schemas["ResolveQuestion"]) =>
  queryOptions({
    queryKey: ["workspace", workspace, "resolve", question],
    queryFn: ({ signal }) => {
      const params = { path: { workspace_id: workspace } };
      return ok(api.POST("/api/v1/workspaces/{workspace_id}/resolve", { params, body: question, signal }));
    },
    staleTime: 0,
  });
